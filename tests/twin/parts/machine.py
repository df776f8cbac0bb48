"""A machine by itself: with a network namespace and a metadata service of its own, and without an API."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.twin import images, machines
from holdfast.twin.run import CommandFailed, run, wait_until

MEMORY = 512
"""MiB."""


@dataclass(frozen=True)
class Machine:
    """One machine with its own network namespace and metadata service."""

    id: str
    netns: str

    def sh(self, script: str) -> str:
        return machines.output(self.id, ["sh", "-c", script])

    def wait_until_up(self) -> None:
        """Until systemd has started everything. Before it listens, `systemctl` says that it is offline."""
        last = ["nothing"]

        def up() -> bool:
            try:
                last[0] = self.sh("systemctl is-system-running || true").strip()
            except CommandFailed as error:
                last[0] = str(error)
            return last[0] in ("running", "degraded")

        assert wait_until(up, timeout=30, interval=0.1), f"last seen: {last[0]}"

    def boot(self) -> None:
        machines.boot(self.id, self.netns, MEMORY)
        self.wait_until_up()


@contextmanager
def running(number: str, image: images.Image | Path, user_data: Path, *router_runs: str) -> Iterator[Machine]:
    """A machine of that user-data that has begun to boot; nothing of it is left afterwards.

    Args:
        number: two digits of its id, so that several can be there.
        image: one of the catalogue, or a root file system.
        router_runs: a command that the other end of its only link, 198.51.100.1, runs meanwhile.
    """
    instance_id, netns, router = f"i-000000000000e{number}ad", f"hf-test-{number}", f"hf-test-{number}r"
    _remove(instance_id, netns, router)
    run(["ip", "netns", "add", netns])
    run(["ip", "netns", "add", router])
    run(["ip", "-n", netns, "link", "add", "eth0", "type", "veth", "peer", "name", "link", "netns", router])
    for space, link, address in ((netns, "eth0", "10.99.0.2/24"), (router, "link", "10.99.0.1/24")):
        run(["ip", "-n", space, "address", "add", address, "dev", link])
        run(["ip", "-n", space, "link", "set", "dev", link, "up"])
        run(["ip", "-n", space, "link", "set", "lo", "up"])
    run(["ip", "-n", netns, "route", "add", "default", "via", "10.99.0.1"])
    for address in ("169.254.169.254/32", "198.51.100.1/32"):
        run(["ip", "-n", router, "address", "add", address, "dev", "lo"])
    metadata = [sys.executable, str(Path(__file__).with_name("small_metadata.py")), instance_id, str(user_data)]
    services = [subprocess.Popen(["ip", "netns", "exec", router, *words]) for words in (metadata, router_runs) if words]
    try:
        machines.create(instance_id, image if isinstance(image, Path) else images.ensure(image))
        machines.boot(instance_id, netns, MEMORY)
        yield Machine(instance_id, netns)
    finally:
        for service in services:
            service.kill()
            service.wait()
        _remove(instance_id, netns, router)


def _remove(instance_id: str, *spaces: str) -> None:
    machines.destroy(instance_id)
    for space in spaces:
        if Path("/run/netns", space).exists():
            run(["ip", "netns", "delete", space])
