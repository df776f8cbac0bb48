"""Restores into a running cluster: its data becomes that of the backup, on every node, and comes back by an undo."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
import redis

from holdfast.drill.cluster import HOLDFAST, Cluster
from holdfast.drill.waiting import wait_until
from holdfast.errors import HoldfastError
from holdfast.mirror import REPOSITORY
from holdfast.ops import cloud
from holdfast.ops.restore import run
from holdfast.topology import names, ports

KEYS = 2_000

LONGEST = 10.0
"""Seconds without an acknowledged write, of a small data set: Redis restarts everywhere, loads and syncs."""


def restore(cluster: Cluster, *arguments: str) -> dict[str, Any]:
    words = ("restore", cluster.environment, *arguments, "--yes-really", cluster.name, "--json")
    found: dict[str, Any] = json.loads(cluster.holdfast(*words).stdout)
    return found


def take(cluster: Cluster) -> dict[str, Any]:
    taken: dict[str, Any] = json.loads(cluster.holdfast("backup", "take", cluster.environment, "--json").stdout)
    assert taken["done"], taken["says"]
    listed = json.loads(cluster.holdfast("backup", "list", cluster.environment, "--json").stdout)
    return next(one for one in listed if one["id"] == taken["id"])


def write(cluster: Cluster, prefix: str) -> None:
    with cluster.client() as writer, writer.pipeline(transaction=False) as pipeline:
        for number in range(KEYS):
            pipeline.set(f"{prefix}:{number}", number)
        pipeline.execute()
        assert writer.wait(2, 5000) >= 1


@contextmanager
def writing(cluster: Cluster) -> Iterator[Callable[[], float]]:
    """Writes to the leader all the time. Gives what ends it, and tells the longest time without an acknowledged one."""
    ended, gaps = threading.Event(), list[float]()

    def go_on() -> None:
        last, connection = time.monotonic(), cluster.client(socket_timeout=0.5, socket_connect_timeout=0.5)
        while not ended.is_set():
            with suppress(redis.RedisError):
                connection.set("writing", "1")
                gaps.append(time.monotonic() - last)
                last = time.monotonic()
            ended.wait(0.02)
        gaps.append(time.monotonic() - last)
        connection.close()

    thread = threading.Thread(target=go_on)
    thread.start()

    def end() -> float:
        ended.set()
        thread.join()
        return max(gaps)

    try:
        yield end
    finally:
        end()


def data_nodes(cluster: Cluster) -> list[dict[str, Any]]:
    return [node for node in cluster.status()["nodes"] if "data" in node["roles"]]


def keys_at(cluster: Cluster, pattern: str) -> dict[str, int]:
    """Node → how many such keys it has."""
    found = {}
    for gateway in cluster.gateways():
        address = next(node["address"] for node in data_nodes(cluster) if node["name"] == gateway.node)
        with replace(gateway, port=ports.REDIS).connect(address) as connection:
            found[gateway.node] = sum(1 for _ in connection.scan_iter(match=pattern, count=1000))
    return found


def on_disk(cluster: Cluster, node: str) -> list[str]:
    return [
        name for name in cluster.exec(node, "ls", "/var/lib/holdfast").split() if name.startswith(("before", "stale"))
    ]


@pytest.mark.timed
def test_a_restore_puts_the_backup_in_place_on_every_node_and_an_undo_brings_back_what_was(healthy: Cluster) -> None:
    write(healthy, "saved")
    taken = take(healthy)
    with healthy.client() as writer:
        for number in range(100):
            writer.unlink(f"saved:{number}")
    write(healthy, "later")
    with writing(healthy) as end:
        done = restore(healthy, taken["id"])
        wait_until(lambda: healthy.status()["leader"] == done["node"], 30, lambda: str(healthy.status()))
        gap = end()
    print(f"writes were away for {gap:.2f} s; by the node {done['away']} s")
    healthy.wait_healthy()
    everywhere = {node["name"] for node in data_nodes(healthy)}
    assert keys_at(healthy, "saved:*") == dict.fromkeys(everywhere, KEYS)
    assert keys_at(healthy, "later:*") == dict.fromkeys(everywhere, 0)
    assert {node: on_disk(healthy, node) for node in everywhere} == dict.fromkeys(
        everywhere, [f"before-{done['generation']}"]
    )
    assert gap <= LONGEST

    undone = restore(healthy, "--undo")
    healthy.wait_healthy()
    assert keys_at(healthy, "saved:*") == dict.fromkeys(everywhere, KEYS - 100)
    assert keys_at(healthy, "later:*") == dict.fromkeys(everywhere, KEYS)
    assert undone["node"] == done["node"]


def test_a_machine_that_was_off_during_a_restore_comes_back_without_its_old_data(healthy: Cluster) -> None:
    write(healthy, "off-before")
    taken = take(healthy)
    write(healthy, "off-after")
    leader = healthy.status()["leader"]
    off = min(node["name"] for node in data_nodes(healthy) if node["name"] != leader)
    healthy.fault("power-cut", off)
    healthy.wait("that it is off", lambda seen: any(n["name"] == off and not n["healthy"] for n in seen["nodes"]))
    done = restore(healthy, taken["id"])
    assert done["node"] != off
    healthy.heal()
    healthy.wait_healthy()
    assert healthy.status()["leader"] == done["node"]
    assert keys_at(healthy, "off-after:*") == dict.fromkeys([node["name"] for node in data_nodes(healthy)], 0)
    assert on_disk(healthy, off)[-1] == f"stale-{done['generation']}"


@contextmanager
def restoring(cluster: Cluster, id: str) -> Iterator[subprocess.Popen[str]]:
    """The command, from the moment on in which nodes are told to change over."""
    words = [HOLDFAST, "restore", cluster.environment, id, "--yes-really", cluster.name, "--json"]
    environment, before = cluster.read(), run.generation(cluster.read())
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=REPOSITORY, stdout=pipe, stderr=pipe, text=True) as command:
        wait_until(lambda: run.generation(environment) != before, 60, lambda: "it does not change over")
        yield command


def test_a_machine_that_loses_its_power_in_the_middle_boots_with_the_data_of_the_restore(healthy: Cluster) -> None:
    write(healthy, "power")
    taken = take(healthy)
    write(healthy, "power-after")
    with restoring(healthy, taken["id"]) as command:
        node = current(healthy)["node"]
        healthy.fault("power-cut", node)
        healthy.heal()
        said = command.communicate(timeout=300)
    assert command.returncode == 0, said
    healthy.wait_healthy()
    everywhere = [one["name"] for one in data_nodes(healthy)]
    assert keys_at(healthy, "power-after:*") == dict.fromkeys(everywhere, 0)
    assert keys_at(healthy, "power:*") == dict.fromkeys(everywhere, KEYS)


def test_a_command_that_is_killed_in_the_middle_stops_nothing(healthy: Cluster) -> None:
    write(healthy, "killed")
    taken = take(healthy)
    write(healthy, "killed-after")
    with restoring(healthy, taken["id"]) as command:
        command.kill()
    node = current(healthy)["node"]

    def is_over() -> bool:
        with suppress(redis.RedisError):
            return healthy.status()["leader"] == node and not any(keys_at(healthy, "killed-after:*").values())
        return False

    wait_until(is_over, 60, lambda: str(healthy.status()), every=1)
    healthy.wait_healthy()
    assert keys_at(healthy, "killed:*") == dict.fromkeys([one["name"] for one in data_nodes(healthy)], KEYS)


def current(cluster: Cluster) -> dict[str, Any]:
    """The generation that the bucket has."""
    environment = cluster.read()
    found = cloud.client(environment, "s3").get_object(Bucket=names.bucket(environment), Key="restore/generation.json")
    content: dict[str, Any] = json.load(found["Body"])
    return content


def test_a_backup_that_is_not_what_was_saved_is_not_restored_and_nothing_is_touched(healthy: Cluster) -> None:
    write(healthy, "whole")
    taken = take(healthy)
    environment = healthy.read()
    bucket, key = names.backups_bucket(environment), f"base/{taken['tier']}/{taken['id']}/00001"
    s3 = cloud.client(environment, "s3")
    whole = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    broken = bytes([whole[0] ^ 1]) + whole[1:]
    led = [healthy.run_id(node["name"]) for node in data_nodes(healthy)]
    said = ""

    def refused() -> bool:
        nonlocal said
        with pytest.raises(HoldfastError) as error:
            restore(healthy, taken["id"])
        said = str(error.value)
        return "another restore runs" not in said

    with replaced(s3, bucket, key, broken, whole):
        # The command that was killed is waited for.
        wait_until(refused, run.LOST + 15, lambda: said, every=2)
    assert "part 00001 has SHA-256" in said
    assert [healthy.run_id(node["name"]) for node in data_nodes(healthy)] == led
    assert keys_at(healthy, "whole:*") == dict.fromkeys([node["name"] for node in data_nodes(healthy)], KEYS)


@contextmanager
def replaced(s3: Any, bucket: str, key: str, content: bytes, before: bytes) -> Iterator[None]:
    def put(body: bytes) -> None:
        s3.delete_object(Bucket=bucket, Key=key)
        s3.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")

    put(content)
    try:
        yield
    finally:
        put(before)
