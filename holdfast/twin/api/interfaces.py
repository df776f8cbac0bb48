"""Network interfaces with EC2's rules: an address is of its subnet, on one interface, and moves when asked."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import nat_gateways, vpcs
from moto.ec2.models.elastic_network_interfaces import NetworkInterface, NetworkInterfaceBackend
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.subnets import Subnet
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces

from holdfast.twin.api.patching import Method, around, refuse

RESERVED = 4
"""First addresses of a subnet that AWS keeps to itself, besides the last one: network, router, resolver, future."""

modules: tuple[Any, ...] = (nat_gateways, vpcs)
for module in modules:
    # NAT gateways and interface endpoints take any address at all, of no subnet; given none, the interface chooses.
    module.random_private_ip = str


def addresses(interface: Any) -> list[str]:
    return [item["PrivateIpAddress"] for item in interface.private_ip_addresses]


def check_fits(interface: Any, instance: Any) -> None:
    """The interface is free, and has no more addresses than an interface of that type of instance."""
    if interface.instance is not None:
        raise refuse("InvalidNetworkInterface.InUse", f"Interface: [{interface.id}] in use.")
    check_number(len(interface.private_ip_addresses), instance.instance_type)


def check_number(number: int, instance_type: str) -> None:
    known = INSTANCE_TYPES.get(instance_type)
    most = known["NetworkInfo"]["Ipv4AddressesPerInterface"] if known else None
    if most is not None and number > most:
        raise refuse(
            "PrivateIpAddressLimitExceeded",
            f"Number of private addresses will exceed limit: {instance_type} has {most} per interface.",
        )


def _owner(subnet: Any, address: str) -> Any | None:
    """The interface that has the address."""
    for interface in subnet.ec2_backend.enis.values():
        if interface.subnet.vpc_id == subnet.vpc_id and address in addresses(interface):
            return interface
    return None


def _check_in_subnet(subnet: Any, address: str) -> None:
    network = IPv4Network(subnet.cidr_block)
    if IPv4Address(address) not in network:
        raise refuse("InvalidParameterValue", f"Address {address} does not fall within the subnet's address range")
    position = int(IPv4Address(address)) - int(network.network_address)
    if position < RESERVED or IPv4Address(address) == network.broadcast_address:
        raise refuse("InvalidParameterValue", f"Address {address} is in subnet's reserved address range")


def _free(subnet: Any, taken: Iterable[str] = ()) -> str:
    """The lowest free address of the subnet, and of no reservation: those are given to who asks for them by name."""
    reserved = [reservation.cidr for reservation in subnet._cidr_reservations]
    used = {address for interface in subnet.ec2_backend.enis.values() for address in addresses(interface)} | set(taken)
    hosts = list(IPv4Network(subnet.cidr_block))[RESERVED:-1]
    for host in hosts:
        if str(host) not in used and not any(host in block for block in reserved):
            return str(host)
    raise refuse("InsufficientFreeAddressesInSubnet", f"Insufficient free addresses in subnet '{subnet.id}'.")


@around(NetworkInterfaceBackend, "create_network_interface")
def _create(
    original: Method,
    self: Any,
    subnet: Any,
    private_ip_address: Any,
    private_ip_addresses: Any = None,
    group_ids: Any = None,
    *args: Any,
    secondary_ips_count: Any = None,
    **kwargs: Any,
) -> Any:
    """Primary address first, each one checked, and each one marked as primary or not."""
    if isinstance(subnet, str):
        subnet = self.get_subnet(subnet)
    _check_groups(self, subnet.vpc_id, group_ids or ())
    listed = [item if isinstance(item, dict) else {"PrivateIpAddress": item} for item in private_ip_addresses or ()]
    listed.sort(key=lambda item: not item.get("Primary"))
    wanted = [item["PrivateIpAddress"] for item in listed]
    if isinstance(private_ip_address, list):
        private_ip_address = next(iter(private_ip_address), None)
    if private_ip_address:
        wanted = [private_ip_address, *(address for address in wanted if address != private_ip_address)]
    if not wanted:
        wanted = [_free(subnet)]
    for address in wanted:
        _check_in_subnet(subnet, address)
        if _owner(subnet, address):
            raise refuse("InvalidIPAddress.InUse", f"The specified address is already in use: {address}")
    for _ in range(int(secondary_ips_count or 0)):
        wanted.append(_free(subnet, wanted))
    items = [{"Primary": address == wanted[0], "PrivateIpAddress": address} for address in wanted]
    return original(self, subnet, wanted[0], items, group_ids, *args, **kwargs)


def _check_groups(backend: Any, vpc_id: str, group_ids: Iterable[str]) -> None:
    for group_id in group_ids:
        group = backend.get_security_group_from_id(group_id)
        if group is None:
            raise refuse("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        if group.vpc_id != vpc_id:
            raise refuse("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")


@around(NetworkInterfaceBackend, "modify_network_interface_attribute")
def _modify(original: Method, self: Any, eni_id: str, group_ids: list[str], *args: Any, **kwargs: Any) -> None:
    _check_groups(self, self.get_network_interface(eni_id).subnet.vpc_id, group_ids)
    original(self, eni_id, group_ids, *args, **kwargs)


@around(Subnet, "get_available_subnet_ip")
def _choose(original: Method, self: Any, instance: Any) -> str:
    """moto counts, without looking at the addresses that were asked for."""
    return _free(self)


@around(Subnet, "request_ip")
def _request(original: Method, self: Any, ip: str, instance: Any) -> None:
    """Checked when the interface is made, which moto does next."""


@around(NetworkInterfaceBackend, "delete_network_interface")
def _delete(original: Method, self: Any, eni_id: str) -> None:
    interface = self.enis.get(eni_id)
    if interface is not None and (interface.instance is not None or _is_of_nat_gateway(interface)):
        raise refuse("InvalidParameterValue", f"Network interface '{eni_id}' is currently in use.")
    original(self, eni_id)
    free_public_addresses(interface)


def public_addresses(interface: Any) -> list[Any]:
    """Those that lead to an interface."""
    return [elastic for elastic in interface.ec2_backend.addresses if elastic.eni is interface]


def free_public_addresses(interface: Any, of: Collection[str] | None = None) -> None:
    """Those of an interface (`of`: of these private addresses of it) are free for others, or to be released."""
    for elastic in public_addresses(interface):
        if of is None or elastic.private_ip_address in of:
            elastic.eni, elastic.association_id, elastic.of_private = None, None, None


def _is_of_nat_gateway(interface: Any) -> bool:
    gateways = interface.ec2_backend.nat_gateways.values()
    return any(gateway._eni is interface and gateway.state != "deleted" for gateway in gateways)


@around(NetworkInterfaceBackend, "attach_network_interface")
def _attach(original: Method, self: Any, eni_id: str, instance_id: str, device_index: int) -> Any:
    check_fits(self.get_network_interface(eni_id), self.get_instance(instance_id))
    return original(self, eni_id, instance_id, device_index)


@around(NetworkInterfaceBackend, "detach_network_interface")
def _detach(original: Method, self: Any, attachment_id: str) -> None:
    for interface in self.enis.values():
        if interface.attachment_id == attachment_id and interface.device_index == 0:
            raise refuse(
                "OperationNotPermitted",
                "The network interface at device index 0 and networkCard index 0 cannot be detached.",
            )
    original(self, attachment_id)


@around(ElasticNetworkInterfaces, "assign_private_ip_addresses")
def _assign(original: Method, self: Any) -> ActionResult:
    """moto never looks at `AllowReassignment`, and lets two interfaces have the same address."""
    interface = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
    wanted = list(self._get_param("PrivateIpAddresses", []))
    for _ in range(self._get_int_param("SecondaryPrivateIpAddressCount", 0)):
        wanted.append(_free(interface.subnet, wanted))
    added = [address for address in wanted if address not in addresses(interface)]
    move = self._get_bool_param("AllowReassignment", False)
    for address in added:
        _check_in_subnet(interface.subnet, address)
        _check_may_move(_owner(interface.subnet, address), address, move=move)
    if interface.instance is not None:
        check_number(len(interface.private_ip_addresses) + len(added), interface.instance.instance_type)
    for address in added:
        owner = _owner(interface.subnet, address)
        if owner is not None:
            _move_public_addresses(owner, address, interface)
            _drop(owner, [address])
        interface.private_ip_addresses.append({"Primary": False, "PrivateIpAddress": address})
    return ActionResult(
        {
            "NetworkInterfaceId": interface.id,
            "AssignedPrivateIpAddresses": [{"PrivateIpAddress": address} for address in added],
        }
    )


def _check_may_move(owner: Any | None, address: str, *, move: bool) -> None:
    if owner is None:
        return
    if not move:
        raise refuse("InvalidParameterValue", f"[{address}] assigned, but move is not allowed.")
    if owner.private_ip_address == address:
        raise refuse("InvalidParameterValue", f"[{address}] is the primary address of {owner.id}, and cannot be moved.")


def _move_public_addresses(owner: Any, private: str, interface: Any) -> None:
    """They go where the private address goes."""
    for elastic in public_addresses(owner):
        if elastic.private_ip_address == private:
            elastic.eni = interface


def _drop(interface: Any, dropped: Iterable[str]) -> None:
    interface.private_ip_addresses = [
        item for item in interface.private_ip_addresses if item["PrivateIpAddress"] not in set(dropped)
    ]


@around(NetworkInterfaceBackend, "unassign_private_ip_addresses")
def _unassign(original: Method, self: Any, eni_id: str, private_ip_address: Any = None) -> Any:
    interface = self.get_network_interface(eni_id)
    for address in private_ip_address or ():
        if address not in addresses(interface) or address == interface.private_ip_address:
            raise refuse(
                "InvalidParameterValue",
                f"Some of the specified addresses are not assigned to interface {eni_id} as secondary: {address}",
            )
    free_public_addresses(interface, private_ip_address or ())
    _drop(interface, private_ip_address or ())
    return interface


@around(NetworkInterface, "get_filter_value")
def _filter(original: Method, self: Any, filter_name: str, *args: Any) -> Any:
    if filter_name in {"addresses.private-ip-address", "private-ip-address"}:
        return addresses(self)
    if filter_name == "status":
        return self.status
    return original(self, filter_name, *args)
