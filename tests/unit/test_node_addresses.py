"""A machine that boots takes its endpoint addresses on as soon as it can."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from holdfast_node import addresses, commands
from holdfast_node.identity import Identity


@pytest.mark.parametrize("nothing", ["[ ]\n", ""])
def test_without_a_default_route_it_tries_again(
    identity: Identity,
    nothing: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers, ran, waited = [nothing, '[{"dst":"default","gateway":"10.40.0.1","dev":"ens5"}]\n'], [], []

    def run(command: list[str], check: bool) -> None:
        ran.append(command)

    def ask(command: list[str], text: bool) -> str:
        return answers.pop(0)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(subprocess, "check_output", ask)
    monkeypatch.setattr(commands.time, "sleep", waited.append)
    monkeypatch.setattr(addresses, "DEVICE", tmp_path / "device.conf")
    monkeypatch.setattr(commands.identity, "load", lambda: identity)
    assert commands.main(["addresses"]) == 0
    assert waited == [commands.RETRY]
    assert [command[-1] for command in ran] == ["ens5", "ens5"]
    assert (tmp_path / "device.conf").read_text() == "$DEVICE=ens5\n"
    assert "no default route yet" in capsys.readouterr().err.splitlines()[0]
