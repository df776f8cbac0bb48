"""What is noted where the kernel kills Redis for want of memory, and for how long it is told."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from holdfast_node import killed
from holdfast_node.killed import Killed

from holdfast.rendering.files import render_files
from holdfast.topology import Cluster, find_environment, load_environment

UNIT = "/etc/systemd/system/holdfast-redis.service"


def commands(folder: Path) -> dict[str, str]:
    """What the unit of `local`'s Redis has a shell do, with its files in `folder`, and the kernel's counters too."""
    cluster = Cluster.of(load_environment(find_environment("local")))
    found = {}
    for line in render_files(cluster, cluster.nodes[0])[UNIT].splitlines():
        name, _, command = line.partition("=-/bin/sh -c ")
        if command:
            # As systemd reads it.
            said = command.strip("'").replace("$$", "$").replace("%%", "%")
            found[name] = said.replace("/run/holdfast-redis", str(folder)).replace("/proc/vmstat", f"{folder}/vmstat")
    return found


@pytest.mark.parametrize(
    ("status", "before", "after", "noted"),
    [
        ("KILL", "oom_kill 7", "oom_kill 8", True),
        ("KILL", "oom_kill 7", "oom_kill 7", False),
        ("KILL", "oom_kill 7", "oom_kill 70", True),
        ("TERM", "oom_kill 7", "oom_kill 8", False),
        ("0", "oom_kill 7", "oom_kill 8", False),
        # A kernel that does not count.
        ("KILL", "nr_free_pages 1", "nr_free_pages 2", False),
    ],
)
def test_only_who_was_killed_while_the_kernel_freed_memory_was_killed_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, before: str, after: str, noted: bool
) -> None:
    monkeypatch.setattr(killed, "NOTE", tmp_path / "killed-for-memory")
    unit = commands(tmp_path)
    for name, counters in (("ExecStartPre", before), ("ExecStopPost", after)):
        (tmp_path / "vmstat").write_text(f"nr_dirty 8\n{counters}\noom_kill_other 7\n")
        subprocess.run(["sh", "-c", unit[name]], env=os.environ | {"EXIT_STATUS": status}, check=False)
    found = killed.last(time.time())
    assert (found is not None) is noted
    if found:
        assert found.limit_mib == 2048 - 384
        assert abs(time.time() - found.at) < 5


def test_it_is_told_for_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = tmp_path / "killed-for-memory"
    monkeypatch.setattr(killed, "NOTE", note)
    assert killed.last(0) is None
    note.write_text("1763600000 1664\n")
    assert killed.last(1763600000 + 86399) == Killed(1763600000.0, 1664)
    assert killed.last(1763600000 + 86400) is None
    note.write_text("")
    assert killed.last(1763600000) is None
