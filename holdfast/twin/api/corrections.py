"""Every correction of moto: imported, it is in force."""

from holdfast.twin.api import (
    addresses,
    attributes,
    devices,
    gateways,
    groups,
    images,
    instances,
    interfaces,
    networks,
    route53,
    routes,
    s3,
    secrets,
    texts,
    unknown,
    volumes,
)

__all__ = [
    "addresses",
    "attributes",
    "devices",
    "gateways",
    "groups",
    "images",
    "instances",
    "interfaces",
    "networks",
    "route53",
    "routes",
    "s3",
    "secrets",
    "texts",
    "unknown",
    "volumes",
]
