"""What a machine of the twin is: a systemd of its own, set up by its user-data, with volumes, and a plug to pull.

Needs root. Boots one Debian 12 and one Debian 13; touches no machine or volume but its own.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.rendering.files import TEMPLATES
from holdfast.twin import cgroups, images, machines, volumes
from holdfast.twin.run import CommandFailed, mounts, run, wait_until
from tests.twin.parts.machine import MEMORY, Machine, running

USER_DATA = gzip.compress(
    b"""\
#cloud-config
write_files:
- path: /etc/from-user-data
  content: hello
- path: /etc/systemd/system/handover.service
  content: |
    [Service]
    Type=oneshot
    RemainAfterExit=yes
    ExecStart=true
    ExecStop=sh -c 'echo handed over > /etc/handed-over'
    [Install]
    WantedBy=multi-user.target
- path: /etc/systemd/system/sleeper.service
  content: |
    [Service]
    ExecStart=redis-server --port 7000
- path: /etc/systemd/system/sandboxed.service
  content: |
    [Service]
    Type=oneshot
    User=redis
    ProtectSystem=strict
    ReadWritePaths=/var/lib/redis
    ProtectHome=yes
    PrivateTmp=yes
    PrivateDevices=yes
    PrivateUsers=yes
    NoNewPrivileges=yes
    CapabilityBoundingSet=
    MemoryDenyWriteExecute=yes
    ProtectKernelTunables=yes
    ProtectControlGroups=yes
    ProtectProc=invisible
    RestrictNamespaces=yes
    RestrictAddressFamilies=AF_INET AF_UNIX
    SystemCallFilter=@system-service
    ExecStart=sh -c 'touch /var/lib/redis/allowed; touch /etc/refused /tmp/private; ls /dev > /var/lib/redis/dev'
