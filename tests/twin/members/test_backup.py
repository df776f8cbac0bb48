"""Backups of a running cluster: they load, and no fault meanwhile makes one that does not."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import redis

from holdfast.drill.cluster import Cluster
from holdfast.drill.waiting import wait_until
from holdfast.ops import cloud
from holdfast.topology import Cluster as Topology
from holdfast.topology import names
from holdfast.twin import client
from tests.twin import permissions
from tests.twin.taken import Taken, lacking

KEYS = 2_000


def holdfast(cluster: Cluster, *arguments: str) -> Any:
    """What a command of `holdfast backup` answers."""
    command, *more = arguments
    return json.loads(cluster.holdfast("backup", command, cluster.environment, *more, "--json").stdout)


def complete(cluster: Cluster) -> list[str]:
    return [one["id"] for one in holdfast(cluster, "list") if one["problem"] is None]


@contextmanager
def loaded(file: Path) -> Iterator[redis.Redis]:
    """A plain Redis on that file."""
    socket, program = file.with_suffix(".sock"), shutil.which("redis-check-rdb")
    assert program is not None
    # In the distributions it is the same program, by its name.
    words = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--dir", str(file.parent)]
    words += ["--dbfilename", file.name, "--appendonly", "no", "--save", ""]
    server = subprocess.Popen(words, executable=program, stdout=subprocess.DEVNULL)
    try:
        wait_until(socket.exists, 30, lambda: "Redis does not start")
        yield redis.Redis(unix_socket_path=str(socket), decode_responses=True)
    finally:
        server.kill()
        server.wait()


def write(cluster: Cluster, prefix: str) -> None:
    with cluster.client() as writer, writer.pipeline(transaction=False) as pipeline:
        for number in range(KEYS):
            pipeline.set(f"{prefix}:{number}", number)
        pipeline.set(f"{prefix}:ends", "1", ex=86400)
        pipeline.execute()
        assert writer.wait(2, 5000) >= 1


def test_a_backup_holds_what_was_written_and_loads_in_a_plain_redis(healthy: Cluster, tmp_path: Path) -> None:
    """A replica takes it, the last one by name; the first one was taken without anybody's order."""
    wait_until(lambda: complete(healthy) != [], 120, lambda: f"no backup by itself: {healthy.status()}", every=1)
    write(healthy, "kept")
    taken = holdfast(healthy, "take")
    assert taken["done"], taken["says"]
    replicas = [node["name"] for node in healthy.status()["nodes"] if node["role"] == "replica"]
    assert taken["node"] == max(replicas)
    file = tmp_path / "dump.rdb"
    found = holdfast(healthy, "download", taken["id"], str(file))
    with loaded(file) as plain:
        assert plain.dbsize() == found["manifest"]["keys"] >= KEYS + 1
        assert plain.get(f"kept:{KEYS - 1}") == str(KEYS - 1)
        assert 0 < plain.ttl("kept:ends") <= 86400
    assert found["manifest"]["expires"] >= 1
    status = json.loads(healthy.holdfast("status", healthy.environment, "--json").stdout)
    assert (status["healthy"], status["backup"]["late"], status["backup"]["node"]) == (True, False, taken["node"])
    active = healthy.exec(taken["node"], "systemctl", "is-active", "holdfast-backup.service", check=False)
    assert active.strip() == "inactive", "nothing runs between two"


def test_an_api_that_is_away_and_a_failover_in_the_middle_end_in_a_backup_that_is_whole(healthy: Cluster) -> None:
    before, leader = complete(healthy), healthy.status()["leader"]
    node = max(one["name"] for one in healthy.status()["nodes"] if one["role"] == "replica")
    healthy.fault("api-outage", node)
    healthy.exec(node, "sh", "-c", """echo '{"order": "by-hand"}' > /run/holdfast-node/backup""")
    journal = partial(healthy.exec, node, "journalctl", "-n", "5", "-u", "holdfast-backup")
    wait_until(lambda: saved(healthy, node) != [], 60, lambda: f"nothing waits for the API: {journal()}", every=1)
    (name,) = saved(healthy, node)
    assert complete(healthy) == before
    led = run_id(healthy)
    healthy.fault("kill", leader)
    # Its successor may be the one that cannot report.
    wait_until(
        lambda: run_id(healthy) not in (None, led), 30, lambda: "nobody leads in place of the one that was killed"
    )
    assert complete(healthy) == before
    healthy.heal()
    wait_until(lambda: name in complete(healthy), 120, lambda: f"{name} is not complete: {complete(healthy)}", every=1)
    assert holdfast(healthy, "check", name)["problem"] is None
    healthy.wait_healthy()


def run_id(cluster: Cluster) -> str | None:
    """Of the Redis that leads, where one does."""
    try:
        with cluster.client() as leader:
            found: str = leader.info("server")["run_id"]
            return found
    except redis.RedisError:
        return None


def saved(cluster: Cluster, node: str) -> list[str]:
    """What a node has on its disk, whole or not, and not yet in the bucket."""
    return cluster.exec(node, "ls", "/var/lib/holdfast/backup").split()


def test_the_keys_of_a_node_read_change_and_delete_no_backup(healthy: Cluster) -> None:
    environment = healthy.read()
    backup = holdfast(healthy, "list")[0]
    bucket, prefix = names.backups_bucket(environment), f"base/{backup['tier']}/{backup['id']}"
    owner = next(one for one in Topology.of(environment).nodes if one.name == backup["node"])
    taken = Taken(environment, owner, partial(client.connect_from_node, owner.name)).client("s3")
    one = {"Bucket": bucket, "Key": f"{prefix}/00001"}
    version = cloud.client(environment, "s3").list_object_versions(Bucket=bucket, Prefix=one["Key"])["Versions"][0]
    for call, arguments in (
        (taken.get_object, one),
        (taken.delete_object, one),
        (taken.delete_object, {**one, "VersionId": version["VersionId"]}),
        (taken.put_object, {**one, "Body": b"other"}),
        (taken.put_bucket_policy, {"Bucket": bucket, "Policy": "{}"}),
        (taken.put_object, {"Bucket": bucket, "Key": "base/daily/x-growing-zz/00001", "Body": b"", "IfNoneMatch": "*"}),
    ):
        assert lacking(call, **arguments) != "allowed"
    assert holdfast(healthy, "check", backup["id"])["problem"] is None
    unused = permissions.unused(environment)
    assert [grant for grants in unused.values() for grant in grants if "ackup" in grant[0]] == []
