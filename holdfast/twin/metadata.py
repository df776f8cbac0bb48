"""The instance metadata service, version 2 with its tokens: what a machine learns of itself at 169.254.169.254."""

from __future__ import annotations

import datetime
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar

from holdfast.twin.rules import holder
from holdfast.twin.view import CloudView, Instance, Interface
from holdfast.twin.web import Handler

TOKEN = "X-aws-ec2-metadata-token"
TOKEN_TTL = "X-aws-ec2-metadata-token-ttl-seconds"
MAX_TTL = 21600
ROOT_DEVICE = "/dev/xvda"

Credentials = Callable[[str], dict[str, str]]
"""Role name → the document with its keys."""


@dataclass(frozen=True)
class Myself:
    """The machine that asks."""

    view: CloudView
    instance: Instance


def who(view: CloudView, vpc_id: str, address: IPv4Address) -> Myself | None:
    interface = holder(view, vpc_id, address)
    return Myself(view, view.instances[interface.instance_id or ""]) if interface else None


def answer(me: Myself, path: str, credentials: Credentials) -> bytes | None:
    """What is at a path below the version: `user-data`, `meta-data/…`, `dynamic/…`. None: nothing.

    A folder is its entries, one in a line, those that are folders with a slash at their end.
    """
    if path == "user-data":
        return me.instance.user_data or None
    role = me.instance.role
    keys = f"meta-data/iam/security-credentials/{role}"
    if role is not None and path == keys:
        return json.dumps(credentials(role), indent=2).encode()
    tree = {f"meta-data/{name}": text for name, text in _meta_data(me).items()}
    tree["dynamic/instance-identity/document"] = json.dumps(_identity(me), indent=2)
    if role is not None:
        tree[keys] = ""
    if path in tree:
        return tree[path].encode()
    folder = path.rstrip("/") + "/"
    entries = sorted({_entry(name.removeprefix(folder)) for name in tree if name.startswith(folder)})
    return "\n".join(entries).encode() if entries else None


def _entry(rest: str) -> str:
    name, slash, _ = rest.partition("/")
    return name + slash


def _meta_data(me: Myself) -> dict[str, str]:
    instance, view = me.instance, me.view
    interfaces = [view.interfaces[name] for name in instance.interfaces if name in view.interfaces]
    first = interfaces[0]
    address = str(first.addresses[0])
    facts = {
        "ami-id": instance.image_id,
        "block-device-mapping/ami": ROOT_DEVICE,
        "block-device-mapping/root": ROOT_DEVICE,
        "hostname": _host_name(first, view),
        "instance-action": "none",
        "instance-id": instance.id,
        "instance-life-cycle": "on-demand",
        "instance-type": instance.type,
        "local-hostname": _host_name(first, view),
        "local-ipv4": address,
        "mac": first.mac,
        "placement/availability-zone": instance.zone,
        "placement/region": view.region,
        "services/domain": "amazonaws.com",
        "services/partition": "aws",
    }
    for interface in interfaces:
        folder = f"network/interfaces/macs/{interface.mac}"
        facts |= {f"{folder}/{name}": text for name, text in _interface(interface, view).items()}
    if instance.role is not None:
        arn = f"arn:aws:iam::{view.account}:instance-profile/{instance.role}"
        facts["iam/info"] = json.dumps({"Code": "Success", "InstanceProfileArn": arn})
    return facts


def _interface(interface: Interface, view: CloudView) -> dict[str, str]:
    subnet = view.subnets[interface.subnet_id]
    vpc = view.vpcs[subnet.vpc_id]
    return {
        "device-number": str(interface.device_index or 0),
        "interface-id": interface.id,
        "local-hostname": _host_name(interface, view),
        "local-ipv4s": "\n".join(str(address) for address in interface.addresses),
        "mac": interface.mac,
        "owner-id": view.account,
        "security-group-ids": "\n".join(interface.groups),
        "subnet-id": subnet.id,
        "subnet-ipv4-cidr-block": str(subnet.cidr),
        "vpc-id": vpc.id,
        "vpc-ipv4-cidr-block": str(vpc.cidr),
        "vpc-ipv4-cidr-blocks": str(vpc.cidr),
    }


def _host_name(interface: Interface, view: CloudView) -> str:
    return f"ip-{str(interface.addresses[0]).replace('.', '-')}.{view.region}.compute.internal"


def _identity(me: Myself) -> dict[str, str]:
    interface = me.view.interfaces[me.instance.interfaces[0]]
    return {
        "accountId": me.view.account,
        "architecture": "x86_64",
        "availabilityZone": me.instance.zone,
        "imageId": me.instance.image_id,
        "instanceId": me.instance.id,
        "instanceType": me.instance.type,
        "pendingTime": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}",
        "privateIp": str(interface.addresses[0]),
        "region": me.view.region,
        "version": "2017-09-30",
    }


class _Tokens:
    """A token is good for the machine that asked for it, until it expires."""

    def __init__(self) -> None:
        self._known: dict[tuple[IPv4Address, str], float] = {}
        self._issuing = threading.Lock()

    def issue(self, caller: IPv4Address, seconds: int) -> str:
        now = time.monotonic()
        token = secrets.token_urlsafe(40)
        # Machines ask at the same time: none may lose its token to another's.
        with self._issuing:
            self._known = {key: end for key, end in self._known.items() if end > now} | {(caller, token): now + seconds}
        return token

    def accept(self, caller: IPv4Address, token: str) -> bool:
        return self._known.get((caller, token), 0.0) > time.monotonic()


def handler(vpc_id: str, view: Callable[[], CloudView], credentials: Credentials) -> type[Handler]:
    """For `web.Server`, on the metadata address of the VPC's router."""

    class Metadata(Handler):
        tokens: ClassVar[_Tokens] = _Tokens()

        def do_PUT(self) -> None:
            seconds = self.headers.get(TOKEN_TTL, "")
            if self.path != "/latest/api/token":
                self.answer(404)
            elif not seconds.isdigit() or not 1 <= int(seconds) <= MAX_TTL:
                self.answer(400)
            else:
                token = self.tokens.issue(self.caller, int(seconds))
                self.answer(200, token.encode(), {TOKEN_TTL: seconds})

        def do_GET(self) -> None:
            me = who(view(), vpc_id, self.caller)
            if me is None:
                self.answer(404)
                return
            token = self.headers.get(TOKEN)
            needed = token is not None or me.instance.metadata_tokens == "required"
            if needed and not self.tokens.accept(self.caller, token or ""):
                self.answer(401)
                return
            # /latest/… and every dated version are alike.
            _, _, path = self.path.removeprefix("/").partition("/")
            found = answer(me, path, credentials)
            if found is None:
                self.answer(404)
            else:
                self.answer(200, found, {"Content-Type": "text/plain"})

    return Metadata