runcmd:
- [sh, -c, "echo once >> /etc/first-boots"]
- [systemctl, enable, --now, handover.service]
""",
    mtime=0,
)


@pytest.fixture(scope="module", params=["debian-12", "debian-13"])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    user_data = tmp_path_factory.mktemp("metadata") / "user-data"
    user_data.write_bytes(USER_DATA)
    with running(request.param.removeprefix("debian-"), images.of(request.param, baked=True), user_data) as booted:
        booted.wait_until_up()
        yield booted


@pytest.fixture
def volume(machine: Machine) -> Iterator[str]:
    volume_id = f"vol-0te{machine.id[-4:-2]}a"
    volumes.delete(volume_id)
    volumes.create(volume_id, 1)
    yield volume_id
    machine.sh("if mountpoint -q /mnt; then umount /mnt; fi")
    volumes.detach(volume_id, machine.id)
    volumes.delete(volume_id)


def test_a_machine_has_so_much_memory_and_what_takes_more_is_killed_in_it_alone(machine: Machine) -> None:
    assert machine.sh("grep MemTotal /proc/meminfo").split() == ["MemTotal:", str(MEMORY << 10), "kB"]
    before = machine.sh("systemctl start sleeper; systemctl show --property=MainPID sleeper")
    hog = machine.sh("systemd-run --quiet --wait --property=SuccessExitStatus=KILL tail /dev/zero; echo $?")
    assert hog.strip() == "0"
    assert machine.sh("systemctl show --property=MainPID sleeper") == before


def test_cloud_init_does_what_the_user_data_says_and_speaks_imdsv2(machine: Machine) -> None:
    assert machine.sh("cat /etc/from-user-data") == "hello"
    assert machine.sh("cat /etc/first-boots") == "once\n"
    assert machine.sh("hostname") == "ip-10-99-0-2\n"
    assert machine.sh("getent ahostsv4 ip-10-99-0-2").startswith("10.99.0.2 ")
    assert machine.sh("cloud-init query platform") == "ec2\n"
    assert machine.sh("cloud-init query cloud_name") == "aws\n"
    assert machine.sh("systemctl list-units --failed --no-legend") == ""


def test_the_distributions_timers_are_there_and_with_the_file_of_user_data_they_change_nothing(
    machine: Machine,
) -> None:
    """An upgrade that is not asked for leaves a log, and so it does here without that file."""
    timers, services = (f"apt-daily.{kind} apt-daily-upgrade.{kind}" for kind in ("timer", "service"))
    file, log = "/etc/apt/apt.conf.d/zz-holdfast", "/var/log/unattended-upgrades/unattended-upgrades.log"
    assert machine.sh(f"systemctl is-enabled {timers}; systemctl is-active {timers}").split() == [
        *("enabled", "enabled"),
        *("active", "active"),
    ]
    machine.sh(f"rm -f {log}; cat > {file} <<'END'\n{(TEMPLATES / 'apt.conf').read_text(encoding='utf-8')}END")
    machine.sh(f"systemctl start {services}")
    assert machine.sh(f"ls /var/lib/apt/periodic; test -e {log} || echo none") == "none\n"
    # The other one waits for a mirror, which there is not.
    machine.sh(f"rm {file}; systemctl start apt-daily-upgrade.service")
    assert machine.sh(f"test -e {log} && echo upgraded") == "upgraded\n"


def test_a_reboot_keeps_the_root_volume_and_does_not_run_the_user_data_again(machine: Machine) -> None:
    before = machines.leader(machine.id)
    machine.sh("rm -f /etc/handed-over; echo kept > /etc/kept")
    after = machines.reboot(machine.id)
    machine.wait_until_up()
    assert after != before
    assert machine.sh("cat /etc/kept") == "kept\n"
    assert machine.sh("cat /etc/first-boots") == "once\n"
    assert machine.sh("cat /etc/handed-over") == "handed over\n"


def test_power_off_lets_services_stop_and_a_power_cut_does_not(machine: Machine) -> None:
    machine.sh("rm -f /etc/handed-over")
    machines.kill(machine.id)
    assert machine.id not in machines.running()
    assert cgroups.processes(cgroups.group(machine.id)) == []
    machine.boot()
    assert machine.sh("test -e /etc/handed-over || echo no") == "no\n"

    assert machines.power_off(machine.id)
    assert machine.id not in machines.running()
    machine.boot()
    assert machine.sh("cat /etc/handed-over") == "handed over\n"


def test_a_machine_that_is_told_to_stop_while_it_starts_stops(machine: Machine) -> None:
    machines.power_off(machine.id)
    machines.boot(machine.id, machine.netns, MEMORY)
    assert machines.power_off(machine.id, timeout=20)
    machine.boot()


def test_a_machine_outlives_the_process_that_started_it_and_is_found_by_others(machine: Machine) -> None:
    machines.power_off(machine.id)
    script = f"from holdfast.twin import machines; print(machines.boot({machine.id!r}, {machine.netns!r}, {MEMORY}))"
    leader = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    machine.wait_until_up()
    assert machines.running()[machine.id] == int(leader)
    assert machines.boot(machine.id, machine.netns, MEMORY) == int(leader)


def test_a_plugged_in_volume_is_an_nvme_disk_that_can_be_formatted_and_mounted(machine: Machine, volume: str) -> None:
    by_id = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume.replace('-', '')}"
    assert volumes.attach(volume, machine.id)
    assert not volumes.attach(volume, machine.id)
    assert volumes.attached(machine.id) == {volume}
    assert machine.sh(f"readlink -f {by_id} /dev/sdf") == "/dev/nvme1n1\n/dev/nvme1n1\n"
    assert machine.sh("blkid --probe /dev/sdf || echo blank") == "blank\n"
    machine.sh(f"mkfs.ext4 -q {by_id} && mount {by_id} /mnt && echo data > /mnt/file && sync")
    assert machine.sh("findmnt --noheadings --output SOURCE,FSTYPE /mnt").split() == ["/dev/nvme1n1", "ext4"]

    machine.sh("umount /mnt")
    volumes.detach(volume, machine.id)
    assert volumes.attached(machine.id) == set()
    assert machine.sh("ls /dev | grep -c -e nvme -e sdf || true") == "0\n"


def test_a_volume_survives_the_power_cut_of_its_machine(machine: Machine, volume: str) -> None:
    volumes.attach(volume, machine.id)
    machine.sh("mkfs.ext4 -q /dev/sdf && mount /dev/sdf /mnt && echo data > /mnt/file && sync")
    machines.kill(machine.id)
    assert volumes.attached(machine.id) == set()
    machine.boot()
    assert volumes.attach(volume, machine.id)
    assert machine.sh("mount /dev/sdf /mnt && cat /mnt/file") == "data\n"


def test_a_volume_grows_while_it_is_attached(machine: Machine, volume: str) -> None:
    volumes.attach(volume, machine.id)
    volumes.grow(volume, 2)
    assert machine.sh("blockdev --getsize64 /dev/sdf") == "2147483648\n"


def test_two_threads_make_one_loop_device_of_a_volume(machine: Machine, volume: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        news = list(pool.map(volumes.attach, [volume] * 2, [machine.id] * 2))
    assert sorted(news) == [False, True]
    assert len(run(["losetup", "--noheadings", "--associated", volumes.VOLUMES / f"{volume}.img"]).splitlines()) == 1


def test_a_device_name_that_ec2_refuses_is_refused(machine: Machine, volume: str) -> None:
    with pytest.raises(HoldfastError, match="found /dev/sda, accepted are /dev/sdf to /dev/sdp"):
        volumes.attach(volume, machine.id, "/dev/sda")


def test_a_frozen_process_answers_nobody_until_it_is_thawed(machine: Machine) -> None:
    machine.sh("systemctl start sleeper.service")
    ping = ["timeout", "0.5", "redis-cli", "-p", "7000", "ping"]
    quiet = subprocess.DEVNULL
    assert wait_until(lambda: machines.exec(machine.id, ping, stdout=quiet, stderr=quiet) == 0, timeout=5)
    assert len(machines.freeze(machine.id, "redis-server")) == 1
    assert machines.exec(machine.id, ping, stdout=quiet) == 124
    assert len(machines.thaw(machine.id, "redis-server")) == 1
    assert machines.exec(machine.id, ping, stdout=quiet) == 0
    machine.sh("systemctl stop sleeper.service")


def test_a_unit_is_held_to_its_sandbox(machine: Machine) -> None:
    machine.sh("systemctl start sandboxed.service")
    assert machine.sh("test -e /var/lib/redis/allowed && echo yes") == "yes\n"
    assert machine.sh("test -e /etc/refused || test -e /tmp/private || echo no") == "no\n"
    assert "sdf" not in machine.sh("cat /var/lib/redis/dev")


def test_network_settings_are_the_machines_own_and_memory_settings_are_the_hosts(machine: Machine) -> None:
    somaxconn = Path("/proc/sys/net/core/somaxconn")
    of_the_host = somaxconn.read_text()
    machine.sh("echo 777 > /proc/sys/net/core/somaxconn")
    assert machine.sh("cat /proc/sys/net/core/somaxconn") == "777\n"
    assert somaxconn.read_text() == of_the_host
    with pytest.raises(CommandFailed, match="Read-only file system"):
        machine.sh("echo 1 > /proc/sys/vm/overcommit_memory")


def test_a_command_in_a_machine_has_the_callers_streams_and_gives_its_exit_code(
    machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "in").write_text("from outside")
    with (tmp_path / "in").open() as stdin, (tmp_path / "out").open("w") as stdout:
        code = machines.exec(machine.id, ["sh", "-c", "cat; exit 7"], stdin=stdin, stdout=stdout)
    assert code == 7
    assert (tmp_path / "out").read_text() == "from outside"


def test_a_command_in_a_machine_that_is_off_is_refused(machine: Machine) -> None:
    machines.kill(machine.id)
    with pytest.raises(machines.NotRunning, match=f"machine {machine.id} is not running"):
        machines.exec(machine.id, ["true"])
    machine.boot()


def test_a_destroyed_machine_leaves_nothing(machine: Machine) -> None:
    other = machine.id[:-2] + "ff"
    machines.create(other, images.ensure(images.of("debian-12", baked=True)))
    machines.boot(other, machine.netns, MEMORY)
    machines.destroy(other)
    assert other not in machines.created()
    assert [where for where, _ in mounts() if other in str(where)] == []
    assert list(Path("/sys/fs/cgroup").glob(f"**/*{other}*")) == []
    assert list(Path("/run/systemd/nspawn").glob(f"**/*{other}*")) == []
    assert machine.id in machines.running()


def test_the_catalogue_keeps_its_ids_because_environments_pin_them() -> None:
    assert {image.key: (image.id, image.name) for image in images.CATALOGUE} == {
        "debian-12-stock": ("ami-91125eef84ae3672a", "debian-12-amd64-20251006-2257"),
        "debian-12-baked": ("ami-a6f15bfc623810d6d", "holdfast-debian-12-amd64-1"),
        "debian-13-stock": ("ami-8b8f0bdfa410bdeba", "debian-13-amd64-20251006-2257"),
        "debian-13-baked": ("ami-e9d46cafe8beac400", "holdfast-debian-13-amd64-1"),
    }


def test_an_image_that_the_twin_has_not_is_refused_with_what_it_has() -> None:
    with pytest.raises(HoldfastError, match=r"no image of ubuntu-24\.04; it has debian-12, debian-13"):
        images.of("ubuntu-24.04", baked=True)
