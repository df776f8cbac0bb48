"""Acknowledgements in, verdict out: what a history of writes and reads proves about who led, and what was lost.

Pure: times are of one monotonic clock, in seconds, and nothing here knows of a cluster.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

STALE_AFTER = 11.0
"""Seconds that a replica's answer may be behind what was acknowledged: one that its leader's packets no longer reach
notices after `repl-timeout`, 10 s; two checks of its gateway, 0.1 s apart with 0.4 s to answer, then close it."""


@dataclass(frozen=True)
class Acknowledgement:
    """One acknowledged write: when it was sent and answered, through which gateway, by which Redis (its run id)."""

    record: str
    """The key that it wrote, and nobody else."""
    writer: str
    number: int
    """Counts up for each writer."""
    sent: float
    at: float
    gateway: str
    run_id: str
    copies: int = 0
    """Replicas that had it when it was answered: 0 without WAIT."""


@dataclass(frozen=True)
class Read:
    """One answer of a replica endpoint."""

    sent: float
    gateway: str
    run_id: str
    seen: Mapping[str, int]
    """Writer → the last number of it that was there."""


@dataclass(frozen=True)
class Verdict:
    leaders: tuple[str, ...]
    """Run ids of those that acknowledged writes, in order."""
    outage: float
    """The longest time in which one of the surviving gateways acknowledged nothing. Seconds."""
    silence: float
    """The longest time in which nobody acknowledged anything. Seconds."""
    lost: tuple[Acknowledgement, ...]
    """What was acknowledged and is not there."""
    staleness: float
    """How far the worst read of a replica was behind. Seconds."""
    doubled: tuple[Acknowledgement, ...]
    """What an old leader acknowledged though it was sent after its successor's first acknowledgement."""
    problems: tuple[str, ...]
    """What must not be, one sentence each; empty is good."""

    @property
    def lost_with(self) -> tuple[Acknowledgement, ...]:
        """Those that WAIT had acknowledged."""
        return tuple(ack for ack in self.lost if ack.copies)

    @property
    def lost_without(self) -> tuple[Acknowledgement, ...]:
        return tuple(ack for ack in self.lost if not ack.copies)


def judge(
    acknowledged: Sequence[Acknowledgement],
    reads: Iterable[Read],
    present: Collection[str],
    *,
    struck: float,
    ended: float,
    surviving: Iterable[str],
    wait_is_safe: bool = True,
) -> Verdict:
    """`present`: the records that are there at the end. `wait_is_safe`: the fault was within one zone."""
    lost = tuple(ack for ack in acknowledged if ack.record not in present)
    safe = [ack for ack in acknowledged if ack.copies]
    broken = [ack for ack in safe if ack.record not in present]
    staleness = _staleness(reads, (ack for ack in safe if ack.record in present))
    doubled = list(_two_leaders(acknowledged))
    problems = [sentence for _, sentence in doubled]
    if wait_is_safe and broken:
        problems.append(f"{len(broken)} writes that WAIT acknowledged are lost; the first: {broken[0]}")
    if staleness > STALE_AFTER:
        problems.append(f"a replica endpoint answered {staleness:.1f} s behind; accepted: {STALE_AFTER:g} s")
    times = sorted(ack.at for ack in acknowledged)
    return Verdict(
        leaders=leaders(acknowledged),
        outage=max((_longest_gap(_of(acknowledged, one), struck, ended) for one in surviving), default=0.0),
        silence=_longest_gap(times, struck, ended),
        lost=lost,
        staleness=staleness,
        doubled=tuple(ack for ack, _ in doubled),
        problems=tuple(problems),
    )


def leaders(acknowledged: Iterable[Acknowledgement]) -> tuple[str, ...]:
    """Run ids of those that acknowledged writes, by their first."""
    return tuple(sorted(firsts := _firsts(acknowledged), key=lambda run_id: firsts[run_id]))


def _of(acknowledged: Iterable[Acknowledgement], gateway: str) -> Sequence[float]:
    return sorted(ack.at for ack in acknowledged if ack.gateway == gateway)


def _longest_gap(times: Iterable[float], since: float, until: float) -> float:
    within = [since, *(at for at in times if since < at < until), until]
    return max(later - earlier for earlier, later in zip(within, within[1:], strict=False))


def _firsts(acknowledged: Iterable[Acknowledgement]) -> dict[str, float]:
    """Run id → when its first acknowledgement arrived."""
    firsts: dict[str, float] = {}
    for ack in acknowledged:
        firsts[ack.run_id] = min(ack.at, firsts.get(ack.run_id, ack.at))
    return firsts


def _two_leaders(acknowledged: Iterable[Acknowledgement]) -> Iterable[tuple[Acknowledgement, str]]:
    """Writes that an old leader acknowledged though they were sent after its successor's first acknowledgement.

    Each with a sentence that says so.

    One sent before that may be answered after it, since the way back takes its time.
    """
    firsts = _firsts(acknowledged)
    for ack in sorted(acknowledged, key=lambda ack: ack.sent):
        later = [other for other, first in firsts.items() if firsts[ack.run_id] < first <= ack.sent]
        if later:
            after = ack.sent - min(firsts[other] for other in later)
            yield (
                ack,
                f"{ack.record} was acknowledged by {ack.run_id[:8]} through {ack.gateway}, "
                f"sent {after:.3f} s after the first acknowledgement of {later[0][:8]}",
            )


def _staleness(reads: Iterable[Read], kept: Iterable[Acknowledgement]) -> float:
    """How long before a read the first write was acknowledged that it should have seen and did not. Seconds."""
    by_writer: dict[str, list[Acknowledgement]] = {}
    for ack in sorted(kept, key=lambda ack: ack.number):
        by_writer.setdefault(ack.writer, []).append(ack)
    worst = 0.0
    for read in reads:
        for writer, number in read.seen.items():
            acks = by_writer.get(writer, [])
            missed = acks[bisect_right(acks, number, key=lambda ack: ack.number) :][:1]
            worst = max([worst, *(read.sent - ack.at for ack in missed)])
    return worst
