"""Without credentials a review compares what two commits synthesise, and says so."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast.topology import pinned_types
from holdfast.topology.instances import BUILT_IN
from holdfast.topology.pinned_types import PinnedType

REPOSITORY = Path(__file__).resolve().parents[2]
HOLDFAST = Path(sys.executable).with_name("holdfast")


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=REPOSITORY, text=True, capture_output=True, check=False)


pytestmark = pytest.mark.skipif(git("rev-parse", "HEAD").returncode != 0, reason="not a git checkout")


def review(folder: Path, name: str, base: str = "HEAD") -> subprocess.CompletedProcess[str]:
    """Without anything that a cloud could be asked with."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    return subprocess.run(
        [str(HOLDFAST), "review", name, "--offline", "--base", base, "--json"],
        cwd=REPOSITORY,
        env=environ | {"HOLDFAST_ENVIRONMENTS_DIR": str(folder)},
        text=True,
        capture_output=True,
        check=False,
    )


def copied(folder: Path, name: str, *edits: tuple[str, str]) -> None:
    """`local` with edits, under a name."""
    text = (REPOSITORY / "environments" / "local.yaml").read_text()
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    (folder / f"{name}.yaml").write_text(text)
    pins = json.loads((REPOSITORY / "environments" / "images.lock.json").read_text())
    (folder / "images.lock.json").write_text(json.dumps(pins | {name: pins["local"]}))


def test_a_change_between_two_commits_is_told_as_what_it_means(tmp_path: Path) -> None:
    copied(
        tmp_path,
        "local",
        ("memory: 256MB", "memory: 300MB"),
        ("0.0/16}", "0.0/16, clients: [0.0.0.0/0]}"),
    )
    done = review(tmp_path, "local")
    assert done.returncode == 3, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["offline"] is True
    assert {stack["known_from"] for stack in report["stacks"]} == {"diff"}
    assert "Redis `maxmemory`: 256mb → 300mb (every node)." in report["meaning"]["Settings"]
    assert [it["rule"] for it in report["findings"] if it["blocks"]] == ["opened-to-the-world"]
    assert report["checkov"] == {"new": [], "not_asked": ""}
    assert report["meaning"]["Leader"][0] == "Who leads now is unknown (nothing was asked)."
    assert "base" not in git("worktree", "list").stdout


def test_what_ec2_says_anew_of_an_instance_type_is_a_change_of_the_machines(tmp_path: Path) -> None:
    copied(tmp_path, "local")
    more = dataclasses.replace(BUILT_IN["t3.small"], memory=3072)
    pinned_types.write("local", {"t3.small": PinnedType.of(more, "a test")}, tmp_path)
    done = review(tmp_path, "local")
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["meaning"]["Nodes"][1] == "Files in the user-data change: local-a1, local-b1, local-c1."


def test_a_renamed_environment_is_found_by_the_file_that_is_gone(tmp_path: Path) -> None:
    copied(tmp_path, "fresh", ("name: local", "name: fresh"))
    done = review(tmp_path, "fresh")
    assert done.returncode == 3, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert "local exists and has no file any more, fresh is new: its data is not carried over" in [
        hit["sentence"] for finding in report["findings"] for hit in finding["hits"]
    ]
    # An unprotected one keeps no old versions: waived for `local`, which this one is not any more.
    assert [(it["check"], it["construct"]) for it in report["checkov"]["new"]] == [
        ("CKV2_AWS_61", "fresh-identity/bucket"),
        ("CKV_AWS_21", "fresh-identity/bucket"),
    ]


def test_a_base_that_is_not_there_is_named(tmp_path: Path) -> None:
    copied(tmp_path, "local")
    done = review(tmp_path, "local", base="no-such-commit")
    assert done.returncode == 1
    assert "--base no-such-commit: this checkout has no such commit" in done.stderr
