"""Real edits of an environment's file, reviewed against what is really applied: the verdict and findings of each."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from holdfast.drill.emulated import TIMEOUT, Terraform, environment_of
from holdfast.mirror import REPOSITORY
from holdfast.twin.api import Api

NO_BASE = "no-such-commit"
"""For checkov, which most of these tests do not ask."""

Report = dict[str, Any]
Review = Callable[..., Report]


def run(name: str, variables: dict[str, str], base: str = NO_BASE) -> Report:
    """`holdfast review NAME --json`."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("holdfast")), "review", name, "--json", "--base", base],
        cwd=REPOSITORY,
        env=variables,
        text=True,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode in (0, 3), done.stderr
    report: Report = json.loads(done.stdout)
    assert report["blocked"] == (done.returncode == 3)
    return report


@pytest.fixture
def review(applied: Terraform, tmp_path: Path) -> Review:
    """Reviews `planned` with pieces of its file's text replaced; `name` renames it."""

    def edited(
        *edits: tuple[str, str], name: str = "planned", state: Path | None = None, base: str = NO_BASE
    ) -> Report:
        text = (applied.folder / "planned.yaml").read_text()
        for before, after in edits:
            assert before in text
            text = text.replace(before, after)
        pins = (applied.folder / "images.lock.json").read_text()
        (tmp_path / "images.lock.json").write_text(pins.replace('"planned"', f'"{name}"'))
        (tmp_path / f"{name}.yaml").write_text(text)
        variables = applied.variables | {"HOLDFAST_ENVIRONMENTS_DIR": str(tmp_path)}
        if state:
            variables["HOLDFAST_STATE_DIR"] = str(state)
        return run(name, variables, base)

    return edited


def counts(report: Report) -> dict[str, list[int]]:
    """Stack → add, change, replace, destroy; of those where there is something."""
    keys = ("create", "update", "replace", "delete")
    return {it["name"]: [it[key] for key in keys] for it in report["stacks"] if any(it[key] for key in keys)}


def findings(report: Report) -> dict[str, list[str]]:
    return {it["rule"]: [hit["sentence"] for hit in it["hits"]] for it in report["findings"]}


def fates(report: Report) -> Mapping[str, str]:
    return {node["name"]: node["fate"] for node in report["nodes"]}


def each_zone(fate: str) -> Mapping[str, str]:
    return {f"planned-{letter}1": fate for letter in "abc"}


def test_nothing_changed(review: Review) -> None:
    report = review()
    assert report["headline"] == "planned: nothing changes"
    assert (counts(report), findings(report)) == ({}, {})
    assert report["checkov"] == {
        "new": [],
        "not_asked": "--base no-such-commit: this checkout has no such commit, or nothing in common with it; accepted: "
        "a branch, tag or commit (in a shallow clone, fetch it first)",
    }
    assert fates(report) == each_zone("kept")
    assert report["meaning"]["Leader"] == ["planned-a1 leads now, and stays the leader."]


def test_memory_changed(review: Review) -> None:
    report = review(("memory: 256MB", "memory: 300MB"))
    assert report["headline"] == "planned: nodes are touched, one zone after the other; 3 nodes replaced"
    assert counts(report) == {f"zone-{letter}": [0, 1, 2, 0] for letter in "abc"}
    assert findings(report) == {}
    assert fates(report) == each_zone("replaced")
    assert report["meaning"]["Settings"] == ["Redis `maxmemory`: 256mb → 300mb (every node)."]
    assert report["meaning"]["Data"] == ["Kept: every data volume (planned-a1, planned-b1, planned-c1)."]
    assert report["meaning"]["Leader"] == [
        "planned-a1 leads now, and hands over when zone a is reached: the leader moves between 2 and 3 times."
    ]


def test_instance_type_changed_and_volume_grown(review: Review) -> None:
    report = review(("{type: t3.small", "{data_volume_gib: 9, type: t3.medium"))
    assert counts(report) == {f"zone-{letter}": [0, 2, 2, 0] for letter in "abc"}
    assert findings(report) == {}
    assert fates(report) == each_zone("replaced")
    assert "Machine type t3.small → t3.medium: planned-a1, planned-b1, planned-c1." in report["meaning"]["Nodes"]
    assert report["meaning"]["Data"] == [
        "Kept: every data volume (planned-a1, planned-b1, planned-c1).",
        "The volume grows from 4 to 9 GiB, its file system at the next boot: planned-a1, planned-b1, planned-c1.",
    ]


