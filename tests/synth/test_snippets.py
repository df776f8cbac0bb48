"""The snippet for ioredis is JavaScript."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from holdfast.rendering import snippets
from holdfast.topology import Cluster, load_environment
from holdfast.topology.load import ENVIRONMENTS
from holdfast.topology.spec import TlsMode, TlsSpec


@pytest.mark.parametrize("tls", [TlsSpec(mode=TlsMode.OFF), TlsSpec(mode=TlsMode.REQUIRED, mutual=True)])
def test_node_takes_the_ioredis_snippet(tmp_path: Path, tls: TlsSpec) -> None:
    file = tmp_path / "snippet.mjs"
    environment = load_environment(ENVIRONMENTS / "examples" / "tiered.yaml").model_copy(update={"tls": tls})
    file.write_text(snippets(Cluster.of(environment), "app")["ioredis"])
    subprocess.run(["node", "--check", str(file)], check=True)
