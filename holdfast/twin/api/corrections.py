"""Every correction of moto: imported, it is in force."""

from holdfast.twin.api import gateways, groups, images, instances, interfaces, networks, s3, volumes

__all__ = ["gateways", "groups", "images", "instances", "interfaces", "networks", "s3", "volumes"]