def test_tls_that_its_default_would_switch_on(review: Review) -> None:
    """The report says what would be, where the deploy would refuse."""
    report = review(("tls: off\n", ""))
    assert findings(report)["tls-switched"] == [
        f"planned-{letter}1 begins to speak TLS to its peers; the file keeps it as it is with tls: off"
        for letter in "abc"
    ]


def test_three_nodes_become_five(review: Review) -> None:
    report = review(("protected: false", "layout: {kind: compact, nodes: 5}\nprotected: false"))
    assert report["headline"] == "planned: nodes are touched, one zone after the other; 2 nodes added; 2 to know"
    assert counts(report) == {
        "identity": [0, 1, 0, 0],
        "zone-a": [7, 0, 1, 0],
        "zone-b": [7, 0, 1, 0],
        "names": [2, 3, 0, 0],
    }
    assert findings(report) == {
        "quorum-raised": ["Sentinels: 3 → 5; a majority is 2 → 3"],
        "not-planned": ["needs outputs that come with this very change"],
    }
    assert fates(report) == each_zone("kept") | {"planned-a2": "added", "planned-b2": "added"}
    assert report["meaning"]["Write pause"] == ["None is expected."]


def test_network_moved(review: Review) -> None:
    report = review(("10.77.0.0/16", "10.78.0.0/16"))
    assert report["verdict"] == "blocked"
    assert findings(report) == {
        "several-zones-at-once": [
            "replaces or destroys what zones a, b, c stand on",
            "nodes of every zone are cut off from each other (redis-out, sentinel-out, redis-in, sentinel-in)",
        ],
        "address-changed": [
            "10.77.0.4, 10.77.0.5, 10.77.0.6 become 10.78.0.4, 10.78.0.5, 10.78.0.6",
            "10.77.16.4, 10.77.16.5, 10.77.16.6 become 10.78.16.4, 10.78.16.5, 10.78.16.6",
            "10.77.32.4, 10.77.32.5, 10.77.32.6 become 10.78.32.4, 10.78.32.5, 10.78.32.6",
        ],
        "opened": ["10.78.0.0/16 may reach port 6379 (the leader and replica endpoints)"],
        "closed": ["no more: 10.77.0.0/16 may reach port 6379 (the leader and replica endpoints)"],
        "stale-inputs": [
            "reads 3 values that network replaces",
            *["reads 3 values that network replaces", "reads 1 value that zone-a replaces"] * 2,
        ],
        "network-switched": ["the network goes: make another environment in the new one, and move the data"],
    }
    assert report["meaning"]["Write pause"] == ["**From the loss of the majority until it is back.**"]


def test_zone_added_and_endpoint_renamed(review: Review) -> None:
    """A fourth zone needs more nodes than three; the names have nothing to do with it.

    It takes the place of the fourth node, which the others knew in another zone: so they are replaced, and their
    roles read another gateway's reports. Zone b can no longer come to have two, and needs no group.
    """
    report = review(
        ("zones: [a, b, c]", "zones: [a, b, c, d]\nlayout: {kind: compact, nodes: 5}"),
        ("10.77.0.0/16", "10.77.0.0/16, domain: cache.internal"),
    )
    assert report["headline"] == "planned: blocked by address-changed; 3 nodes replaced; 2 nodes added; 3 to know"
    assert counts(report) == {
        "network": [8, 1, 0, 0],
        "identity": [0, 1, 0, 0],
        "zone-a": [7, 2, 2, 0],
        "zone-b": [0, 2, 2, 1],
        "zone-c": [0, 2, 2, 0],
        "zone-d": [10, 0, 0, 0],
        "names": [2, 0, 9, 0],
    }
    assert findings(report) == {
        "address-changed": ["the names under planned.holdfast.internal are no more"],
        "elastic-ips-taken": ["takes 1 more of the region's Elastic IPs, and 4 in all"],
        "quorum-raised": ["Sentinels: 3 → 5; a majority is 2 → 3"],
        "not-planned": ["needs outputs that come with this very change"] * 2,
    }
    added = {"planned-a2": "added", "planned-d1": "added"}
    assert fates(report) == each_zone("replaced") | added
    assert "Hardware perhaps shared with other nodes of the zone: planned-b1." in report["meaning"]["Nodes"]
    assert report["meaning"]["Endpoints"] == [
        "**Gone**: every name under planned.holdfast.internal.",
        "New: planned-a2 with leader endpoint 10.77.0.8 and replica endpoint 10.77.0.9.",
        "New: planned-d1 with leader endpoint 10.77.48.5 and replica endpoint 10.77.48.6.",
    ]


