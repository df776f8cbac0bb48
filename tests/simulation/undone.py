"""Undoes one fix after the other, and simulates until something breaks: what the simulation is able to find, how soon.

`PYTHONPATH=.:node python -m tests.simulation.undone` writes docs/simulation.md, and keeps the schedules that fail in
regressions.json. It takes up to a minute for each fix, on one core each.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulation.schedule import REGRESSIONS, draw, dumps, play, shrink

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = REPOSITORY / "node" / "holdfast_node"
PAGE = REPOSITORY / "docs" / "simulation.md"
SECONDS = 60.0


@dataclass(frozen=True)
class Edit:
    """`text` of a module becomes `without`."""

    module: str
    text: str
    without: str


@dataclass(frozen=True)
class Fix:
    """What holds, and how it is undone. More than one edit: each alone is enough for it to hold."""

    name: str
    edits: tuple[Edit, ...]

    @property
    def modules(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(edit.module for edit in self.edits))


FIXES = (
    Fix(
        "a replica that was never in sync is never promoted",
        (
            Edit(
                "eligibility.py",
                "        if in_sync:\n            return True",
                "        if own.server.role is Role.REPLICA:\n            return True",
            ),
        ),
    ),
    Fix(
        "a volume with a past leader does not bootstrap again",
        (Edit("agent.py", "            BEGAN.unlink(missing_ok=True)\n", "            pass\n"),),
    ),
    Fix(
        "silence is no proof of an empty node",
        (Edit("decision.py", "    if unheard:\n", "    if 2 * len(unheard) > len(snapshot.peers) + 1:\n"),),
    ),
    Fix(
        "a Sentinel hears from the replicas before it chooses one",
        (Edit("sentinels.py", "HEARD_WITHIN = 0.2\n", "HEARD_WITHIN = 0.0\n"),),
    ),
    Fix(
        "the word of a Sentinel counts only while its promotions are heard",
        (Edit("sentinels.py", "if word.at >= oldest and self._hears(address)}", "if word.at >= oldest}"),),
    ),
    Fix(
        "after a site's restart only a holder may lead",
        (
            Edit(
                "eligibility.py",
                "    return restarted and own.server.role in (Role.REPLICA, Role.WAITING) and holder and lost\n",
                "    return restarted and own.server.role in (Role.REPLICA, Role.WAITING)\n",
            ),
        ),
    ),
    Fix(
        "TILT lasts three seconds",
        (
            Edit(
                "sentinels.py",
                '"TILT-PERIOD", 3000',
                '"TILT-PERIOD", 90000',
            ),
        ),
    ),
    Fix(
        "a failover is asked for once, right after the loss",
        (
            Edit(
                "agent.py",
                "        if now - self._led_at <= WITNESSED_FOR:\n",
                "        if now - self._asked_at >= 0.5:\n",
            ),
        ),
    ),
    Fix(
        "an emptied `single` leads again",
        (
            Edit(
                "decision.py",
                '    return Decision(Do.LEAD, "a majority names it, and of all nodes nobody holds data: leads")\n',
                '    lead = Do.LEAD if snapshot.sentinels > 1 else Do.STAY\n    return Decision(lead, "alone")\n',
            ),
        ),
    ),
    Fix(
        "nobody is proven while a promotion is unfinished",
        (Edit("proof.py", "    if unfinished(announcements, votes, named):\n        return None\n", ""),),
    ),
    Fix(
        "a Sentinel without known peers is no majority",
        (
            Edit(
                "sentinels.py",
                "        return max(*counts, len(spoke)) if counts else",
                "        return max(counts) if counts else",
            ),
        ),
    ),
    Fix(
        "a silent leader is closed before it counts as lost, or as soon as a Sentinel stands for election",
        (
            Edit("gateway.py", "CLOSES_BEFORE = 0.05\n", "CLOSES_BEFORE = -60.0\n"),
            Edit("gateway.py", "elif at_leader in before and not contested and", "elif at_leader in before and"),
        ),
    ),
    Fix(
        "a returning leader stays closed while a Sentinel stands for election",
        (
            Edit(
                "gateway.py",
                "            if leads and (at_leader in before or not contested):\n",
                "            if leads:\n",
            ),
        ),
    ),
    Fix(
        "a named node stops following a peer without the lead",
        (
            Edit(
                "decision.py",
                "snapshot.hangs_back_for >= STALE_AFTER:\n        # Whom",
                "snapshot.hangs_back_for >= 1e9:\n        # Whom",
            ),
        ),
    ),
    Fix(
        "HAProxy is told everything again",
        (Edit("gateway.py", "AGAIN = 5.0\n", "AGAIN = 1e9\n"),),
    ),
    Fix(
        "gateways close when no majority speaks, or their connections break",
        (
            Edit("sentinels.py", "LEASE = 0.4\n", "LEASE = 4.0\n"),
            Edit("sentinels.py", "            self._subscriptions[address].renew()\n", "            pass\n"),
        ),
    ),
    Fix(
        "a handover pauses writes",
        (Edit("handover.py", '"CLIENT", "PAUSE", int(DEADLINE * 1000), "WRITE"', '"PING"'),),
    ),
    Fix(
        "a pause ends by itself",
        (
            Edit("handover.py", '"PAUSE", int(DEADLINE * 1000)', '"PAUSE", 3_600_000'),
            Edit("handover.py", '            own.call("CLIENT", "UNPAUSE")\n', "            pass\n"),
            Edit("handover.py", '            own.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")\n', ""),
        ),
    ),
    Fix(
        "replicas have everything before one is promoted",
        (Edit("handover.py", "            self._catch_up(own, began + CATCH_UP)\n", ""),),
    ),
    Fix(
        "an old leader follows its successor before it takes writes again",
        (Edit("handover.py", '            own.call("REPLICAOF", successor, self._identity.redis_port)\n', ""),),
    ),
    Fix(
        "a handover waits until its successor leads",
        (Edit("handover.py", "if _look(other).server.role is Role.LEADER:", "if True:"),),
    ),
    Fix(
        "of two handovers of one machine the second waits",
        (
            Edit(
                "handover.py", "        with _alone():\n            sentence", "        if True:\n            sentence"
            ),
        ),
    ),
    Fix(
        "a handover's priority does not stay",
        (Edit("eligibility.py", "FIRST_FOR = 30.0\n", "FIRST_FOR = 1e9\n"),),
    ),
    Fix(
        "a Redis pings its replicas again",
        (Edit("agent.py", '"repl-ping-replica-period", PING_PERIOD)', '"min-replicas-max-lag", LAG)'),),
    ),
    Fix(
        "removed Sentinels are forgotten",
        (Edit("membership.py", "            self._sentinels.reset_own()\n", "            pass\n"),),
    ),
    Fix(
        "removed nodes are not counted",
        (
            Edit(
                "membership.py",
                "        self._sentinels.forget(self._gone)\n",
                "        self._sentinels.forget(frozenset())\n",
            ),
        ),
    ),
    Fix(
        "Sentinels are reset one at a time",
        (
            Edit("membership.py", "whose_turn(self._order, known_by, gone) == self._me and", "still and"),
            Edit("membership.py", "APART = 30.0", "APART = 1.0"),
        ),
    ),
    Fix(
        "a gateway without a majority moves no route",
        (
            Edit(
                "floating.py",
                "        return self._heard() and (not self._elects or _has(self._identity.floating))\n",
                "        return not self._elects or _has(self._identity.floating)\n",
            ),
        ),
    ),
    Fix(
        "two elected gateways do not take turns",
        (
            Edit(
                "floating.py",
                "        if now < self._left_until and self._another_holds(now):\n",
                "        if False:\n",
            ),
        ),
    ),
    Fix(
        "a gateway notices when the new holder gives the pair up, or is gone",
        (
            Edit(
                "floating.py",
                "        return any(_holds(report)",
                "        return True or any(_holds(report)",
            ),
        ),
    ),
    Fix(
        "a gateway alone without the leader gives up the pair",
        (Edit("agent.py", "CUT_OFF_AFTER = 4.0\n", "CUT_OFF_AFTER = 1e9\n"),),
    ),
    Fix(
        "a gateway with a dead or hung HAProxy gives up the pair",
        (Edit("agent.py", "able=self._haproxy.works and self", "able=self"),),
    ),
)


def undone(fix: Fix, folder: Path) -> Path:
    """A copy of the node program without it, to be put on the path."""
    shutil.copytree(PROGRAM, folder / PROGRAM.name, ignore=shutil.ignore_patterns("__pycache__"))
    for edit in fix.edits:
        module = folder / PROGRAM.name / edit.module
        text = module.read_text()
        assert edit.text in text, f"{edit.module} has no longer what {fix.name!r} undoes"
        module.write_text(text.replace(edit.text, edit.without))
    return folder


def hunted(fix: Fix) -> subprocess.CompletedProcess[str]:
    """What `hunt` says in another process, with that fix undone."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{undone(fix, Path(folder))}:{REPOSITORY}"
        return subprocess.run(
            [sys.executable, "-m", "tests.simulation.undone", "hunt"],
            env=os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "0"},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )


