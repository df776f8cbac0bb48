"""Public addresses with EC2's rules: each is of one private address, of any that an interface has."""

from __future__ import annotations

import random
from ipaddress import IPv4Network
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import elastic_ip_addresses, elastic_network_interfaces
from moto.ec2.models.elastic_ip_addresses import ElasticAddress, ElasticAddressBackend
from moto.ec2.responses.elastic_ip_addresses import ElasticIPAddresses
from moto.ec2.utils import random_eip_association_id

from holdfast.twin.api.interfaces import addresses, free_public_addresses
from holdfast.twin.api.patching import Method, around, refuse

PUBLIC = IPv4Network("198.18.0.0/15")
"""Out of which they are given: for tests of networks (RFC 2544), and nobody's on the internet."""


def _random_public_ip() -> str:
    return str(PUBLIC[random.randrange(1, PUBLIC.num_addresses - 1)])


# moto takes them from 127.0.0.0/8, where no router leads; and those that a machine is launched with from anywhere.
module: Any = elastic_ip_addresses
module.random_ip = _random_public_ip
module = elastic_network_interfaces
module.random_public_ip = _random_public_ip


@around(ElasticIPAddresses, "associate_address")
def _associate(original: Method, self: Any) -> ActionResult:
    """moto knows the primary private address alone."""
    if not self._get_param("NetworkInterfaceId"):
        return original(self)  # type: ignore[no-any-return]
    self.error_on_dryrun()
    ec2 = self.ec2_backend
    interface = ec2.get_network_interface(self._get_param("NetworkInterfaceId"))
    (elastic,) = ec2.address_by_allocation([self._get_param("AllocationId")])
    private = self._get_param("PrivateIpAddress") or interface.private_ip_address
    _check_may_have(ec2, interface, private)
    same = elastic.eni is interface and elastic.private_ip_address == private
    if elastic.eni is not None and not same and not self._get_bool_param("AllowReassociation", True):
        raise refuse(
            "Resource.AlreadyAssociated",
            f"resource {elastic.allocation_id} is already associated with associate-id {elastic.association_id}",
        )
    if not same:
        free_public_addresses(interface, [private])
        elastic.eni, elastic.instance, elastic.of_private = interface, None, private
        elastic.association_id = random_eip_association_id()
    return ActionResult({"AssociationId": elastic.association_id})


def _check_may_have(ec2: Any, interface: Any, private: str) -> None:
    vpc_id = interface.subnet.vpc_id
    if private not in addresses(interface):
        raise refuse("InvalidParameterValue", f"Invalid private IP address {private} for {interface.id}")
    if not any(gateway.vpc and gateway.vpc.id == vpc_id for gateway in ec2.internet_gateways.values()):
        raise refuse("Gateway.NotAttached", f"Network {vpc_id} is not attached to any internet gateway")


def _private_address(self: Any) -> str | None:
    """Of what is associated with the primary address by other ways, moto does not say so."""
    return (getattr(self, "of_private", None) or self.eni.private_ip_address) if self.eni else None


ElasticAddress.private_ip_address = property(_private_address)  # type: ignore[assignment]


@around(ElasticAddressBackend, "disassociate_address")
def _disassociate(original: Method, self: Any, address: str | None = None, association_id: str | None = None) -> None:
    """moto takes away what an instance has for its primary address, whichever address it is about."""
    for held in self.addresses:
        if getattr(held, "of_private", None) and (held.public_ip == address or held.association_id == association_id):
            free_public_addresses(held.eni, [held.of_private])
            return
    original(self, address, association_id)


@around(ElasticAddressBackend, "release_address")
def _release(original: Method, self: Any, address: str | None = None, allocation_id: str | None = None) -> None:
    for held in self.addresses:
        if held.eni is not None and (held.public_ip == address or held.allocation_id == allocation_id):
            raise refuse("InvalidIPAddress.InUse", f"Address {held.public_ip} is in use.")
    original(self, address, allocation_id)
