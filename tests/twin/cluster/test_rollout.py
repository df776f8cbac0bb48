"""A change rolls out zone by zone behind the gate: data, addresses and writes survive it, and a bad canary stops it."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.drill.deploy import deploy, edited
from holdfast.drill.writers import Writers
from holdfast.mirror import REPOSITORY
from holdfast.ops import mirrors
from holdfast.rendering.files import PACKAGES
from holdfast.topology import pinned_packages
from holdfast.topology.load import FOLDER_VARIABLE
from holdfast.topology.pinned_packages import Packages
from holdfast.topology.spec import Distribution
from holdfast.twin import images
from tests.twin.conftest import Judge
from tests.twin.environments import make

ACCEPTED_OUTAGE = 5.0
"""Seconds without an acknowledged write while the leader's zone is replaced."""


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Versions that the mirrors of the twin's images have."""
    archive, security = images.mirror()
    folders = (f"{archive}/dists/trixie", f"{archive}/dists/trixie-updates", f"{security}/dists/trixie-security")
    urls = [f"{folder}/main/binary-amd64/Packages.xz" for folder in folders]
    monkeypatch.setattr(mirrors, "indexes", lambda image, arch: urls)
    return mirrors.newest(Distribution.DEBIAN_13, "amd64", PACKAGES)


@pytest.fixture
def changed(tmp_path: Path, packages: dict[str, str]) -> dict[str, str]:
    """`local` with another eviction policy, on Debian 13 from a stock image: everything that user-data can change."""
    environ = edited(
        tmp_path,
        "local",
        ("memory: 256MB", "memory: 256MB\n  eviction: allkeys-lru"),
        ("image: debian-12", "image: debian-13"),
        ("images: baked", "images: stock"),
    )
    pins = {"debian-13/amd64": Packages(packages, "this test")}
    pinned_packages.write("local", pins, Path(environ[FOLDER_VARIABLE]))
    return environ


def test_apply_then_plan_shows_no_changes(healthy: Cluster) -> None:
    done = subprocess.run(["make", "plan", "ENV=local"], cwd=REPOSITORY, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "local: nothing changes" in done.stdout


@pytest.mark.rollout
def test_a_failed_canary_stops_the_deploy_and_a_good_one_rolls_through_every_zone(
    healthy: Cluster, changed: dict[str, str], packages: dict[str, str], writers: Writers, judge: Judge
) -> None:
    before = healthy.instances()
    with healthy.client() as application:
        application.set("kept", "through every replacement")
        assert application.wait(2, 2000) == 2

    healthy.fault("isolate", "a")
    failed = deploy(changed | {"HOLDFAST_GATE_TIMEOUT": "45"}, "local")
    assert failed.returncode != 0
    assert "the gate stayed closed for 45 s" in failed.stdout + failed.stderr
    stopped = healthy.instances()
    assert (stopped["local-b1"], stopped["local-c1"]) == (before["local-b1"], before["local-c1"])
    writers.wait_writing(gateways=2)

    healthy.heal()
    started = time.monotonic()
    done = deploy(changed, "local")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is not ready: first boot: " in done.stdout + done.stderr
    status = healthy.wait_healthy()
    after = healthy.instances()
    assert all(after[node] != before[node] for node in before)
    assert {node["version"].split(".")[0] for node in status["nodes"]} == {"8"}
    for node in after:
        installed = healthy.exec(node, "dpkg-query", "--show", "--showformat=${Package} ${Version}\n", *packages)
        assert dict(line.split() for line in installed.splitlines()) == packages
    writers.wait_writing(gateways=3)
    verdict = judge("every machine replaced, new major version", writers, struck=started, surviving=set(before))
    assert verdict.problems == ()
    assert [ack for ack in verdict.lost if ack.sent > started] == []
    assert verdict.silence <= ACCEPTED_OUTAGE

    with healthy.client() as application:
        assert application.get("kept") == "through every replacement"
    assert [node["address"] for node in status["nodes"]] == ["10.40.0.4", "10.40.16.4", "10.40.32.4"]


@pytest.mark.ends_the_cluster
def test_destroy_and_down_leave_nothing(cluster: Cluster) -> None:
    make("down")
    assert leftovers() == {"processes": [], "namespaces": [], "mounts": [], "loops": [], "files": []}
    assert cluster.holdfast("twin", "down").returncode == 0


def leftovers() -> dict[str, list[Any]]:
    """What of the twin is still on this machine, asked of the kernel and not of the twin."""
    processes = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "systemd-nspawn" in command or "holdfast.twin" in command:
            processes.append(command)
    mounts = [
        line for line in Path("/proc/mounts").read_text().splitlines() if "holdfast-twin" in line or "hf-" in line
    ]
    loops = json.loads(subprocess.check_output(["losetup", "--json"], text=True) or '{"loopdevices": []}')[
        "loopdevices"
    ]
    return {
        "processes": processes,
        "namespaces": [path.name for path in Path("/run/netns").glob("hf-*")],
        "mounts": [line for line in mounts if "/var/cache/holdfast-twin" not in line],
        "loops": [loop["name"] for loop in loops if "holdfast-twin" in loop["back-file"]],
        "files": [str(path) for path in (Path("/var/lib/holdfast-twin"), Path("/run/holdfast-twin")) if path.exists()],
    }