def hunt() -> None:
    """Print the first schedule in which something does not hold, shrunk, and after how long; or nothing."""
    began = time.process_time()
    for seed in itertools.count():
        if time.process_time() - began > SECONDS:
            return
        if problems := play(draw(seed)).problems:
            after = time.process_time() - began
            kept = json.loads(dumps(shrink(draw(seed))))
            print(json.dumps({"after": after, "seed": seed, "problems": problems, "schedule": kept}))
            return


def page(found: dict[str, Any]) -> str:
    rows = []
    for fix in FIXES:
        hit = found.get(fix.name)
        when = f"{hit['after']:.0f} s, schedule {hit['seed']}" if hit else f"not within {SECONDS:.0f} s"
        where = ", ".join(f"`{module}`" for module in fix.modules)
        rows.append(f"| {fix.name} | {where} | {when} | {'; '.join(hit['problems']) if hit else ''} |")
    return "\n".join(
        [
            "# What the simulation finds",
            "",
            "`PYTHONPATH=.:node python -m tests.simulation.undone` writes this page.",
            "It undoes one fix of the node program at a time, and plays schedules until a requirement breaks.",
            "The seconds are for one core.",
            "",
            "| undone | in | found within | what broke |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            "[node/README.md](../node/README.md) explains each fix.",
            "",
        ]
    )


def main() -> None:
    found: dict[str, Any] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for fix, said in zip(FIXES, pool.map(hunted, FIXES), strict=True):
            if said.returncode:
                raise SystemExit(f"{fix.name}:\n{said.stderr}")
            if said.stdout:
                found[fix.name] = json.loads(said.stdout)
            print(f"{fix.name}: {found.get(fix.name, {}).get('problems', 'nothing')}", flush=True)
    PAGE.write_text(page(found))
    kept = ",\n".join(f"  {json.dumps(name)}: {json.dumps(hit['schedule'])}" for name, hit in found.items())
    REGRESSIONS.write_text(f"{{\n{kept}\n}}\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["hunt"]:
        hunt()
    else:
        main()
