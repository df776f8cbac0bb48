"""Instance profiles and roles, with the policies that are a part of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from holdfast.ops.teststacks.kinds.kind import Client, Kind, Thing, pages, tags_of, unless_gone

OF_AWS = "/aws-service-role/"


def _profiles(client: Client) -> Iterator[Thing]:
    for profile in pages(client, "list_instance_profiles", "InstanceProfiles"):
        if tags := unless_gone(_profile_tags, client, profile["InstanceProfileName"]):
            yield Thing(profile["InstanceProfileName"], tags)


def _profile_tags(client: Client, name: str) -> Mapping[str, str]:
    return tags_of(client.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Tags"])


def _remove_profile(client: Client, thing: Thing) -> None:
    for role in client.get_instance_profile(InstanceProfileName=thing.id)["InstanceProfile"]["Roles"]:
        client.remove_role_from_instance_profile(InstanceProfileName=thing.id, RoleName=role["RoleName"])
    client.delete_instance_profile(InstanceProfileName=thing.id)


def _roles(client: Client) -> Iterator[Thing]:
    for role in pages(client, "list_roles", "Roles"):
        if role["Path"].startswith(OF_AWS):
            continue
        if tags := unless_gone(_role_tags, client, role["RoleName"]):
            yield Thing(role["RoleName"], tags)


def _role_tags(client: Client, name: str) -> Mapping[str, str]:
    return tags_of(client.list_role_tags(RoleName=name)["Tags"])


def _remove_role(client: Client, thing: Thing) -> None:
    for policy in list(pages(client, "list_role_policies", "PolicyNames", RoleName=thing.id)):
        client.delete_role_policy(RoleName=thing.id, PolicyName=policy)
    for attached in list(pages(client, "list_attached_role_policies", "AttachedPolicies", RoleName=thing.id)):
        client.detach_role_policy(RoleName=thing.id, PolicyArn=attached["PolicyArn"])
    client.delete_role(RoleName=thing.id)


PROFILE = Kind("instance profile", "iam", _profiles, _remove_profile, everywhere=True)
ROLE = Kind("role", "iam", _roles, _remove_role, everywhere=True)
