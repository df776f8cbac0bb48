"""Security groups with EC2's rules: one in use stays, and a rule that names a group keeps its description."""

from __future__ import annotations

from typing import Any

from moto.ec2.models.security_groups import SecurityGroupBackend, SecurityGroupRule

from holdfast.twin.api.patching import Method, around, refuse


@around(SecurityGroupRule, "__init__")
def _keep_description(original: Method, self: Any, *args: Any, **kwargs: Any) -> None:
    original(self, *args, **kwargs)
    given = list(kwargs.values()) + list(args)
    self.described = next((item["Description"] for item in given if isinstance(item, dict) and _describes(item)), None)
    # Two rules that differ in nothing but their description are the same rule.
    self.source_group = {key: value for key, value in self.source_group.items() if key != "Description"}


def _describes(item: dict[str, Any]) -> bool:
    return "Description" in item and bool({"CidrIp", "CidrIpv6", "GroupId", "PrefixListId"} & set(item))


def _description(rule: Any) -> Any:
    return rule.ip_range.get("Description") or rule.described


SecurityGroupRule.description = property(_description)  # type: ignore[assignment, method-assign]


@around(SecurityGroupBackend, "modify_security_group_rules")
def _modify(original: Method, self: Any, group_id: str, rules: dict[str, dict[str, Any]]) -> None:
    """moto changes nothing but networks and ports, and cannot change rules of all protocols."""
    group = self.get_security_group_from_id(group_id)
    if group is None:
        raise refuse("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
    for rule_id, wanted in rules.items():
        rule = group.get_rule(rule_id)
        if rule is None:
            raise refuse("InvalidSecurityGroupRuleId.NotFound", f"The security group rule '{rule_id}' does not exist")
        rule.ip_protocol = wanted["IpProtocol"]
        everything = rule.ip_protocol == "-1"
        rule.from_port = None if everything else int(wanted["FromPort"])
        rule.to_port = None if everything else int(wanted["ToPort"])
        networks = {"CidrIp": wanted.get("CidrIpv4"), "CidrIpv6": wanted.get("CidrIpv6")}
        rule.ip_range = {key: value for key, value in networks.items() if value}
        referenced = wanted.get("ReferencedGroupId")
        rule.source_group = {"GroupId": referenced, "UserId": self.account_id} if referenced else {}
        rule.prefix_list_id = wanted.get("PrefixListId")
        rule.described = wanted.get("Description")


@around(SecurityGroupBackend, "delete_security_group")
def _delete(original: Method, self: Any, name: str | None = None, group_id: str | None = None) -> None:
    group = self.get_security_group_by_name_or_id(group_id or name)
    if group is not None and _in_use(self, group.id):
        raise refuse("DependencyViolation", f"resource {group.id} has a dependent object")
    original(self, name=name, group_id=group_id)


def _in_use(backend: Any, group_id: str) -> bool:
    """By an interface, or by a rule of another group."""
    if any(group_id in {group.id for group in interface.group_set} for interface in backend.enis.values()):
        return True
    others = (group for groups in backend.groups.values() for group in groups.values() if group.id != group_id)
    return any(
        rule.source_group.get("GroupId") == group_id
        for group in others
        for rule in (*group.ingress_rules, *group.egress_rules)
    )
