"""Gateways with EC2's rules: what is in use stays, and a NAT gateway takes its interface along."""

from __future__ import annotations

from typing import Any

from moto.ec2.models.internet_gateways import InternetGatewayBackend
from moto.ec2.models.nat_gateways import NatGateway, NatGatewayBackend

from holdfast.twin.api.interfaces import free_public_addresses
from holdfast.twin.api.patching import Method, around, refuse


@around(NatGateway, "__init__")
def _tell_its_address(original: Method, self: Any, *args: Any, **kwargs: Any) -> None:
    """moto makes up an address, and keeps it beside the one of the interface."""
    original(self, *args, **kwargs)
    self.private_ip = self._eni.private_ip_address
    self._eni.description = f"Interface for NAT Gateway {self.id}"


@around(NatGatewayBackend, "delete_nat_gateway")
def _delete_nat_gateway(original: Method, self: Any, nat_gateway_id: str) -> Any:
    """moto keeps the interface, which would hold the subnet, and the public address on it."""
    gateway = self.nat_gateways.get(nat_gateway_id)
    if gateway is None:
        raise refuse("NatGatewayNotFound", f"NAT gateway {nat_gateway_id} was not found")
    if gateway.state != "deleted":
        free_public_addresses(gateway._eni)
        gateway.state = "deleted"
        gateway._eni.delete()
    return gateway


@around(InternetGatewayBackend, "attach_internet_gateway")
def _attach(original: Method, self: Any, internet_gateway_id: str, vpc_id: str) -> Any:
    if any(gateway.vpc and gateway.vpc.id == vpc_id for gateway in self.internet_gateways.values()):
        raise refuse("InvalidParameterValue", f"Network {vpc_id} already has an internet gateway attached")
    return original(self, internet_gateway_id, vpc_id)


@around(InternetGatewayBackend, "detach_internet_gateway")
def _detach(original: Method, self: Any, internet_gateway_id: str, vpc_id: str) -> None:
    if any(address.eni and address.eni.subnet.vpc_id == vpc_id for address in self.addresses):
        raise refuse(
            "DependencyViolation",
            f"Network {vpc_id} has some mapped public address(es). "
            "Please unmap those public address(es) before detaching the gateway.",
        )
    original(self, internet_gateway_id, vpc_id)
