"""`holdfast policies --role bake` is what baking takes: enough, nothing that nobody uses, and nothing of others."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from holdfast.ops.baking import shelf, tags
from holdfast.ops.policies.roles import managed
from holdfast.topology import emulation
from holdfast.topology.emulation import Key
from tests.unit.baking.conftest import BASE, Machine, Oven
from tests.unit.twin_api.cloud import REGION, Cloud, client, refused

ROLE = "holdfast-oven-bake"

NOT_USED = {
    "ec2:DeleteNetworkInterface": "it goes with its machine, if that is quick enough",
    "ec2:DeleteVolume": "it goes with its machine, if that is quick enough",
    "ec2:DisassociateRouteTable": "open: the twin does not find the table of an association, and so asks for nothing",
}
"""Action → why it is allowed all the same."""


@pytest.fixture
def role(oven: Oven, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client with its keys, which the commands have too."""
    iam = client(oven.api, "iam")
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
    for name, document in managed(oven.environment, ["bake"]).items():
        iam.put_role_policy(RoleName=ROLE, PolicyName=name, PolicyDocument=json.dumps(document))
    keys = oven.api.credentials_for(ROLE)
    # By the owner of the API, as before: what is made for the tests.
    assert oven.ec2
    emulation.write(oven.folder / "role", Key(keys["AccessKeyId"], keys["SecretAccessKey"]))
    monkeypatch.setenv(emulation.VARIABLE, str(oven.folder / "role"))
    own = {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"]}
    return boto3.client("ec2", endpoint_url=oven.api.url, region_name=REGION, **own)


def test_it_is_enough_and_all_of_it_is_used(role: Any, oven: Oven) -> None:
    first = oven.bake()
    oven.bake()
    shelf.remove(oven.environment, shelf.removable(oven.environment, first.pin.id))
    oven.machine = Machine(image=("failed", "no room"))
    with pytest.raises(Exception, match="no room"):
        oven.bake()
    unused = oven.api.unused_permissions()[ROLE]
    assert [it for it in unused if it[1] not in NOT_USED] == []


def test_nothing_is_made_in_or_taken_from_what_is_anybodys(role: Any, oven: Oven) -> None:
    node = Cloud(oven.api)
    labels = [{"Key": "Project", "Value": "holdfast"}, {"Key": "Environment", "Value": "prod"}]
    tagged = [{"ResourceType": "network-interface", "Tags": labels}]
    interface = node.interface(node.a, "10.40.0.4", TagSpecifications=tagged)
    ours = {"Project": "holdfast", tags.BAKE: "mine", tags.UNTIL: tags.PAST}
    run: dict[str, Any] = {"ImageId": BASE, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1}
    with_tags = tags.specified(ours, "instance", "volume", "network-interface")
    for arguments in (
        {"SubnetId": node.a, "TagSpecifications": with_tags},
        {"NetworkInterfaces": [{"DeviceIndex": 0, "NetworkInterfaceId": interface}], "TagSpecifications": with_tags},
        {"SubnetId": node.a},
    ):
        assert refused(role.run_instances, **run, **arguments) == "UnauthorizedOperation"
    group = {"VpcId": node.vpc, "GroupName": "mine", "Description": "mine"}
    group["TagSpecifications"] = tags.specified(ours, "security-group")  # type: ignore[assignment]
    assert refused(role.create_security_group, **group) == "UnauthorizedOperation"
    # Nor does it become ours by a tag.
    assert refused(role.create_tags, Resources=[node.vpc], Tags=tags.listed(ours)) == "UnauthorizedOperation"
    assert refused(role.delete_vpc, VpcId=node.vpc) == "UnauthorizedOperation"
    assert refused(role.create_vpc, CidrBlock="10.1.0.0/16") == "UnauthorizedOperation"
