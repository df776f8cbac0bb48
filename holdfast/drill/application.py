"""A machine in the environment's network that is no node of it: where an application would run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.ops import cloud
from holdfast.topology import Cluster, find_environment, load_environment, pins
from holdfast.topology.names import resource


@contextmanager
def running(name: str) -> Iterator[str]:
    """`name`: of an environment, or the path of its file.

    Starts it in the last zone, with a group that lets it reach everything; its name. Nothing of it is left."""
    file = find_environment(name)
    environment = load_environment(file)
    machine = f"{environment.name}-application"
    node = Cluster.of(environment).nodes[-1]
    ec2 = cloud.client(environment, "ec2")
    filters = [{"Name": "tag:Name", "Values": [resource(environment, f"nodes-{node.zone.letter}")]}]
    (subnet,) = ec2.describe_subnets(Filters=filters)["Subnets"]
    group = ec2.create_security_group(GroupName=machine, Description="An application", VpcId=subnet["VpcId"])["GroupId"]
    try:
        answer: dict[str, Any] = ec2.run_instances(
            ImageId=pins.image_id(environment, node.machine, file.parent),
            InstanceType="t3.small",
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet["SubnetId"],
            SecurityGroupIds=[group],
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": machine}]}],
        )
        instance = answer["Instances"][0]["InstanceId"]
        try:
            ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1})
            yield machine
        finally:
            ec2.terminate_instances(InstanceIds=[instance])
            ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1})
    finally:
        ec2.delete_security_group(GroupId=group)
