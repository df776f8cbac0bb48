"""Passwords are in Secrets Manager, and on machines those of its own parts, in files of their users alone: nowhere else
that anything keeps."""

import base64
import gzip
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.mirror import REPOSITORY, tool_environment
from holdfast.ops import cloud
from holdfast.topology import Environment, find_environment, load_environment, names, users
from holdfast.twin import machines

ON_MACHINES = {
    "run/holdfast/node.json",
    "run/holdfast/sentinel-auth.conf",
    "run/holdfast/redis-auth.conf",
    # Sentinel rewrites its configuration, and has its password for Redis in it.
    "var/lib/holdfast/sentinel/sentinel.conf",
}
LOG_IN_HERE = {"node", "replication", "sentinel"}
"""The users as whom a machine with all roles logs in. It checks the passwords of all others by their hashes."""

LOOKED_AT = ("etc", "home", "opt", "root", "run", "srv", "tmp", "usr/local", "var")
"""Folders of a machine: all in which anything is written."""
LARGEST = 64 * 1024**2


@pytest.fixture(scope="module")
def environment() -> Environment:
    return load_environment(find_environment("local"))


@pytest.fixture(scope="module")
def of_user(cluster: Cluster, environment: Environment) -> dict[str, list[bytes]]:
    """User → the password as it is, and as the header of an HTTP login has it."""
    api = cloud.client(environment, "secretsmanager")
    listed = [it["Name"] for it in api.list_secrets()["SecretList"]]
    of_this = [name for name in listed if name.startswith(names.secret(environment, ""))]
    secrets = [json.loads(api.get_secret_value(SecretId=name)["SecretString"]) for name in of_this]
    assert len(secrets) == len(users.of(environment))
    assert all(len(secret["password"]) >= 32 for secret in secrets)
    return {
        it["user"]: [it["password"].encode(), base64.b64encode(f"{it['user']}:{it['password']}".encode())]
        for it in secrets
    }


@pytest.fixture(scope="module")
def passwords(of_user: dict[str, list[bytes]]) -> list[bytes]:
    return [form for forms in of_user.values() for form in forms]


def test_neither_state_nor_plan_nor_synthesised_output_has_one(passwords: list[bytes]) -> None:
    stack = REPOSITORY / "cdktf.out" / "stacks" / "local-identity"
    variables = tool_environment()
    shown = b""
    for command in (
        ["plan", "-input=false", "-out=secrecy.plan"],
        ["show", "-json", "secrecy.plan"],
        ["show", "-json"],
    ):
        shown += subprocess.check_output(["terraform", *command], cwd=stack, env=variables, timeout=120)
    files = [path for folder in (REPOSITORY / "cdktf.out", names.LOCAL_STATE) for path in _files(folder)]
    (stack / "secrecy.plan").unlink()
    assert any(path.suffix == ".tfstate" for path in files)
    assert not [password for password in passwords if password in shown]
    assert {str(path) for path in files if _has(path, passwords)} == set()


def test_no_user_data_has_one(cluster: Cluster, environment: Environment, passwords: list[bytes]) -> None:
    ec2 = cloud.client(environment, "ec2")
    for instance in cluster.instances().values():
        answer = ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")
        user_data = gzip.decompress(base64.b64decode(answer["UserData"]["Value"]))
        assert user_data.startswith(b"#cloud-config")
        assert not [password for password in passwords if password in user_data]


def test_no_command_line_has_one(cluster: Cluster, passwords: list[bytes]) -> None:
    """Of this machine, whose processes those of all the twin's machines are."""
    found, looked_at = [], 0
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes()
        except OSError:
            continue
        looked_at += b"redis-server" in line
        found += [line for password in passwords if password in line]
    assert looked_at >= 3
    assert found == []


