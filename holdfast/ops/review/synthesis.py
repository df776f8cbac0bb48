"""The JSON that CDKTF synthesises → a stack's resources, where Terraform cannot plan (a first deploy), or must not."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from holdfast.ops.review.facts import Action, Planned, Resource, Stack

NOT_ARGUMENTS = frozenset({"//", "lifecycle", "provisioner", "depends_on"})

FORCES_REPLACEMENT: Mapping[str, frozenset[str]] = {
    "aws_ebs_volume": frozenset({"availability_zone", "encrypted", "kms_key_id"}),
    "aws_ec2_subnet_cidr_reservation": frozenset({"cidr_block", "description", "reservation_type", "subnet_id"}),
    "aws_eip_association": frozenset({"allocation_id", "network_interface_id", "private_ip_address"}),
    "aws_instance": frozenset({"ami", "availability_zone", "placement_group", "user_data_base64"}),
    "aws_network_interface": frozenset({"private_ip_list", "subnet_id"}),
    "aws_placement_group": frozenset({"name", "strategy"}),
    "aws_route53_record": frozenset({"name", "zone_id"}),
    "aws_route53_zone": frozenset({"name"}),
    "aws_s3_bucket": frozenset({"bucket"}),
    "aws_s3_object": frozenset({"bucket", "key"}),
    "aws_secretsmanager_secret": frozenset({"name"}),
    "aws_security_group": frozenset({"description", "name", "vpc_id"}),
    "aws_subnet": frozenset({"availability_zone", "cidr_block", "vpc_id"}),
    "aws_vpc": frozenset({"cidr_block"}),
    "terraform_data": frozenset({"triggers_replace"}),
}
"""Arguments whose change replaces the resource: offline there is no provider to ask."""

_READ = re.compile(r"data\.terraform_remote_state\.cross-stack-reference-input-([a-z0-9-]+)\.outputs\.([A-Za-z0-9_-]+)")


def described(
    environment: str, name: str, configuration: Mapping[str, Any], existing: Collection[str] | None = None
) -> Stack:
    """A stack that cannot be planned. `existing`: the addresses in its state; what both have is taken for unchanged."""
    state = frozenset(existing or ())
    synthesised = dict(_blocks(configuration))
    paths_of, kept_of = paths(configuration), kept(configuration)
    resources = [
        Resource(
            stack=name,
            address=address,
            path=paths_of.get(address, f"{environment}-{name}/{address.split('.', 1)[1]}"),
            action=Action.CREATE if address not in state else Action.NONE if address in synthesised else Action.DELETE,
            before=_arguments(synthesised[address]) if address in state and address in synthesised else {},
            after=_arguments(synthesised.get(address, {})),
            kept=address in kept_of,
        )
        for address in sorted({*synthesised, *state})
    ]
    return Stack(name, Planned.SYNTHESIS, tuple(resources), reads(environment, configuration))


def diff(environment: str, name: str, base: Mapping[str, Any], head: Mapping[str, Any]) -> Stack:
    """A stack as two commits synthesise it; an empty configuration where a commit does not have it."""
    before, after = dict(_blocks(base)), dict(_blocks(head))
    paths_of, kept_of, was_kept = paths(base) | paths(head), kept(head), kept(base)
    resources = []
    for address in sorted({*before, *after}):
        old, new = _arguments(before.get(address, {})), _arguments(after.get(address, {}))
        forced = sorted(
            argument
            for argument in FORCES_REPLACEMENT.get(address.split(".")[0], ())
            if old.get(argument) != new.get(argument)
        )
        in_both = address in before and address in after
        resources.append(
            Resource(
                stack=name,
                address=address,
                path=paths_of[address],
                action=_action(address in before, address in after, old != new, bool(forced)),
                before=old,
                after=new,
                forced_by=tuple(forced) if in_both else (),
                kept=address in kept_of,
                was_kept=address in was_kept,
            )
        )
    return Stack(name, Planned.DIFF, tuple(resources), reads(environment, head))


def paths(configuration: Mapping[str, Any]) -> dict[str, str]:
    """Terraform address → construct path."""
    return {address: block["//"]["metadata"]["path"] for address, block in _blocks(configuration)}


def kept(configuration: Mapping[str, Any]) -> frozenset[str]:
    """Addresses that Terraform refuses to destroy."""
    return frozenset(
        address for address, block in _blocks(configuration) if block.get("lifecycle", {}).get("prevent_destroy")
    )


def without_refusals(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The same, without `prevent_destroy` and conditions of data sources: with them Terraform plans nothing at all
    where it would refuse one thing."""
    resource = {
        kind: {
            name: block | {"lifecycle": {**block.get("lifecycle", {}), "prevent_destroy": False}}
            for name, block in blocks.items()
        }
        for kind, blocks in configuration.get("resource", {}).items()
    }
    data = {
        kind: {name: {key: it for key, it in block.items() if key != "lifecycle"} for name, block in blocks.items()}
        for kind, blocks in configuration.get("data", {}).items()
    }
    return {**configuration, "resource": resource, "data": data}


def reads(environment: str, configuration: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Stack → names of the outputs of it that this stack reads."""
    found: dict[str, set[str]] = {}
    for stack, output in _READ.findall(json.dumps(configuration.get("resource", {}))):
        found.setdefault(stack.removeprefix(f"{environment}-"), set()).add(output)
    return {stack: frozenset(outputs) for stack, outputs in found.items()}


def _blocks(configuration: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, blocks in configuration.get("resource", {}).items():
        for name, block in blocks.items():
            yield f"{kind}.{name}", block


def _arguments(block: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in block.items() if name not in NOT_ARGUMENTS}


def _action(was: bool, is_: bool, differs: bool, forced: bool) -> Action:
    if not was:
        return Action.CREATE
    if not is_:
        return Action.DELETE
    if forced:
        return Action.REPLACE
    return Action.UPDATE if differs else Action.NONE
