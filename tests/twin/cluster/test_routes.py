"""A route that leads to a machine, and is none of the floating pair's, does not stay unnoticed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.ops import cloud
from holdfast.topology import names

STRANGE = "203.0.113.0/24"

NOTICED_WITHIN = 80.0
"""Seconds: a gateway that does not hold the pair looks once a minute, and reports are five seconds old."""


@pytest.fixture
def redirected(healthy: Cluster) -> Iterator[str]:
    """Leads elsewhere as a gateway that was taken over could; in a table of its own, so that it harms nobody.

    What `status` says of it.
    """
    environment = healthy.read()
    ec2 = cloud.client(environment, "ec2")
    own = [{"Name": f"tag:{name}", "Values": [value]} for name, value in names.tags(environment).items()]
    (mine,) = ec2.describe_network_interfaces(Filters=[*own, {"Name": "tag:Node", "Values": ["local-b1"]}])[
        "NetworkInterfaces"
    ]
    tags = [{"Key": name, "Value": value} for name, value in names.tags(environment).items()]
    table = ec2.create_route_table(
        VpcId=mine["VpcId"], TagSpecifications=[{"ResourceType": "route-table", "Tags": tags}]
    )["RouteTable"]["RouteTableId"]
    try:
        ec2.create_route(
            RouteTableId=table, DestinationCidrBlock=STRANGE, NetworkInterfaceId=mine["NetworkInterfaceId"]
        )
        yield f"route {STRANGE} of {table} leads to {mine['NetworkInterfaceId']}"
    finally:
        ec2.delete_route_table(RouteTableId=table)


def test_every_gateway_says_that_a_route_leads_to_a_machine(healthy: Cluster, redirected: str) -> None:
    seen = healthy.wait(
        "all gateways say it",
        lambda seen: any("local-a1, local-b1, local-c1" in sentence for sentence in seen["redirected"]),
        NOTICED_WITHIN,
    )
    (sentence,) = seen["redirected"]
    assert sentence.startswith(redirected)
    assert seen["healthy"] is False
    assert healthy.holdfast("status", healthy.environment, check=False).returncode == 1