def test_no_journal_has_one(cluster: Cluster, passwords: list[bytes]) -> None:
    for node in cluster.instances():
        journal = cluster.exec(node, "journalctl", "--no-pager", "--output=verbose", "--all").encode()
        assert b"fetched the passwords that this node needs" in journal
        assert not [password for password in passwords if password in journal]


def test_the_files_that_have_one_are_the_owning_users_alone(cluster: Cluster, passwords: list[bytes]) -> None:
    for node, instance in cluster.instances().items():
        root = Path(f"/proc/{machines.leader(instance)}/root")
        found = [path for folder in LOOKED_AT for path in _files(root / folder) if _has(path, passwords)]
        assert {str(path.relative_to(root)) for path in found} == ON_MACHINES, node
        assert {stat.filemode(path.stat().st_mode) for path in found} == {"-rw-------"}, node
        in_memory = cluster.exec(node, "stat", "--file-system", "--format=%T", "/run/holdfast").strip()
        assert in_memory == "tmpfs"


def test_no_file_of_a_machine_has_one_of_an_application_or_of_a_person(
    cluster: Cluster, of_user: dict[str, list[bytes]]
) -> None:
    for node, instance in cluster.instances().items():
        root = Path(f"/proc/{machines.leader(instance)}/root")
        files = [path for folder in LOOKED_AT for path in _files(root / folder)]
        found = {user for user, forms in of_user.items() if any(_has(path, forms) for path in files)}
        assert found == LOG_IN_HERE, node


def test_no_process_has_one_in_its_environment_and_the_node_program_only_its_own_in_memory(
    cluster: Cluster, of_user: dict[str, list[bytes]]
) -> None:
    """Not looked at: the memory of Redis and of HAProxy, to which clients say theirs."""
    for node, instance in cluster.instances().items():
        processes = Path(f"/proc/{machines.leader(instance)}/root/proc")
        everything = b"".join(_content(path) for path in processes.glob("[0-9]*/environ"))
        assert b"PATH=" in everything
        pid = cluster.exec(node, "systemctl", "show", "--property=MainPID", "--value", "holdfast-node").strip()
        memory = list(_memory(processes / pid))
        assert any(b"holdfast_node" in part for part in memory)
        assert not {user for user, forms in of_user.items() if _any_has([everything], forms)}, node
        # That one only while it logs in.
        assert {user for user, forms in of_user.items() if _any_has(memory, forms)} <= {"node"}, node


def test_no_process_that_knows_one_leaves_a_core_dump(cluster: Cluster) -> None:
    units = [f"holdfast-{name}.service" for name in ("redis", "sentinel", "haproxy", "node", "secrets", "handover")]
    for node in cluster.instances():
        limits = cluster.exec(node, "systemctl", "show", "--property=LimitCORE", *units).split()
        assert limits == ["LimitCORE=0"] * len(units), node


def _files(folder: Path) -> Iterator[Path]:
    """Every regular file in it that is no link. Folders of other file systems too: volumes and tmpfs are some."""
    for directory, _, files in os.walk(folder):
        for name in files:
            path = Path(directory, name)
            try:
                mode = path.lstat()
            except OSError:
                continue
            if stat.S_ISREG(mode.st_mode) and mode.st_size <= LARGEST:
                yield path


def _content(path: Path) -> bytes:
    """Nothing where it cannot be read, or is gone by now."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _has(path: Path, passwords: list[bytes]) -> bool:
    return _any_has([_content(path)], passwords)


def _any_has(contents: list[bytes], passwords: list[bytes]) -> bool:
    return any(password in content for content in contents for password in passwords)


def _memory(process: Path) -> Iterator[bytes]:
    """Each part of what a process may write in its memory."""
    areas = [line.split()[:2] for line in (process / "maps").read_text().splitlines()]
    with (process / "mem").open("rb", buffering=0) as memory:
        for area, rights in areas:
            if rights.startswith("rw"):
                begin, end = (int(border, 16) for border in area.split("-"))
                memory.seek(begin)
                yield memory.read(end - begin)
