"""Of IAM: roles, their own policies and instance profiles, by name and by tags.

Service Authorization Reference, "Actions, resources, and condition keys for AWS Identity and Access Management".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from holdfast.twin.api.needs.account import Account, Unknown, listed, numbered, request_tags, resource_tags
from holdfast.twin.api.policies import Need
from holdfast.twin.api.serving import Request

BOUND = (
    "AttachRolePolicy",
    "DeleteRolePermissionsBoundary",
    "DeleteRolePolicy",
    "DetachRolePolicy",
    "PutRolePolicy",
)
"""Whose condition key `iam:PermissionsBoundary` is the boundary that the role has."""

BINDING = ("CreateRole", "PutRolePermissionsBoundary")
"""Where it is the one that the role is to have."""

TAGGED = {"CreateRole": "TagRole", "CreateInstanceProfile": "TagInstanceProfile"}
"""What else it takes to make one with tags."""

EVERYTHING = ("ListRoles", "ListInstanceProfiles", "ListPolicies")


def needs(account: Account, request: Request) -> Iterator[Need | Unknown]:
    action, parameters = request.call.action, request.parameters
    if action in EVERYTHING:
        yield Need(f"iam:{action}", "*")
    elif "InstanceProfileName" in parameters:
        arn = f"arn:aws:iam::{account.id}:instance-profile/{parameters['InstanceProfileName']}"
        yield from _on(action, arn, parameters, _tags(account.everywhere("iam").instance_profiles.values(), arn))
        if action == "AddRoleToInstanceProfile":
            yield passed(account, parameters["RoleName"], "ec2.amazonaws.com")
    elif "RoleName" in parameters:
        arn = role_arn(account, parameters["RoleName"])
        there = _tags(account.everywhere("iam").roles.values(), arn)
        yield from _on(action, arn, parameters, {**there, **_boundary(account, request)})
    elif "PolicyArn" in parameters:
        yield Need(f"iam:{action}", parameters["PolicyArn"])
    else:
        yield Unknown(f"iam:{action}")


def _tags(things: Iterable[Any], arn: str) -> dict[str, str]:
    """Those of the one that is there, if it is."""
    return resource_tags(next((listed(it.tags or ()) for it in things if it.arn == arn), {}))


def role_arn(account: Account, name: str) -> str:
    return f"arn:aws:iam::{account.id}:role/{name}"


def passed(account: Account, role: str, service: str) -> Need:
    """A role is given to a service."""
    return Need("iam:PassRole", role_arn(account, role), {"iam:PassedToService": service})


def _on(action: str, arn: str, parameters: Mapping[str, str], more: Mapping[str, str] | None = None) -> Iterator[Need]:
    tags = numbered(parameters, "Tags.member.")
    yield Need(f"iam:{action}", arn, {**request_tags(tags), **(more or {})})
    if tags and action in TAGGED:
        yield Need(f"iam:{TAGGED[action]}", arn, request_tags(tags))


def _boundary(account: Account, request: Request) -> dict[str, str]:
    action, parameters = request.call.action, request.parameters
    boundary: str | None = None
    if action in BINDING:
        boundary = parameters.get("PermissionsBoundary")
    elif action in BOUND:
        roles = account.everywhere("iam").roles.values()
        boundary = next((it.permissions_boundary_arn for it in roles if it.name == parameters["RoleName"]), None)
    return {"iam:PermissionsBoundary": boundary} if boundary else {}
