"""The snippet for ioredis is JavaScript."""

from __future__ import annotations

import subprocess
from pathlib import Path

from holdfast.rendering import snippets
from holdfast.topology import Cluster, load_environment
from holdfast.topology.load import ENVIRONMENTS


def test_node_takes_the_ioredis_snippet(tmp_path: Path) -> None:
    file = tmp_path / "snippet.mjs"
    file.write_text(snippets(Cluster.of(load_environment(ENVIRONMENTS / "examples" / "tiered.yaml")), "app")["ioredis"])
    subprocess.run(["node", "--check", str(file)], check=True)
