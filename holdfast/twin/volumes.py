"""The twin's volumes: sparse files on loop devices, plugged into running machines as the NVMe disks that EC2 shows.

Nothing here remembers anything: a volume is its file, its loop device is found by the file behind it, and what is
attached is what the machine has in /dev. A machine that boots has an empty /dev: attach again then.
"""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.twin import machines
from holdfast.twin.run import STATE, make_own, run, wait_until

VOLUMES = STATE / "volumes"
GIB = 1024**3

_ATTACHING = threading.Lock()
"""Two threads must not make two loop devices for one file: their caches would know nothing of each other. Nor may two
make the same device node."""


def create(volume_id: str, size_gib: int) -> None:
    """Make a blank volume. It takes no space on the host until it is written to. Does nothing when there is one."""
    make_own(VOLUMES)
    file = _file(volume_id)
    if not file.exists():
        with file.open("xb") as content:
            content.truncate(size_gib * GIB)


def grow(volume_id: str, size_gib: int) -> None:
    """Make a volume larger, attached or not; its file system is grown from inside the machine. Never shrinks."""
    file = _file(volume_id)
    if file.stat().st_size >= size_gib * GIB:
        return
    os.truncate(file, size_gib * GIB)
    loop = _loop(volume_id)
    if loop is not None:
        run(["losetup", "--set-capacity", loop])


def blank(volume_id: str) -> None:
    """Make a volume as empty as a new one. Its machine must be off.

    Raises:
        HoldfastError: a machine still uses it.
    """
    release(volume_id)
    # Else what was cached for the loop device would outlive what was in the file.
    if not wait_until(lambda: _loop(volume_id) is None, timeout=5):
        raise HoldfastError(f"volume {volume_id} is still in use; it can be blanked when its machine is off")
    file = _file(volume_id)
    size = file.stat().st_size
    os.truncate(file, 0)
    os.truncate(file, size)


def delete(volume_id: str) -> None:
    """Delete a volume and what is on it. Fine when there is none."""
    release(volume_id)
    _file(volume_id).unlink(missing_ok=True)


def attach(volume_id: str, instance_id: str, device: str = "/dev/sdf") -> bool:
    """Plug a volume into a running machine, as `/dev/nvme<n>n1` with the links that cloud images have.

    Returns whether it was not plugged in already.

    Raises:
        NotRunning: the machine is off.
        HoldfastError: there is no such volume, or `device` is no name that EC2 takes.
    """
    node_name = _node_name(device)
    dev = _dev(instance_id)
    node = dev / node_name
    with _ATTACHING:
        number = _ensure_loop(volume_id).stat().st_rdev
        new = not node.exists()
        if not new and node.stat().st_rdev != number:
            raise HoldfastError(f"{instance_id} has another volume as {device}; detach it first")
        if new:
            os.mknod(node, stat.S_IFBLK | 0o660, number)
            # Group `disk`, which has this number in every Debian.
            os.chown(node, 0, 6)
        for link, target in (
            (_by_id(dev, volume_id), f"../../{node_name}"),
            (dev / device.removeprefix("/dev/"), node_name),
        ):
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(target)
    return new


def detach(volume_id: str, instance_id: str) -> None:
    """Unplug a volume from a machine, running or not. Fine when it is not attached.

    A file system that is still mounted there keeps the loop device until it is unmounted.
    """
    try:
        dev = _dev(instance_id)
    except machines.NotRunning:
        release(volume_id)
        return
    link = _by_id(dev, volume_id)
    if link.is_symlink():
        node_name = link.readlink().name
        for path in dev.iterdir():
            if path.name == node_name or (path.is_symlink() and path.readlink() == Path(node_name)):
                path.unlink()
        link.unlink()
    release(volume_id)


def attached(instance_id: str) -> set[str]:
    """The ids of the volumes that are plugged into a machine; empty when it is off."""
    try:
        folder = _dev(instance_id) / "disk/by-id"
    except machines.NotRunning:
        return set()
    prefix = _by_id(Path(), "vol-").name
    return {f"vol-{path.name.removeprefix(prefix)}" for path in folder.glob(f"{prefix}*")}


def release(volume_id: str) -> None:
    """Give back the volume's loop device, now or as soon as nobody has it mounted. Fine when it has none."""
    loop = _loop(volume_id)
    if loop is not None:
        run(["losetup", "--detach", loop])


def created() -> list[str]:
    """The ids of all volumes that exist."""
    return sorted(path.stem for path in VOLUMES.glob("vol-*.img"))


def sweep() -> list[str]:
    """Delete every volume on this host and free every loop device of one; return their ids. Machines must be off."""
    found = sorted({*created(), *_loops()})
    for volume_id in found:
        delete(volume_id)
    if VOLUMES.is_dir():
        VOLUMES.rmdir()
    return found


def _file(volume_id: str) -> Path:
    return VOLUMES / f"{volume_id}.img"


def _loops() -> dict[str, Path]:
    """Volume id → its loop device, for all loop devices of volumes; also of ones whose file was deleted."""
    found = {}
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            file = Path(backing.read_text(encoding="utf-8").rstrip("\n").removesuffix(" (deleted)"))
        except OSError:
            # Freed while it was read.
            continue
        if file.parent == VOLUMES:
            found[file.stem] = Path("/dev") / backing.parent.parent.name
    return found


def _loop(volume_id: str) -> Path | None:
    return _loops().get(volume_id)


def _ensure_loop(volume_id: str) -> Path:
    loop = _loop(volume_id)
    if loop is not None:
        return loop
    file = _file(volume_id)
    if not file.is_file():
        raise HoldfastError(f"there is no volume {volume_id}: found no {file}")
    return Path(run(["losetup", "--find", "--show", file]).strip())


def _dev(instance_id: str) -> Path:
    """The machine's /dev, as seen from the host."""
    return Path(f"/proc/{machines.leader(instance_id)}/root/dev")


def _by_id(dev: Path, volume_id: str) -> Path:
    """EC2 shows a volume's id, without its dash, as the disk's serial number; udev makes this link of it."""
    return dev / f"disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume_id.replace('-', '')}"


def _node_name(device: str) -> str:
    """`nvme1n1` of `/dev/sdf`: the root volume is number 0, attached ones follow."""
    letter = device.removeprefix("/dev/sd").removeprefix("/dev/xvd")
    if len(letter) != 1 or not "f" <= letter <= "p":
        raise HoldfastError(f"device {device} of a volume: found {device}, accepted are /dev/sdf to /dev/sdp")
    return f"nvme{ord(letter) - ord('f') + 1}n1"
