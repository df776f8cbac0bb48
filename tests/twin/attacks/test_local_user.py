"""Another user of the machine on which the twin runs: `nobody`, with no group of ours."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from pathlib import Path

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.mirror import REPOSITORY
from holdfast.topology import emulation, find_environment, load_environment, users
from holdfast.twin import client, lifecycle
from holdfast.twin.run import STATE
from tests.twin.passwords import password

ENVIRONMENT = load_environment(find_environment("local"))
NOBODY = pwd.getpwnam("nobody")
API = ENVIRONMENT.api_endpoint or ""


def as_nobody(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What Python says as that user, in a folder that it may read."""
    return subprocess.run(
        ["/usr/bin/python3", "-I", "-c", script, *arguments],
        user=NOBODY.pw_uid,
        group=NOBODY.pw_gid,
        extra_groups=[],
        cwd="/",
        env={"PATH": os.environ["PATH"]},
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )


OPEN = """
import os, socket, sys
for path in sys.argv[1:]:
    try:
        if path.endswith(".sock"):
            socket.socket(socket.AF_UNIX).connect(path)
        else:
            os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)
        print(path)
    except PermissionError:
        pass
    except FileNotFoundError as error:
        print(f"{path}: {error.strerror}")
"""


def test_the_folders_the_key_and_the_control_socket_are_closed(cluster: Cluster) -> None:
    places = [STATE, client.CONTROL.parent, client.CONTROL, emulation.CREDENTIALS, *STATE.iterdir()]
    done = as_nobody(OPEN, *map(str, places))
    assert (done.returncode, done.stdout) == (0, ""), done


CALL = """
import sys, urllib.error, urllib.request
url, *headers = sys.argv[1:]
request = urllib.request.Request(url, data=b"Action=DescribeInstances&Version=2016-11-15")
for header in headers:
    request.add_header(*header.split(": ", 1))
try:
    print(urllib.request.urlopen(request, timeout=10).read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
"""
GUESSED = (
    "Authorization: AWS4-HMAC-SHA256 Credential={}/20260101/eu-central-1/ec2/aws4_request, "
    "SignedHeaders=host, Signature=" + "0" * 64
)


@pytest.mark.parametrize("key", ["", "testing", "AKIAIOSFODNN7EXAMPLE"], ids=["no key", "moto's", "an example's"])
def test_the_api_answers_nothing_without_its_key(cluster: Cluster, key: str) -> None:
    done = as_nobody(CALL, API, *([GUESSED.format(key)] if key else []))
    assert done.stdout.strip() == "403", done


def test_no_command_line_and_no_environment_that_a_user_may_read_has_a_password_or_the_key(cluster: Cluster) -> None:
    script = "import pathlib, sys\n" + (
        "for file in pathlib.Path('/proc').glob('[0-9]*/*'):\n"
        "    if file.name in ('cmdline', 'environ'):\n"
        "        try: sys.stdout.buffer.write(file.read_bytes())\n"
        "        except OSError: pass\n"
    )
    said = as_nobody(script).stdout
    assert "holdfast" in said
    wanted = [password(ENVIRONMENT, user.name) for user in users.of(ENVIRONMENT)]
    wanted.append(client.request("key")["secret"])
    assert [secret for secret in wanted if secret in said] == []


def test_a_loopback_port_tells_who_has_no_password_nothing(cluster: Cluster) -> None:
    script = (
        "import socket, sys\n"
        "for port in sys.argv[1:]:\n"
        "    with socket.create_connection(('127.0.0.1', int(port)), 10) as connection:\n"
        "        connection.sendall(b'INFO\\r\\n')\n"
        "        print(connection.recv(100).decode())\n"
    )
    forwards = [cluster.endpoints()[kind]["forward"].rpartition(":")[2] for kind in ("leader", "replica")]
    said = as_nobody(script, *forwards).stdout.split("\n")
    assert [line[:7] for line in said if line.strip()] == ["-NOAUTH", "-NOAUTH"]


HELD = """
import fcntl, sys
try:
    with open(sys.argv[1]) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print("held")
except PermissionError:
    pass
"""


def test_nobody_else_holds_up_the_twins_commands(cluster: Cluster) -> None:
    """Whoever may open the file that they lock may lock it for ever."""
    done = as_nobody(HELD, str(lifecycle.LOCK))
    assert (done.returncode, done.stdout) == (0, ""), done


def test_nobody_else_writes_what_root_runs_or_reads(cluster: Cluster) -> None:
    places = [*(REPOSITORY / ".holdfast").rglob("*"), *Path("/run").glob("holdfast*")]
    assert len(places) > 10
    assert [it for it in places if not it.is_symlink() and it.stat().st_mode & stat.S_IWOTH] == []
