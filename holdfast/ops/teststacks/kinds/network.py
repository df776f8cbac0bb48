"""The private network, from what is in it outwards."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.ops.teststacks.kinds.kind import OURS, Client, Kind, Stage, Thing, check_done, pages, tags_of


def _flow_logs(client: Client) -> Iterator[Thing]:
    for log in pages(client, "describe_flow_logs", "FlowLogs", Filter=OURS):
        yield Thing(log["FlowLogId"], tags_of(log["Tags"]), note=f"of {log['ResourceId']}")


def _endpoints(client: Client) -> Iterator[Thing]:
    for endpoint in pages(client, "describe_vpc_endpoints", "VpcEndpoints", Filters=OURS):
        state = endpoint["State"].lower()
        if state != "deleted":
            stage = Stage.GOING if state == "deleting" else Stage.THERE
            yield Thing(endpoint["VpcEndpointId"], tags_of(endpoint["Tags"]), stage, state)


def _nat_gateways(client: Client) -> Iterator[Thing]:
    for gateway in pages(client, "describe_nat_gateways", "NatGateways", Filter=OURS):
        state = gateway["State"]
        if state != "deleted":
            stage = Stage.GOING if state == "deleting" else Stage.THERE
            yield Thing(gateway["NatGatewayId"], tags_of(gateway["Tags"]), stage, state)


def _interfaces(client: Client) -> Iterator[Thing]:
    for interface in pages(client, "describe_network_interfaces", "NetworkInterfaces", Filters=OURS):
        holder = interface.get("Attachment", {}).get("InstanceId")
        yield Thing(
            interface["NetworkInterfaceId"],
            tags_of(interface["TagSet"]),
            note=interface["Status"],
            holders=(holder,) if holder else (),
            # A NAT gateway's or an endpoint's.
            rides=bool(interface.get("RequesterManaged")),
        )


def _addresses(client: Client) -> Iterator[Thing]:
    for address in pages(client, "describe_addresses", "Addresses", Filters=OURS):
        holder = address.get("NetworkInterfaceId") or address.get("InstanceId")
        yield Thing(
            address["AllocationId"],
            tags_of(address["Tags"]),
            note=address["PublicIp"],
            holders=(holder,) if holder else (),
        )


def _internet_gateways(client: Client) -> Iterator[Thing]:
    for gateway in pages(client, "describe_internet_gateways", "InternetGateways", Filters=OURS):
        networks = tuple(attachment["VpcId"] for attachment in gateway["Attachments"])
        yield Thing(gateway["InternetGatewayId"], tags_of(gateway["Tags"]), holders=networks)


def _remove_internet_gateway(client: Client, thing: Thing) -> None:
    for network in thing.holders:
        client.detach_internet_gateway(InternetGatewayId=thing.id, VpcId=network)
    client.delete_internet_gateway(InternetGatewayId=thing.id)


def _route_tables(client: Client) -> Iterator[Thing]:
    for table in pages(client, "describe_route_tables", "RouteTables", Filters=OURS):
        associations = table["Associations"]
        yield Thing(
            table["RouteTableId"],
            tags_of(table["Tags"]),
            holders=tuple(association["SubnetId"] for association in associations if "SubnetId" in association),
            rides=any(association.get("Main") for association in associations),
        )


def _remove_route_table(client: Client, thing: Thing) -> None:
    (table,) = client.describe_route_tables(RouteTableIds=[thing.id])["RouteTables"]
    for association in table["Associations"]:
        client.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
    client.delete_route_table(RouteTableId=thing.id)


def _subnets(client: Client) -> Iterator[Thing]:
    for subnet in pages(client, "describe_subnets", "Subnets", Filters=OURS):
        yield Thing(subnet["SubnetId"], tags_of(subnet["Tags"]), note=subnet["CidrBlock"])


def _networks(client: Client) -> Iterator[Thing]:
    for network in pages(client, "describe_vpcs", "Vpcs", Filters=OURS):
        yield Thing(network["VpcId"], tags_of(network["Tags"]), note=network["CidrBlock"])


def interfaces_with(client: Client, name: str, value: str) -> list[str]:
    """Ids of the interfaces for which EC2's filter of that name holds."""
    found = pages(
        client, "describe_network_interfaces", "NetworkInterfaces", Filters=[{"Name": name, "Values": [value]}]
    )
    return [interface["NetworkInterfaceId"] for interface in found]


def _in_network(client: Client, network: str) -> list[str]:
    here = [{"Name": "vpc-id", "Values": [network]}]
    subnets = [subnet["SubnetId"] for subnet in pages(client, "describe_subnets", "Subnets", Filters=here)]
    groups = pages(client, "describe_security_groups", "SecurityGroups", Filters=here)
    return subnets + [group["GroupId"] for group in groups if group["GroupName"] != "default"]


FLOW_LOG = Kind(
    "flow log",
    "ec2",
    _flow_logs,
    lambda client, thing: check_done(client.delete_flow_logs(FlowLogIds=[thing.id])),
)
ENDPOINT = Kind(
    "endpoint",
    "ec2",
    _endpoints,
    lambda client, thing: check_done(client.delete_vpc_endpoints(VpcEndpointIds=[thing.id])),
)
NAT_GATEWAY = Kind(
    "NAT gateway", "ec2", _nat_gateways, lambda client, thing: client.delete_nat_gateway(NatGatewayId=thing.id)
)
INTERFACE = Kind(
    "interface",
    "ec2",
    _interfaces,
    lambda client, thing: client.delete_network_interface(NetworkInterfaceId=thing.id),
)
ADDRESS = Kind("address", "ec2", _addresses, lambda client, thing: client.release_address(AllocationId=thing.id))
INTERNET_GATEWAY = Kind("internet gateway", "ec2", _internet_gateways, _remove_internet_gateway)
ROUTE_TABLE = Kind("route table", "ec2", _route_tables, _remove_route_table)
SUBNET = Kind(
    "subnet",
    "ec2",
    _subnets,
    lambda client, thing: client.delete_subnet(SubnetId=thing.id),
    held_by=lambda client, subnet: interfaces_with(client, "subnet-id", subnet),
)
NETWORK = Kind(
    "network",
    "ec2",
    _networks,
    lambda client, thing: client.delete_vpc(VpcId=thing.id),
    held_by=_in_network,
)
