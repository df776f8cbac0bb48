"""Security groups, which may name one another in a circle: their rules go before the first of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from holdfast.ops.teststacks.kinds.kind import OURS, Client, Kind, Thing, pages, tags_of
from holdfast.ops.teststacks.kinds.network import interfaces_with


def _groups(client: Client) -> Iterator[Thing]:
    for group in pages(client, "describe_security_groups", "SecurityGroups", Filters=OURS):
        default = group["GroupName"] == "default"
        yield Thing(group["GroupId"], tags_of(group["Tags"]), note=group["GroupName"], rides=default)


def _revoke(client: Client, things: Sequence[Thing]) -> None:
    """Every rule of these groups that names a group. Rules of other groups are not ours to change."""
    for thing in things:
        rules = [rule for rule in _rules(client, "group-id", thing.id) if rule.get("ReferencedGroupInfo")]
        for egress, revoke in (
            (False, client.revoke_security_group_ingress),
            (True, client.revoke_security_group_egress),
        ):
            ids = [rule["SecurityGroupRuleId"] for rule in rules if rule["IsEgress"] is egress]
            if ids:
                revoke(GroupId=thing.id, SecurityGroupRuleIds=ids)


def _rules(client: Client, name: str, value: str) -> Iterator[Any]:
    filters = [{"Name": name, "Values": [value]}]
    return pages(client, "describe_security_group_rules", "SecurityGroupRules", Filters=filters)


def _users(client: Client, group: str) -> list[str]:
    """Interfaces that have it, and other groups that name it."""
    named = pages(
        client,
        "describe_security_groups",
        "SecurityGroups",
        Filters=[{"Name": "ip-permission.group-id", "Values": [group]}],
    )
    others = [other["GroupId"] for other in named if other["GroupId"] != group]
    return [*interfaces_with(client, "group-id", group), *others]


GROUP = Kind(
    "security group",
    "ec2",
    _groups,
    lambda client, thing: client.delete_security_group(GroupId=thing.id),
    prepare=_revoke,
    held_by=_users,
)
