"""A data volume is formatted only when it is blank, and another's is never touched."""

import os
import shutil
import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from holdfast_node import volume
from holdfast_node.identity import Identity

OWN = "11111111-2222-3333-4444-555555555555"
FOLDERS = {"redis", "sentinel", "node", "aside", "backup", "restore"}


class Cloud:
    """What it says of the volume, call after call."""

    def __init__(self) -> None:
        self.answers: list[str | Exception] = []

    def attach_data_volume(self) -> str:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Machine:
    """The commands that changed one device, and what blkid, blockdev, dumpe2fs and e2fsck say of it."""

    def __init__(self, device: Path) -> None:
        self.device = device
        self.tags: dict[str, str] = {}
        self.blocks = 512
        self.fsck = 0
        self.ran: list[str] = []
        self.options: set[str] = set()
        """With which it was mounted."""
        self.cloud: Any = Cloud()

    def run(self, command: list[Any], **_: Any) -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in command]
        assert str(self.device) in words
        code, said = 0, ""
        match words[0]:
            case "blkid":
                said = self.tags.get(words[words.index("-s") + 1], "")
            case "blockdev":
                said = str(self.device.stat().st_size)
            case "dumpe2fs":
                said = f"Filesystem volume name:   <none>\nBlock count:              {self.blocks}\nBlock size: 4096"
            case "e2fsck":
                code = self.fsck
            case "mkfs.ext4":
                self.ran.append("mkfs.ext4")
                self.tags = {"TYPE": "ext4", "UUID": words[words.index("-U") + 1]}
            case "mount":
                self.ran.append("mount")
                self.options = set(words[words.index("-o") + 1].split(","))
            case _:
                self.ran.append(words[0])
        return subprocess.CompletedProcess(command, code, said + "\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """With one blank volume of 2 MiB."""
    device = tmp_path / "nvme1n1"
    device.write_bytes(bytes(2 << 20))
    machine = Machine(device)
    monkeypatch.setattr(subprocess, "run", machine.run)
    monkeypatch.setattr(volume, "_candidates", lambda: [device])
    monkeypatch.setattr(volume, "MOUNT_POINT", tmp_path / "mount")
    monkeypatch.setattr(shutil, "chown", lambda *_: None)
    return machine


def test_a_blank_volume_is_formatted_with_the_nodes_id_and_mounted(
    identity: Identity, machine: Machine, tmp_path: Path
) -> None:
    volume.prepare(identity, machine.cloud)
    assert machine.tags["UUID"] == OWN
    assert machine.ran == ["mkfs.ext4", "mount"]
    assert {folder.name for folder in (tmp_path / "mount").iterdir()} == FOLDERS


def used(machine: Machine) -> None:
    """The volume as this node left it."""
    machine.device.write_bytes(b"superblock" + bytes((2 << 20) - 10))
    machine.tags = {"TYPE": "ext4", "UUID": OWN}


def test_the_nodes_own_volume_is_mounted_and_never_formatted(identity: Identity, machine: Machine) -> None:
    used(machine)
    volume.prepare(identity, machine.cloud)
    assert machine.ran == ["mount"]


def test_a_volume_that_has_grown_is_filled_before_it_is_mounted(identity: Identity, machine: Machine) -> None:
    used(machine)
    machine.blocks = 256
    volume.prepare(identity, machine.cloud)
    assert machine.ran == ["resize2fs", "mount"]


@pytest.mark.parametrize(("code", "ran"), [(1, ["mount"]), (4, [])], ids=["mended", "damaged"])
def test_a_damaged_file_system_is_not_mounted(identity: Identity, machine: Machine, code: int, ran: list[str]) -> None:
    used(machine)
    machine.fsck = code
    with nullcontext() if ran else pytest.raises(volume.Refused, match="is damaged .e2fsck -p exited with 4."):
        volume.prepare(identity, machine.cloud)
    assert machine.ran == ran


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ({"TYPE": "xfs", "UUID": "other"}, "xfs with the id other"),
        ({"PTTYPE": "gpt"}, "unknown data with the id none"),
        ({}, "unknown data with the id none"),
    ],
    ids=["another file system", "a partition table", "bytes that nobody knows"],
)
def test_anything_else_is_refused_and_not_touched(
    identity: Identity, machine: Machine, tags: dict[str, str], found: str
) -> None:
    content = b"somebody's data" + bytes(1 << 20)
    machine.device.write_bytes(content)
    machine.tags = tags
    with pytest.raises(volume.Refused) as refused:
        volume.prepare(identity, machine.cloud)
    assert str(refused.value) == (
        f"{machine.device} holds {found}; accepted: a blank volume, or that of local-a1 ({OWN}). "
        "Attach that one; nothing was changed"
    )
    assert machine.ran == []
    assert machine.device.read_bytes() == content


def test_zeros_with_a_signature_further_in_are_not_blank(identity: Identity, machine: Machine) -> None:
    machine.tags = {"TYPE": "zfs_member", "UUID": "77"}
    with pytest.raises(volume.Refused):
        volume.prepare(identity, machine.cloud)
    assert machine.ran == []


def test_no_volume_within_the_deadline_says_where_it_looked(
    identity: Identity, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volume, "_candidates", lambda: [])
    monkeypatch.setattr(volume, "PATIENCE", 0.05)
    machine.cloud.answers = ["waits for vol-1, which i-2 still has"]
    with pytest.raises(TimeoutError, match="no data volume within 0.05 s: looked for .*; last: waits for vol-1, which"):
        volume.prepare(identity, machine.cloud)


def test_a_volume_is_asked_for_until_it_is_there(
    identity: Identity, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    used(machine)
    machine.cloud.answers = [OSError("no answer"), "waits for vol-1, which i-2 still has", "attaches vol-1"]
    monkeypatch.setattr(volume, "_candidates", lambda: [] if machine.cloud.answers else [machine.device])
    monkeypatch.setattr(volume, "ATTACH_INTERVAL", 0)
    volume.prepare(identity, machine.cloud)
    assert machine.ran == ["mount"]


def test_the_data_volume_is_the_one_that_is_not_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nvme0n1", "nvme0n1p1", "nvme1n1"):
        (tmp_path / name).touch()
    by_id = tmp_path / "by-id"
    by_id.mkdir()
    links = {"vol0aa": "nvme0n1", "vol0aa_1": "nvme0n1", "vol0aa-part1": "nvme0n1p1"}
    links |= {"vol0bb": "nvme1n1", "vol0bb_1": "nvme1n1"}
    for name, device in links.items():
        (by_id / f"nvme-Amazon_Elastic_Block_Store_{name}").symlink_to(tmp_path / device)
    monkeypatch.setattr(volume, "BY_ID", by_id)
    monkeypatch.setattr(volume, "XEN_NAMES", (tmp_path / "sdf",))
    monkeypatch.setattr(volume, "Path", _paths_with_mounts(tmp_path, f"{tmp_path}/nvme0n1p1 / ext4 rw 0 0\n"))
    assert volume._candidates() == [tmp_path / "nvme1n1"]


def test_on_xen_the_data_volume_has_its_attachments_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "xvdf").touch()
    monkeypatch.setattr(volume, "BY_ID", tmp_path / "nothing")
    monkeypatch.setattr(volume, "XEN_NAMES", (tmp_path / "sdf", tmp_path / "xvdf"))
    assert volume._candidates() == [tmp_path / "xvdf"]


def _paths_with_mounts(folder: Path, mounts: str) -> Any:
    (folder / "mounts").write_text(mounts)
    return lambda path: Path(folder / "mounts" if path == "/proc/self/mounts" else path)


def test_each_folder_has_its_owner_and_none_is_open_to_redis_but_its_own(
    identity: Identity, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an older program left them, too."""
    used(machine)
    (tmp_path / "mount" / "node").mkdir(parents=True, mode=0o777)
    given: dict[int, str] = {}
    monkeypatch.setattr(shutil, "chown", lambda file, user, _: given.update({os.stat(file).st_ino: user}))
    volume.prepare(identity, machine.cloud)
    found = {
        it.name: (given[it.stat().st_ino], oct(it.stat().st_mode & 0o777)) for it in (tmp_path / "mount").iterdir()
    }
    assert found == {
        "redis": ("redis", "0o770"),
        "sentinel": ("redis", "0o700"),
        "node": ("holdfast", "0o755"),
        "aside": ("holdfast", "0o700"),
        "backup": ("holdfast", "0o700"),
        "restore": ("holdfast", "0o700"),
    }


def test_nothing_on_a_volume_becomes_root_a_device_or_a_program(identity: Identity, machine: Machine) -> None:
    volume.prepare(identity, machine.cloud)
    assert {"nosuid", "nodev", "noexec"} <= machine.options


@pytest.mark.parametrize("name", sorted(FOLDERS))
@pytest.mark.parametrize("left", ["link", "link to nothing", "file"])
def test_what_a_machine_left_in_place_of_a_folder_is_refused_and_not_followed(
    identity: Identity, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, left: str
) -> None:
    used(machine)
    etc, folder = tmp_path / "etc", tmp_path / "mount" / name
    folder.parent.mkdir()
    if left == "file":
        folder.touch()
    else:
        folder.symlink_to(etc)
    if left == "link":
        etc.mkdir()
    given: list[int] = []
    monkeypatch.setattr(shutil, "chown", lambda path, *_: given.append(os.stat(path).st_ino))
    with pytest.raises(volume.Refused, match=f"{name} is no folder .*replace it; nothing was changed"):
        volume.prepare(identity, machine.cloud)
    assert folder.is_symlink() or folder.is_file()
    assert etc.exists() is (left == "link")
    assert not {it.stat().st_ino for it in (etc, folder) if it.exists()} & set(given)
