"""Plan fragments of an environment `shop` with a node in each of three zones, as `terraform show -json` has them."""

from __future__ import annotations

import base64
import gzip
from typing import Any

from holdfast.ops.review import plan
from holdfast.ops.review.facts import Facts, Stack
from holdfast.ops.status import NodeStatus, SentinelStatus, Status

CREATE, UPDATE, DELETE, REPLACE, NONE = ["create"], ["update"], ["delete"], ["delete", "create"], ["no-op"]

Values = dict[str, Any]


def change(address: str, actions: list[str], before: Values | None, after: Values | None, **more: Any) -> Values:
    kind, name = address.split(".")
    shown = {"actions": actions, "before": before, "after": after, "after_unknown": {}} | more
    return {"address": address, "mode": "managed", "type": kind, "name": name, "change": shown}


def stack(name: str, *changes: Values, outputs: Values | None = None, configuration: Values | None = None) -> Stack:
    shown = {"resource_changes": list(changes), "output_changes": outputs or {}}
    return plan.read("shop", name, shown, configuration or {})


def user_data(files: dict[str, str]) -> str:
    text = "#cloud-config\n# a node\nwrite_files:\n"
    for path, content in files.items():
        lines = "".join(f"      {line}\n" for line in content.splitlines())
        text += f"  - path: {path}\n    content: |\n{lines}"
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


REDIS_CONF = "/etc/holdfast/redis.conf"
BEFORE = user_data({REDIS_CONF: "# comment\nmaxmemory 256mb\nappendonly yes\n"})
AFTER = user_data({REDIS_CONF: "# comment\nmaxmemory 300mb\nappendonly yes\n"})


def instance(letter: str, **changed: Any) -> Values:
    return {
        "ami": "ami-1",
        "availability_zone": f"eu-central-1{letter}",
        "instance_type": "m6i.large",
        "user_data_base64": BEFORE,
        "tags": {"Name": f"shop-{letter}1", "Node": f"shop-{letter}1", "Zone": letter, "Image": "debian-12"},
    } | changed


def of(letter: str, **values: Any) -> Values:
    """Something that belongs to the node of a zone."""
    return {"tags": {"Name": f"shop-{letter}1", "Node": f"shop-{letter}1", "Zone": letter}} | values


ADDRESSES = {
    "a": ["10.0.0.4", "10.0.0.5", "10.0.0.6"],
    "b": ["10.0.16.4", "10.0.16.5", "10.0.16.6"],
    "c": ["10.0.32.4", "10.0.32.5", "10.0.32.6"],
}


def zone(letter: str, *changes: Values) -> Stack:
    """A zone in which nothing changes but what `changes` names."""
    node = f"shop-{letter}1"
    volume = of(letter, size=16, availability_zone=f"eu-central-1{letter}")
    interface = of(letter, private_ip_list=ADDRESSES[letter])
    unchanged = [
        change(f"aws_ebs_volume.{node}-data", NONE, volume, volume),
        change(f"aws_instance.{node}", NONE, instance(letter), instance(letter)),
        change(f"aws_network_interface.{node}-interface", NONE, interface, interface),
        change("terraform_data.gate", NONE, {"triggers_replace": {}}, {"triggers_replace": {}}),
    ]
    named = {it["address"] for it in changes}
    return stack(f"zone-{letter}", *(it for it in unchanged if it["address"] not in named), *changes)


def replaced(letter: str, **changed: Any) -> Values:
    after = instance(letter, user_data_base64=AFTER) | changed
    address = f"aws_instance.shop-{letter}1"
    return change(address, REPLACE, instance(letter), after, replace_paths=[["user_data_base64"]])


def facts(*stacks: Stack, **more: Any) -> Facts:
    """All three zones, those of `stacks` as given and the others unchanged."""
    named = {it.name: it for it in stacks}
    zones = [named.pop(f"zone-{letter}", None) or zone(letter) for letter in "abc"]
    return Facts(environment="shop", stacks=(*named.values(), *zones), **more)


def status(leader: str | None, sick: str = "") -> Status:
    nodes = tuple(
        NodeStatus(
            name=f"shop-{letter}1",
            zone=letter,
            roles=("data", "gateway", "sentinel"),
            role="leader" if leader == f"shop-{letter}1" else "replica",
            address=ADDRESSES[letter][0],
            lag_bytes=0,
            healthy=sick != f"shop-{letter}1",
            instance_id="i-1",
            version="7.0.15",
            says="",
        )
        for letter in "abc"
    )
    return Status("shop", leader, nodes, SentinelStatus(2 if sick else 3, 3), {}, None)
