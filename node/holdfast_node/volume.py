"""The data volume: attached, formatted only when it is blank, mounted by its file system's id, grown with its disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from holdfast_node.cloud import Cloud
from holdfast_node.files import PROGRAM, REDIS
from holdfast_node.identity import Identity
from holdfast_node.log import say

MOUNT_POINT = Path("/var/lib/holdfast")
BY_ID = Path("/dev/disk/by-id")
XEN_NAMES = (Path("/dev/sdf"), Path("/dev/xvdf"))
PATIENCE = 600
"""Seconds to wait for the volume: the machine before this one may still be giving it back."""

ATTACH_INTERVAL = 1.0
"""Seconds between two calls of the cloud for it."""

MOUNT_OPTIONS = "noatime,nosuid,nodev,noexec"
"""Volumes outlive machines: what one left on it must not become root, a device or a program of the next."""

FOLDERS = {
    "redis": (REDIS, 0o770),
    "sentinel": (REDIS, 0o700),
    "node": (PROGRAM, 0o755),
    "aside": (PROGRAM, 0o700),
    "backup": (PROGRAM, 0o700),
    "restore": (PROGRAM, 0o700),
}
"""Owner and mode of what is on it. Redis' group, in which the node program is too, takes files out of its folder; a new
Sentinel reads in `node` whom to monitor."""

UNCORRECTED = 4
"""e2fsck's exit code for damage that it left."""


class Refused(Exception):
    """The volume that is there is not this node's."""


def prepare(identity: Identity, cloud: Cloud) -> None:
    """Attach this node's volume, mount it at /var/lib/holdfast and make a folder on it for each who keeps something.

    Raises:
        Refused: it holds something else; nothing was changed.
        TimeoutError: no volume was attached.
    """
    volume_id = identity.volume_id
    if volume_id is None:
        raise Refused(f"{identity.node} keeps nothing (roles: {', '.join(identity.roles)}) and so has no volume")
    if not os.path.ismount(MOUNT_POINT):
        device = _wait_for_device(cloud)
        if _is_blank(device):
            say(f"formats {device}, which is blank")
            subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-U", volume_id, device], check=True)
        found = _probe(device, "UUID")
        if found != volume_id:
            raise Refused(
                f"{device} holds {_probe(device, 'TYPE') or 'unknown data'} with the id {found or 'none'}; "
                f"accepted: a blank volume, or that of {identity.node} ({volume_id}). "
                "Attach that one; nothing was changed"
            )
        _check(device)
        _grow(device)
        MOUNT_POINT.mkdir(mode=0o755, parents=True, exist_ok=True)
        subprocess.run(["mount", "-o", MOUNT_OPTIONS, device, MOUNT_POINT], check=True)
        say(f"mounted {device} ({found}) at {MOUNT_POINT}")
    for name, (owner, mode) in FOLDERS.items():
        _make_folder(MOUNT_POINT / name, owner, mode)


def _make_folder(folder: Path, owner: str, mode: int) -> None:
    """Never through a link: with `redis -> /etc` the machine before would have this one give its /etc away."""
    if not os.path.lexists(folder):
        folder.mkdir(mode=0o700)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise Refused(
            f"{folder} is no folder ({error.strerror}), and Holdfast makes nothing else there: the machine before may "
            "have been in other hands. Look at the volume, or replace it; nothing was changed"
        ) from None
    try:
        shutil.chown(descriptor, owner, owner)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _check(device: Path) -> None:
    """Replay the journal, and mend what can be mended without asking."""
    code = subprocess.run(["e2fsck", "-p", device], check=False).returncode
    if code & UNCORRECTED:
        raise Refused(f"{device}: its file system is damaged (e2fsck -p exited with {code}); look at it, or replace it")


def _grow(device: Path) -> None:
    """Fill a volume that has become larger. Before it is mounted: it works in a container too."""
    size = int(subprocess.check_output(["blockdev", "--getsize64", device], text=True))
    superblock = subprocess.check_output(["dumpe2fs", "-h", device], text=True, stderr=subprocess.DEVNULL)
    fields = dict(line.split(":", 1) for line in superblock.splitlines() if ":" in line)
    block = int(fields["Block size"])
    if size // block > int(fields["Block count"]):
        say(f"grows the file system of {device} to {size >> 20} MiB")
        subprocess.run(["e2fsck", "-f", "-p", device], check=False)
        subprocess.run(["resize2fs", device], check=True)


def _wait_for_device(cloud: Cloud) -> Path:
    deadline, next_call, said = time.monotonic() + PATIENCE, 0.0, ""
    while time.monotonic() < deadline:
        # First: a machine that was only restarted has it, and needs no cloud.
        for device in _candidates():
            return device
        if time.monotonic() >= next_call:
            found = _attach(cloud)
            if found != said:
                say(found)
            said, next_call = found, time.monotonic() + ATTACH_INTERVAL
        time.sleep(0.1)
    raise TimeoutError(
        f"no data volume within {PATIENCE} s: looked for EBS volumes in {BY_ID}, and for {XEN_NAMES}; last: {said}"
    )


def _attach(cloud: Cloud) -> str:
    try:
        return cloud.attach_data_volume()
    except Exception as error:
        # Whatever it was (no answer, not running yet, given back just now): it is tried again.
        return f"cannot attach the data volume yet: {error}"


def _candidates() -> list[Path]:
    """EBS volumes that hold no mounted file system of this machine: on Nitro by id, on Xen by name."""
    mounted = {line.split()[0] for line in Path("/proc/self/mounts").read_text().splitlines()}
    by_id = sorted({path.resolve() for path in BY_ID.glob("nvme-Amazon_Elastic_Block_Store_vol*") if _is_whole(path)})
    # The root volume shows as a disk too; what is mounted is one of its partitions.
    nitro = [device for device in by_id if not any(name.startswith(str(device)) for name in mounted)]
    return nitro or [device.resolve() for device in XEN_NAMES if device.exists()]


def _is_whole(path: Path) -> bool:
    """Not a partition, and not the second link that udev makes for each name space."""
    return "-part" not in path.name and "_1" not in path.name


def _is_blank(device: Path) -> bool:
    with device.open("rb") as stream:
        head = stream.read(1 << 20)
    return not any(head) and not _probe(device, "TYPE") and not _probe(device, "PTTYPE")


def _probe(device: Path, tag: str) -> str:
    done = subprocess.run(
        ["blkid", "-p", "-o", "value", "-s", tag, device], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
