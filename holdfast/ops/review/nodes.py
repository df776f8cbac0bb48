"""The machines of an environment before and after a change, and what becomes of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from holdfast.ops.review.facts import Action, Facts, Resource, Stack, Values, tag, text
from holdfast.ops.review.user_data import FileChange, compare, packages, replicas_for_writes, roles
from holdfast.topology.spec import Distribution, Role
from holdfast.topology.versions import REDIS_VERSIONS

ZONED = frozenset({"aws_ebs_volume", "aws_instance", "aws_subnet"})
"""What lies in one zone, and has a node down while it is replaced."""

RESTARTED_BY = frozenset({"ebs_optimized", "instance_type", "user_data", "user_data_base64"})
"""Arguments of an instance that the provider changes in place, by a stop and a start of the machine."""


class Fate(StrEnum):
    """What becomes of a machine."""

    KEPT = "kept"
    ADDED = "added"
    REPLACED = "replaced"
    RESTARTED = "restarted"
    REMOVED = "removed"


@dataclass(frozen=True)
class Side:
    """A node before or after. An empty text, and None, stand for what is not known."""

    roles: tuple[Role, ...]
    type: str
    image: str
    """As debian-12."""
    image_id: str
    addresses: tuple[str, ...]
    """Its own; of a gateway its leader endpoint and its replica endpoint too."""
    volume_gib: int | None
    replicas_for_writes: int
    """How many replicas it must have, when it leads, to take writes."""
    apart: bool
    """On hardware that no other machine of its zone is on."""
    packages: Mapping[str, str | None]
    """That it installs at first boot → version; None: the newest."""

    @property
    def redis(self) -> tuple[int, int] | None:
        """Version of Redis that its image has; None too where it runs none."""
        known = {str(distribution): version for distribution, version in REDIS_VERSIONS.items()}
        return known.get(self.image) if Role.DATA in self.roles else None


@dataclass(frozen=True)
class Node:
    """One node slot. `before` is None for one that is new, `after` for one that goes."""

    name: str
    zone: str
    stack: str
    path: str
    fate: Fate
    volume: Action | None
    """What becomes of its volume; None where it has none, as a mere gateway."""
    before: Side | None
    after: Side | None
    files: tuple[FileChange, ...]

    @property
    def down(self) -> bool:
        """It is away for a while, and comes back."""
        return self.fate in (Fate.REPLACED, Fate.RESTARTED)

    def had(self, role: Role) -> bool:
        return self.before is not None and role in self.before.roles

    def gets(self, role: Role) -> bool:
        """After the change it has the role, new or as before."""
        return self.after is not None and role in self.after.roles

    def concerns(self, role: Role) -> bool:
        return self.had(role) or self.gets(role)


def having(found: Iterable[Node], role: Role) -> tuple[list[Node], list[Node]]:
    """The nodes with a role before the change, and those after it."""
    some = list(found)
    return [node for node in some if node.had(role)], [node for node in some if node.gets(role)]


def nodes(facts: Facts) -> tuple[Node, ...]:
    """Every node, in the order in which a deploy reaches them."""
    found = []
    for stack in facts.stacks:
        by_node: dict[str, dict[str, Resource]] = {}
        for resource in stack.resources:
            if name := _tag(resource, "Node"):
                parts = by_node.setdefault(name, {})
                parts[resource.kind] = _joined(parts.get(resource.kind), resource)
        found += [_node(name, parts) for name, parts in sorted(by_node.items()) if "aws_instance" in parts]
    return tuple(found)


def public_addresses(facts: Facts) -> list[Resource]:
    """Those of endpoints, which the zones have: a NAT gateway's, which the network has, is nobody's to know."""
    return [it for it in facts.of_kind("aws_eip") if it.stack.startswith("zone-")]


def _joined(one: Resource | None, other: Resource) -> Resource:
    """Of two constructs that stand for the same part of a node (a renamed one): what goes, replaced by what comes."""
    if one is None:
        return other
    gone, new = (one, other) if other.remains else (other, one)
    return replace(new, action=Action.REPLACE, before=gone.before)


def taken_together(stack: Stack) -> tuple[str, ...]:
    """The zones of which one stack replaces or stops something; none where it is at most one."""
    zones = {
        text(resource.before.get("availability_zone"))[-1:]
        for resource in stack.resources
        if (resource.kind in ZONED and resource.destroyed)
        or (resource.kind == "aws_instance" and _fate(resource) is Fate.RESTARTED)
    } - {""}
    return tuple(sorted(zones)) if len(zones) > 1 else ()


def _node(name: str, parts: Mapping[str, Resource]) -> Node:
    instance, volume = parts["aws_instance"], parts.get("aws_ebs_volume")
    return Node(
        name=name,
        zone=_tag(instance, "Zone"),
        stack=instance.stack,
        path=instance.path,
        fate=_fate(instance),
        volume=volume.action if volume else None,
        before=_side({kind: part.before for kind, part in parts.items()}) if instance.exists else None,
        after=_side({kind: part.after for kind, part in parts.items()}) if instance.remains else None,
        files=compare(instance.before.get("user_data_base64"), instance.after.get("user_data_base64")),
    )


def _fate(instance: Resource) -> Fate:
    fates = {Action.CREATE: Fate.ADDED, Action.REPLACE: Fate.REPLACED, Action.DELETE: Fate.REMOVED}
    if instance.action is Action.UPDATE and RESTARTED_BY.intersection(instance.changed()):
        return Fate.RESTARTED
    return fates.get(instance.action, Fate.KEPT)


def _side(parts: Mapping[str, Values]) -> Side:
    instance = parts["aws_instance"]
    addresses = parts.get("aws_network_interface", {}).get("private_ip_list")
    size = parts.get("aws_ebs_volume", {}).get("size")
    image = tag(instance, "Image")
    return Side(
        roles=roles(instance.get("user_data_base64")),
        type=text(instance.get("instance_type")),
        image=image if image in set(Distribution) else "",
        image_id=text(instance.get("ami")),
        addresses=tuple(map(str, addresses)) if isinstance(addresses, list) else (),
        volume_gib=size if isinstance(size, int) else None,
        replicas_for_writes=replicas_for_writes(instance.get("user_data_base64")),
        apart=text(instance.get("placement_group")) != "",
        packages=packages(instance.get("user_data_base64")),
    )


def _tag(resource: Resource, name: str) -> str:
    return tag(resource.after, name) or tag(resource.before, name)
