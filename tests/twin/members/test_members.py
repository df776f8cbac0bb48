"""Nodes come and go by the file: the others stay as they are, and afterwards nobody counts those that are gone."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from holdfast.drill.cluster import HOLDFAST, Cluster
from holdfast.drill.deploy import deploy, edited
from holdfast.drill.writers import Writers
from holdfast.mirror import REPOSITORY
from holdfast.twin import client
from tests.twin import environments
from tests.twin.conftest import Judge
from tests.twin.environments import Others

FORGOTTEN_WITHIN = 240
"""Seconds after a deploy: half a minute of silence, then as long for each Sentinel, and some for the nodes to look."""

ACCEPTED_OUTAGE = 2.0
"""Seconds without an acknowledged write: nothing that leads is touched. But plans and boots take the cores from the
writers; where nobody's session ended and no node noticed anything, it was 1.4 once."""


def test_two_nodes_more_and_two_nodes_less(
    healthy: Cluster, growing: Others, writers: Writers, judge: Judge, tmp_path: Path
) -> None:
    before, struck = healthy.instances(), time.monotonic()
    edit = ("layout: compact", "layout: {kind: compact, nodes: 5}")
    five = growing.environ | edited(tmp_path, "growing", edit, source=environments.FOLDER)
    done = deploy(five, "growing")
    assert done.returncode == 0, done.stdout + done.stderr
    asked = subprocess.run(
        [HOLDFAST, "status", "growing", "--json", "--wait", "60"],
        cwd=REPOSITORY,
        env=five,
        capture_output=True,
        text=True,
    )
    status = json.loads(asked.stdout)
    assert asked.returncode == 0, asked.stdout
    assert [node["name"] for node in status["nodes"]] == [f"growing-{slot}" for slot in ("a1", "b1", "c1", "a2", "b2")]
    assert status["sentinels"] == {"agreeing": 5, "total": 5}
    assert {node["name"]: node["instance_id"] for node in status["nodes"]}.items() >= before.items()

    done = deploy(growing.environ, "growing")
    assert done.returncode == 0, done.stdout + done.stderr
    assert healthy.wait_healthy()["sentinels"] == {"agreeing": 3, "total": 3}
    assert healthy.instances() == before
    deadline = time.monotonic() + FORGOTTEN_WITHIN
    while (known := {node: others_known_to(healthy, node) for node in before}) != dict.fromkeys(before, (2, 2)):
        assert time.monotonic() < deadline, f"other Sentinels and replicas that each Sentinel knows: {known}"
        time.sleep(1)
    verdict = judge("two nodes more, two less", writers, struck=struck, surviving=set(before))
    assert verdict.problems == ()
    assert verdict.lost == ()
    assert verdict.outage <= ACCEPTED_OUTAGE

    healthy.fault("kill", "leader")
    healthy.wait("another leader", lambda seen: seen["leader"] not in (None, status["leader"]))


def others_known_to(cluster: Cluster, node: str) -> tuple[int, int]:
    """Sentinels and replicas."""
    address = next(one["address"] for one in cluster.status()["nodes"] if one["name"] == node)
    with (
        client.connect_to_sentinel(node, address, 2) as sentinel,
        sentinel.makefile("rw", newline="\r\n") as talk,
    ):
        talk.write(f"SENTINEL MASTER {cluster.name}\n")
        talk.flush()
        count = int(talk.readline()[1:])
        words = [talk.readline() and talk.readline().strip() for _ in range(count)]
    said = dict(zip(words[::2], words[1::2], strict=True))
    return int(said["num-other-sentinels"]), int(said["num-slaves"])
