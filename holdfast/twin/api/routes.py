"""Route tables with EC2's rules: one per subnet, one route per destination, and none into the network itself."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from moto.ec2.models.route_tables import RouteBackend

from holdfast.twin.api.patching import Method, around, refuse


@around(RouteBackend, "associate_route_table")
def _associate(original: Method, self: Any, route_table_id: str, gateway_id: Any = None, subnet_id: Any = None) -> Any:
    for table in self.route_tables.values():
        if subnet_id is not None and table.id != route_table_id and subnet_id in table._associations.values():
            raise refuse(
                "Resource.AlreadyAssociated",
                f"the specified association for route table {route_table_id} conflicts with an existing association",
            )
    return original(self, route_table_id, gateway_id, subnet_id)


@around(RouteBackend, "create_route")
def _create(
    original: Method, self: Any, route_table_id: str, destination_cidr_block: str | None, *args: Any, **kwargs: Any
) -> Any:
    table = self.get_route_table(route_table_id)
    if destination_cidr_block and not kwargs.get("local"):
        _check_destination(self, table, destination_cidr_block)
    nat_gateway = kwargs.get("nat_gateway_id")
    if nat_gateway and nat_gateway not in self.nat_gateways:
        raise refuse("InvalidNatGatewayID.NotFound", f"The natGateway ID '{nat_gateway}' does not exist")
    return original(self, route_table_id, destination_cidr_block, *args, **kwargs)


def _check_destination(ec2: Any, table: Any, destination: str) -> None:
    if any(route.destination_cidr_block == destination for route in table._routes.values()):
        raise refuse("RouteAlreadyExists", f"The route identified by {destination} already exists.")
    wanted, network = IPv4Network(destination), IPv4Network(ec2.get_vpc(table.vpc_id).cidr_block)
    subnets = [IPv4Network(subnet.cidr_block) for subnet in ec2.describe_subnets() if subnet.vpc_id == table.vpc_id]
    if wanted.subnet_of(network) and wanted not in subnets:
        raise refuse(
            "InvalidParameterValue",
            f"The destination CIDR block {destination} is equal to or more specific than one of this VPC's CIDR "
            "blocks. This route can target only an interface or an instance of a whole subnet.",
        )
