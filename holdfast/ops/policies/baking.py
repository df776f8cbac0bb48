"""What whoever bakes images may do: make and remove what has a bake's tags, and nothing else.

IAM knows the tags that a call gives for all that the call is about. So no statement has an action beside a kind that it
is made in: else a subnet could be made in anybody's network.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.ops.baking import tags
from holdfast.ops.policies.place import Condition, account_of, given
from holdfast.ops.policies.size import Document, Statement, allow, pack
from holdfast.topology import Environment, names

LOOKS = (
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSnapshots",
    "ec2:DescribeSubnets",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcs",
)

MAKES = {
    "CreateInternetGateway": "internet-gateway",
    "CreateRouteTable": "route-table",
    "CreateSecurityGroup": "security-group",
    "CreateSubnet": "subnet",
    "CreateVpc": "vpc",
}
"""Action → kind of what it makes."""

CHANGES = (
    "ec2:AssociateRouteTable",
    "ec2:AttachInternetGateway",
    "ec2:CreateImage",
    "ec2:CreateRoute",
    "ec2:CreateRouteTable",
    "ec2:CreateSecurityGroup",
    "ec2:CreateSubnet",
    "ec2:DeleteInternetGateway",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteRouteTable",
    "ec2:DeleteSecurityGroup",
    "ec2:DeleteSubnet",
    "ec2:DeleteVolume",
    "ec2:DeleteVpc",
    "ec2:DetachInternetGateway",
    "ec2:DisassociateRouteTable",
    "ec2:GetConsoleOutput",
    "ec2:RunInstances",
    "ec2:TerminateInstances",
)


def bake(environment: Environment) -> list[Document]:
    """What `holdfast images bake`, `list --baked` and `remove` take, in the account and region of the environment."""
    return pack(_statements(environment))


def _statements(environment: Environment) -> Iterator[Statement]:
    account = account_of(environment, "its images")
    own, images = (f"arn:aws:ec2:{environment.region}:{whose}:" for whose in (account, ""))
    yield allow("Look", list(LOOKS), ["*"])
    for action, kind in MAKES.items():
        yield allow(f"Make{action.removeprefix('Create')}", [f"ec2:{action}"], _of(own, kind), NEW)
    # An interface that is there already may be a node's.
    nobodys = {**NEW, "Null": {"aws:ResourceTag/Environment": "true"}}
    yield allow("MakeMachine", ["ec2:RunInstances"], _of(own, "instance", "network-interface", "volume"), nobodys)
    yield allow("UseImages", ["ec2:RunInstances"], _of(images, "image"))
    yield allow("MakeImage", ["ec2:CreateImage"], _of(images, "image", "snapshot"), NEW)
    made = {
        "StringEquals": {**NEW["StringEquals"], "ec2:CreateAction": ["CreateImage", *MAKES, "RunInstances"]},
        "StringLike": NEW["StringLike"],
    }
    yield allow("TagWhatIsMade", ["ec2:CreateTags"], [f"{own}*/*", *_of(images, "image", "snapshot")], made)
    yield allow("Change", list(CHANGES), [f"{own}*/*"], BAKED)
    yield allow("ChangeImages", ["ec2:DeleteTags", "ec2:DeregisterImage"], _of(images, "image"), BAKED)
    # Its tags tell the next bake of what a removal that was cut off has left.
    marked = ["ec2:CreateTags", "ec2:DeleteSnapshot", "ec2:DeleteTags"]
    yield allow("ChangeSnapshots", marked, _of(images, "snapshot"), BAKED)
    if there := given(environment):
        # With `--subnet`: a team's own network has no tags of ours.
        yield allow("InGivenNetwork", ["ec2:CreateSecurityGroup", "ec2:RunInstances"], [f"{own}{it}" for it in there])


def _of(prefix: str, *kinds: str) -> list[str]:
    return [f"{prefix}{kind}/*" for kind in kinds]


def _bearing(key: str) -> Condition:
    """Where `aws:RequestTag` or `aws:ResourceTag` is that of a bake, whichever."""
    return {"StringEquals": {f"{key}/Project": names.PROJECT}, "StringLike": {f"{key}/{tags.BAKE}": "*"}}


NEW, BAKED = _bearing("aws:RequestTag"), _bearing("aws:ResourceTag")
