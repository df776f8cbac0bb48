"""One run: the leader or a gateway is lost under continuous writes, until writes go on wherever they can."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Collection
from datetime import datetime

from bench.failover import switch
from bench.failover.losses import Loss, PairLoss
from bench.failover.runs import Run
from bench.failover.settings import Ours, Settings
from holdfast.drill import checker
from holdfast.drill.checker import Verdict
from holdfast.drill.writers import Writers

PATIENCE = 120.0
"""Seconds to wait for the outage to end: above any time-out that the settings here have, but for three minutes."""

PAIR_PATIENCE = 4.0
"""Seconds until the floating pair must be back for sure: twice its goal."""

AFTERWARDS = 1.0
"""Seconds that writes go on after the outage: whoever loses its lead again would do so now."""

POLL = 0.05


def measure(settings: Settings, loss: Loss) -> tuple[Run, Verdict]:
    leader = settings.prepare()
    if loss.stays_dead:
        switch.keep_dead(leader, settings.unit)
    gateways = settings.site.gateways
    surviving = {gateway.node for gateway in gateways if loss.survives or gateway.node != leader.name}
    with Writers(gateways) as writers:
        writers.wait_writing()
        old = writers.leaders()
        struck = time.monotonic()
        loss.strike(settings, leader)
        ended = _written_again(writers, surviving, old)
        writers.watch(AFTERWARDS)
        over = time.monotonic()
        writers.stop()
        if loss.stays_dead:
            switch.revive(leader, settings.unit)
        present = settings.present(writers, ended=ended)
    verdict = checker.judge(
        writers.acknowledged, writers.reads, present, struck=struck, ended=over, surviving=surviving
    )
    return _run(settings.name, loss.name, verdict, ended, len(writers.acknowledged)), verdict


def measure_pair(ours: Ours, loss: PairLoss) -> tuple[Run, Verdict]:
    pair = ours.site.pair
    holder = ours.holder(leads=loss.leads)
    with Writers([pair]) as writers:
        writers.wait_writing()
        struck = time.monotonic()
        ours.site.cluster.fault("power-cut", holder.name)
        # Where the leader lives on, the writes before and after the outage look the same.
        writers.watch(PAIR_PATIENCE)
        writers.wait_writing(seconds=PATIENCE)
        over = writers.stop()
        present = ours.present(writers, ended=True)
    verdict = checker.judge(
        writers.acknowledged, writers.reads, present, struck=struck, ended=over, surviving={pair.node}
    )
    return _run(ours.name, loss.name, verdict, True, len(writers.acknowledged)), verdict


def _written_again(writers: Writers, surviving: Collection[str], old: Collection[str]) -> bool:
    """Whether each of these gateways acknowledged a write of another Redis than `old`, before our patience ended."""
    waiting, looked_at = set(surviving), 0
    deadline = time.monotonic() + PATIENCE
    while waiting and time.monotonic() < deadline:
        new = writers.acknowledged[looked_at:]
        looked_at += len(new)
        waiting -= {ack.gateway for ack in new if ack.run_id not in old}
        writers.watch(POLL)
    return not waiting


def _run(settings: str, fault: str, verdict: Verdict, ended: bool, acknowledged: int) -> Run:
    return Run(
        settings=settings,
        fault=fault,
        seconds=round(verdict.outage, 3),
        ended=ended,
        acknowledged=acknowledged,
        lost=len(verdict.lost_without),
        lost_with_wait=len(verdict.lost_with),
        doubled=len(verdict.doubled),
        on=f"{os.cpu_count()} cores, {platform.system()}",
        at=datetime.now().isoformat(timespec="seconds"),
    )