def test_environment_renamed(review: Review) -> None:
    report = review(("name: planned", "name: fresh"), name="fresh", base="HEAD")
    assert report["headline"] == "fresh: blocked by environment-renamed; 1 to know"
    assert findings(report) == {
        "environment-renamed": ["planned exists and has no file any more, fresh is new: its data is not carried over"],
        "elastic-ips-taken": ["takes 3 more of the region's Elastic IPs, and 3 in all"],
    }
    known_from = {it["name"]: it["known_from"] for it in report["stacks"]}
    assert known_from == {
        "network": "plan",
        "identity": "plan",
        "zone-a": "synthesis",
        "zone-b": "synthesis",
        "zone-c": "synthesis",
        "watch": "synthesis",
        "names": "synthesis",
    }
    assert counts(report)["zone-a"] == [11, 0, 0, 0]
    # The base has no `fresh`, so all of it is new, and what is not waived for it is told.
    assert [(it["check"], it["construct"]) for it in report["checkov"]["new"]] == [
        ("CKV2_AWS_61", "fresh-identity/bucket"),
        ("CKV_AWS_21", "fresh-identity/bucket"),
    ]


def test_image_changed_volume_shrunk_endpoints_opened_protection_removed_and_construct_renamed(
    review: Review, applied: Terraform, tmp_path: Path
) -> None:
    """Five changes that have nothing to do with each other, and one override that is for another risk."""
    overrides = "{overrides: [{rule: key-destroyed, reason: none, expires: 2999-01-01}]}"
    report = review(
        ("10.77.0.0/16", "10.77.0.0/16, clients: [0.0.0.0/0]"),
        ("image: debian-12", "image: debian-13, data_volume_gib: 2"),
        ("protected: false", f"review: {overrides}\nprotected: false"),
        state=as_it_might_have_been(applied, tmp_path / "state"),
    )
    assert report["headline"] == (
        "planned: blocked by data-destroyed, stateful-renamed, opened-to-the-world, protection-removed, volume-shrunk; "
        "3 nodes replaced; 1 to know"
    )
    assert findings(report) == {
        "data-destroyed": ["the data volume is destroyed"],
        "stateful-renamed": [
            "aws_ebs_volume.planned-b1-disk is destroyed, and aws_ebs_volume.planned-b1-data takes its place"
        ],
        "opened-to-the-world": [
            "the whole internet (0.0.0.0/0) may reach port 6379 (the leader and replica endpoints)"
        ],
        "protection-removed": ["`deletion_window_in_days`: 30 → 7 days in which a deletion can be taken back"],
        "volume-shrunk": ["4 GiB → 2 GiB"] * 2,
        "major-upgrade": ["Redis 7.0 → 8.0"] * 3,
    }
    assert [it["rule"] for it in report["unused_overrides"]] == ["key-destroyed"]


def test_an_environment_is_reviewed_before_there_is_a_place_for_its_states(applied: Terraform, api: Api) -> None:
    """`prod` before `holdfast bootstrap prod`, with AWS's own endpoints led to the emulation by the environment."""
    variables = applied.variables | environment_of(api)
    for name in ("AWS_PROFILE", "HOLDFAST_ENVIRONMENTS_DIR"):
        variables.pop(name, None)
    report = run("prod", variables)
    assert report["headline"] == "prod: a new environment; 3 to know"
    assert set(findings(report)) >= {"account-not-ready", "packages-unpinned"}
    assert findings(report)["account-not-ready"][-1].endswith("-state: holdfast bootstrap prod")
    assert [it["known_from"] for it in report["stacks"]] == ["plan", "plan", *["synthesis"] * 5]
    assert counts(report)["zone-c"] == [11, 0, 0, 0]
    assert fates(report) == {"prod-a1": "added", "prod-b1": "added", "prod-c1": "added"}


def as_it_might_have_been(applied: Terraform, folder: Path) -> Path:
    """A copy of the states: the key with the window of a protected one, which no API tells; a volume's construct as it
    was called before."""
    shutil.copytree(applied.folder / "state", folder)
    for stack, now, then in (
        ("identity", '"deletion_window_in_days": 7', '"deletion_window_in_days": 30'),
        ("zone-b", '"name": "planned-b1-data"', '"name": "planned-b1-disk"'),
    ):
        file = folder / f"planned-{stack}.tfstate"
        text = file.read_text()
        assert text.count(now) == 1
        file.write_text(text.replace(now, then))
    return folder
