"""The provider is the one that is locked, wherever it was found."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from holdfast.mirror import PROVIDER, PROVIDER_VERSION, find_mirror, lock_provider, write_cli_config


def init(folder: Path, mirror: Path) -> subprocess.CompletedProcess[str]:
    """In a folder like a stack's, with the provider of that mirror."""
    folder.mkdir()
    required = {"aws": {"source": "hashicorp/aws", "version": PROVIDER_VERSION}}
    (folder / "main.tf.json").write_text(json.dumps({"terraform": {"required_providers": required}}))
    lock_provider(folder)
    config = write_cli_config(mirror, folder / "terraformrc")
    return subprocess.run(
        ["terraform", "init", "-input=false", "-no-color"],
        cwd=folder,
        env=os.environ | {"TF_CLI_CONFIG_FILE": str(config), "CHECKPOINT_DISABLE": "1"},
        text=True,
        capture_output=True,
        check=False,
    )


def test_another_file_in_a_mirror_is_refused_before_it_runs(tmp_path: Path) -> None:
    unpacked = tmp_path / "mirror" / PROVIDER / PROVIDER_VERSION / "linux_amd64"
    unpacked.mkdir(parents=True)
    program = unpacked / f"terraform-provider-aws_v{PROVIDER_VERSION}_x5"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    done = init(tmp_path / "stack", tmp_path / "mirror")
    assert done.returncode != 0
    assert "doesn't match any of the checksums" in " ".join(done.stderr.split())
    assert not (tmp_path / "ran").exists()


def test_the_provider_itself_is_taken_from_a_mirror(tmp_path: Path) -> None:
    mirror = find_mirror()
    if mirror is None:
        pytest.skip("no mirror here")
    done = init(tmp_path / "stack", mirror)
    assert done.returncode == 0, done.stderr
