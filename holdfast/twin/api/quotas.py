"""What AWS grants an account in a region at first: more is refused, until the account is granted more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.ec2.models.elastic_ip_addresses import ElasticAddressBackend
from moto.ec2.models.elastic_network_interfaces import NetworkInterfaceBackend
from moto.ec2.models.internet_gateways import InternetGatewayBackend
from moto.ec2.models.nat_gateways import NatGatewayBackend
from moto.ec2.models.route_tables import RouteBackend
from moto.ec2.models.subnets import SubnetBackend
from moto.ec2.models.vpcs import VPCBackend

from holdfast.errors import HoldfastError
from holdfast.twin.api.patching import Method, around, refuse


@dataclass(frozen=True)
class Quota:
    granted: int
    code: str
    what: str


QUOTAS = {
    "elastic-ips": Quota(5, "AddressLimitExceeded", "addresses"),
    "vpcs": Quota(5, "VpcLimitExceeded", "VPCs"),
    "internet-gateways": Quota(5, "InternetGatewayLimitExceeded", "internet gateways"),
    "nat-gateways": Quota(5, "NatGatewayLimitExceeded", "NAT gateways in the zone"),
    "subnets": Quota(200, "SubnetLimitExceeded", "subnets"),
    "routes": Quota(50, "RouteLimitExceeded", "routes"),
    "groups-of-an-interface": Quota(5, "SecurityGroupsPerInterfaceLimitExceeded", "security groups per interface"),
}
"""Amazon VPC user guide, "Amazon VPC quotas". Of rules of a group, 60 each way, moto knows."""


def grant(ec2: Any, more: Mapping[str, int]) -> None:
    """Change quotas of the account and region that the backend is.

    Raises:
        HoldfastError: there is no quota of that name.
    """
    if unknown := sorted(more.keys() - QUOTAS.keys()):
        raise HoldfastError(f"no quota {unknown[0]}; known: {', '.join(QUOTAS)}")
    # Kept with the backend's state.
    ec2.granted = {**getattr(ec2, "granted", {}), **more}


def _check(ec2: Any, name: str, wanted: int) -> None:
    quota = QUOTAS[name]
    if wanted > getattr(ec2, "granted", {}).get(name, quota.granted):
        raise refuse(quota.code, f"The maximum number of {quota.what} has been reached.")


def _limit(owner: type, method: str, name: str, there: Callable[[Any], int]) -> None:
    """One more of them is made by that method, beside those that are there."""

    @around(owner, method)
    def make(original: Method, self: Any, *args: Any, **kwargs: Any) -> Any:
        _check(self, name, there(self) + 1)
        return original(self, *args, **kwargs)


_limit(ElasticAddressBackend, "allocate_address", "elastic-ips", lambda ec2: len(ec2.addresses))
_limit(VPCBackend, "create_vpc", "vpcs", lambda ec2: len(ec2.vpcs))
_limit(InternetGatewayBackend, "create_internet_gateway", "internet-gateways", lambda ec2: len(ec2.internet_gateways))


@around(NatGatewayBackend, "create_nat_gateway")
def _create_nat_gateway(original: Method, self: Any, subnet_id: str, *args: Any, **kwargs: Any) -> Any:
    zone = self.get_subnet(subnet_id).availability_zone
    there = [it for it in self.nat_gateways.values() if it.state != "deleted"]
    _check(self, "nat-gateways", sum(self.get_subnet(it.subnet_id).availability_zone == zone for it in there) + 1)
    return original(self, subnet_id, *args, **kwargs)


@around(SubnetBackend, "create_subnet")
def _create_subnet(original: Method, self: Any, vpc_id: str, *args: Any, **kwargs: Any) -> Any:
    _check(self, "subnets", sum(subnet.vpc_id == vpc_id for subnet in self.describe_subnets()) + 1)
    return original(self, vpc_id, *args, **kwargs)


@around(RouteBackend, "create_route")
def _create_route(original: Method, self: Any, route_table_id: str, *args: Any, **kwargs: Any) -> Any:
    if not kwargs.get("local"):
        # The one that leads into the network itself does not count.
        _check(self, "routes", len(self.get_route_table(route_table_id).routes))
    return original(self, route_table_id, *args, **kwargs)


@around(NetworkInterfaceBackend, "create_network_interface")
def _create_interface(
    original: Method,
    self: Any,
    subnet: Any,
    private_ip_address: Any,
    private_ip_addresses: Any = None,
    group_ids: Any = None,
    *args: Any,
    **kwargs: Any,
) -> Any:
    _check(self, "groups-of-an-interface", len(group_ids or ()))
    return original(self, subnet, private_ip_address, private_ip_addresses, group_ids, *args, **kwargs)


@around(NetworkInterfaceBackend, "modify_network_interface_attribute")
def _modify_interface(
    original: Method, self: Any, eni_id: str, group_ids: list[str], *args: Any, **kwargs: Any
) -> None:
    _check(self, "groups-of-an-interface", len(group_ids or ()))
    original(self, eni_id, group_ids, *args, **kwargs)
