"""moto's objects as the twin's `CloudView`."""

from __future__ import annotations

import base64
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

from holdfast.twin import view
from holdfast.twin.api.interfaces import public_addresses


def look(ec2: Any, route53: Any, *, account: str, region: str) -> view.CloudView:
    roots = _root_volumes(ec2)
    return view.CloudView(
        account=account,
        region=region,
        vpcs={vpc.id: _vpc(vpc) for vpc in ec2.vpcs.values()},
        subnets={subnet.id: _subnet(ec2, subnet) for subnet in _subnets(ec2)},
        groups={group.id: _group(group) for groups in ec2.groups.values() for group in groups.values()},
        interfaces={interface.id: _interface(interface) for interface in ec2.enis.values()},
        instances={instance.id: _instance(instance) for instance in ec2.all_instances()},
        volumes={
            volume.id: view.Volume(volume.id, volume.zone.name, int(volume.size))
            for volume in ec2.volumes.values()
            if volume.id not in roots
        },
        nat_gateways={
            gateway.id: view.NatGateway(gateway.id, gateway.subnet_id)
            for gateway in ec2.nat_gateways.values()
            if gateway.state == "available"
        },
        endpoints={
            endpoint.id: _endpoint(ec2, endpoint)
            for endpoint in ec2.vpc_end_points.values()
            if endpoint.state == "available"
        },
        private_zones=tuple(_zone(zone) for zone in route53.zones.values() if zone.private_zone),
        images={
            image.id: view.Image(image.id, image.state, image.instance_id)
            for image in ec2.amis.values()
            if image.instance_id is not None
        },
    )


def _vpc(vpc: Any) -> view.Vpc:
    support, hostnames = (
        str(getattr(vpc, name)).lower() == "true" for name in ("enable_dns_support", "enable_dns_hostnames")
    )
    return view.Vpc(vpc.id, IPv4Network(vpc.cidr_block), support, hostnames)


def _zone(zone: Any) -> view.PrivateZone:
    return view.PrivateZone(
        _plain(zone.name),
        frozenset(vpc["vpc_id"] for vpc in zone.vpcs),
        {
            (_plain(record.name), record.type): view.Records(int(record.ttl), tuple(record.records))
            for record in zone.rrsets
            if record.records
        },
    )


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def _subnets(ec2: Any) -> list[Any]:
    return [subnet for by_id in ec2.subnets.values() for subnet in by_id.values()]


def _table_of(ec2: Any, subnet: Any) -> Any | None:
    """The route table associated with the subnet, else the VPC's main one."""
    tables = [table for table in ec2.route_tables.values() if table.vpc_id == subnet.vpc_id]
    for table in tables:
        if subnet.id in table._associations.values():
            return table
    return next((table for table in tables if table.main_association_id), None)


def _subnet(ec2: Any, subnet: Any) -> view.Subnet:
    table = _table_of(ec2, subnet)
    routes = [_route(route) for route in table._routes.values()] if table else []
    return view.Subnet(
        subnet.id,
        subnet.vpc_id,
        IPv4Network(subnet.cidr_block),
        subnet.availability_zone,
        tuple(route for route in routes if route),
    )


def _route(route: Any) -> view.Route | None:
    """None for a route to a prefix list (of a gateway endpoint), and for one that leads nowhere."""
    if not route.destination_cidr_block:
        return None
    destination = IPv4Network(route.destination_cidr_block)
    if route.local:
        return view.Route(destination, "local")
    target = next((target for target in (route.nat_gateway, route.gateway, route.interface) if target), None)
    return view.Route(destination, target.id) if target else None


def _group(group: Any) -> view.SecurityGroup:
    return view.SecurityGroup(
        group.id,
        group.vpc_id,
        tuple(_rule(rule) for rule in group.ingress_rules),
        tuple(_rule(rule) for rule in group.egress_rules),
    )


def _rule(rule: Any) -> view.Rule:
    cidr, group = rule.ip_range.get("CidrIp"), rule.source_group.get("GroupId")
    return view.Rule(
        rule.ip_protocol,
        rule.from_port,
        rule.to_port,
        (IPv4Network(cidr, strict=False),) if cidr else (),
        (group,) if group else (),
    )


def _interface(interface: Any) -> view.Interface:
    secondary = [
        item["PrivateIpAddress"]
        for item in interface.private_ip_addresses
        if item["PrivateIpAddress"] != interface.private_ip_address
    ]
    instance = interface.instance
    return view.Interface(
        interface.id,
        interface.subnet.id,
        interface.mac_address,
        tuple(IPv4Address(address) for address in (interface.private_ip_address, *secondary)),
        tuple(sorted(group.id for group in interface.group_set)),
        bool(interface.source_dest_check),
        instance.id if instance else None,
        int(interface.device_index) if instance else None,
        _tags(interface),
        tuple(view.Mapped(IPv4Address(public), IPv4Address(private)) for public, private in _public(interface)),
    )


def _public(interface: Any) -> list[tuple[str, str]]:
    """Public and private address. One that a machine was launched with is its own as long as it is on."""
    elastic = [(one.public_ip, one.private_ip_address) for one in public_addresses(interface)]
    on = interface.instance is not None and interface.instance.state in {"pending", "running", "stopping"}
    if elastic or not (on and interface.public_ip_auto_assign and interface.public_ip):
        return elastic
    return [(interface.public_ip, interface.private_ip_address)]


def _instance(instance: Any) -> view.Instance:
    tags = _tags(instance)
    return view.Instance(
        id=instance.id,
        name=dict(tags).get("Name", ""),
        state=instance.state,
        type=instance.instance_type,
        memory=int(INSTANCE_TYPES[instance.instance_type]["MemoryInfo"]["SizeInMiB"]),
        zone=instance.availability_zone,
        image_id=instance.image_id,
        user_data=base64.b64decode(str(instance.user_data or "")),
        role=_role(instance),
        metadata_tokens=instance.metadata_options.http_tokens,
        interfaces=tuple(interface.id for _, interface in sorted(instance.nics.items())),
        attachments=tuple(
            view.Attachment(block.volume_id, device)
            for device, block in sorted(instance.block_device_mapping.items())
            if device != instance.root_device_name
        ),
        tags=tags,
        reboots=instance.reboots,
    )


def _tags(resource: Any) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((tag["key"], tag["value"]) for tag in resource.get_tags()))


def _role(instance: Any) -> str | None:
    association = instance.ec2_backend.iam_instance_profile_associations.get(instance.id)
    if association is None:
        return None
    roles = association.iam_instance_profile.roles
    return roles[0].name if roles else None


def _root_volumes(ec2: Any) -> set[str]:
    """A machine's root is its image, which the twin does not keep as a volume."""
    return {
        block.volume_id
        for instance in ec2.all_instances()
        for device, block in instance.block_device_mapping.items()
        if device == instance.root_device_name
    }


def _endpoint(ec2: Any, endpoint: Any) -> view.Endpoint:
    interface = (endpoint.vpc_endpoint_type or "Gateway").lower() == "interface"
    if interface:
        subnets = frozenset(endpoint.subnet_ids or ())
    else:
        subnets = frozenset(
            subnet.id
            for subnet in _subnets(ec2)
            if (table := _table_of(ec2, subnet)) and table.id in (endpoint.route_table_ids or ())
        )
    return view.Endpoint(
        endpoint.id,
        endpoint.vpc_id,
        endpoint.service_name.split(".", 3)[-1],
        subnets,
        interface,
        tuple(endpoint.security_group_ids),
    )
