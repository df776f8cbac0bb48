"""The API as the twin's daemon has it: served to Terraform and machines, and read by the reconciler in this process."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from pathlib import Path
from socket import socket
from typing import Any

from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import FakeKey

from holdfast.errors import HoldfastError
from holdfast.topology import names
from holdfast.topology.emulation import Key
from holdfast.twin.api import console, images, instances, s3, state
from holdfast.twin.api import quotas as granting
from holdfast.twin.api.needs import Account
from holdfast.twin.api.permissions import Permissions, wrongly_signed
from holdfast.twin.api.serving import LOCK, Authorize, Call, Refusal, Request, Server, Service, refuse
from holdfast.twin.api.viewing import look
from holdfast.twin.view import CloudView

LISTEN = "127.0.0.1"

VALID_FOR = datetime.timedelta(hours=6)
RENEWED_BEFORE = datetime.timedelta(hours=1)
"""Of an instance's credentials, as EC2 has it; boto3 asks for new ones 15 minutes before the old ones expire."""


class Api:
    """One account's cloud. moto keeps its state per process, so a process has one `Api`; each new one starts empty."""

    def __init__(
        self,
        port: int = 5599,
        region: str = "eu-central-1",
        on_change: Callable[[], None] | None = None,
        instant: bool = False,
        key: Key | None = None,
        consoles: console.Read | None = None,
    ) -> None:
        """`on_change`: called after every change, to signal only. `instant`: states are reached without machines.

        `key`: may do everything; a new one unless given. `consoles`: what the machine of an instance wrote.
        """
        self.account: str = DEFAULT_ACCOUNT_ID
        self.region = region
        self.key = key or Key.new()
        self.generation = 0
        self._port = port
        self._on_change = on_change
        self._instant = instant
        self._service = Service(self._after)
        self._permissions = Permissions(self.account, region)
        self._servers: list[Server] = []
        self._seen: tuple[int, CloudView] | None = None
        self._credentials: dict[str, tuple[datetime.datetime, dict[str, str]]] = {}
        with LOCK:
            state.reset(self.account)
            images.registered.clear()
            console.reads[:] = [consoles] if consoles else []
            state.forget_default_vpc(self._ec2())

    @property
    def url(self) -> str:
        return f"http://{LISTEN}:{self._port}"

    def start(self) -> None:
        """Port 0 takes a free one."""
        server = self._service.listen(LISTEN, self._port, self._refusal)
        self._port = server.port
        self._servers.append(server)

    def serve_on(self, listening: socket, authorize: Authorize) -> Server:
        """Serve machines, on a socket that already listens.

        `authorize(remote address, service)` False: no answer. A call that its role is not allowed is refused.
        """
        server = self._service.listen_on(listening, authorize, self._permissions.refusal)
        self._servers.append(server)
        return server

    def unused_permissions(self) -> dict[str, list[list[str]]]:
        """Role → statement, action and resource that it is allowed, and that no machine has used in this process."""
        with LOCK:
            unused = self._permissions.unused()
        return {role: [[it.sid, it.action, it.resource] for it in left] for role, left in unused.items()}

    def stop(self) -> None:
        while self._servers:
            self._servers.pop().stop()

    def view(self) -> CloudView:
        """The same object until something changes."""
        with LOCK:
            if self._seen is None or self._seen[0] != self.generation:
                self._seen = (
                    self.generation,
                    look(self._ec2(), self._global("route53"), account=self.account, region=self.region),
                )
            return self._seen[1]

    def set_instance_state(self, instance_id: str, state: str) -> bool:
        """The machine reached `running`, `stopped` or `terminated`. False if that is not where it was going."""
        with LOCK:
            instance = self._ec2().get_instance_by_id(instance_id)
            if instance is None or not instances.reach(instance, state):
                return False
            self._changed()
            return True

    def set_image_state(self, image_id: str, state: str, why: str = "") -> bool:
        """What was taken of a machine is `available`, or has `failed`. False if nobody waits for it."""
        with LOCK:
            if not images.reach(self._ec2(), image_id, state, why):
                return False
            self._changed()
            return True

    def start_instance(self, instance_id: str) -> None:
        """As StartInstances: one that is stopped becomes pending."""
        with LOCK:
            self._ec2().start_instances([instance_id])
            self._changed()

    def grant(self, quotas: Mapping[str, int]) -> None:
        """More, or less, than AWS grants an account at first: by the names in `quotas`.

        Raises:
            HoldfastError: there is no quota of that name.
        """
        with LOCK:
            granting.grant(self._ec2(), quotas)
            self._changed()

    def register_image(self, id: str, name: str, owner: str, arch: str) -> None:
        """In every region."""
        with LOCK:
            images.register(self.account, id, name=name, owner=owner, architecture=arch)
            self._changed()

    def credentials_for(self, role_name: str) -> dict[str, str]:
        """Keys of the role, as the metadata service answers them: the same ones until they are about to expire."""
        now = datetime.datetime.now(datetime.UTC)
        with LOCK:
            role = self._global("iam").get_role(role_name)
            expires, keys = self._credentials.get(role.id, (now, {}))
            if expires - now > RENEWED_BEFORE:
                return keys
            expires = now + VALID_FOR
            session = self._global("sts").assume_role(
                region_name=self.region,
                role_session_name="holdfast-twin",
                role_arn=role.arn,
                policy=None,
                duration=int(VALID_FOR.total_seconds()),
                external_id=None,
            )
            keys = {
                "Code": "Success",
                "LastUpdated": f"{now:%Y-%m-%dT%H:%M:%SZ}",
                "Type": "AWS-HMAC",
                "AccessKeyId": session.access_key_id,
                "SecretAccessKey": session.secret_access_key,
                "Token": session.session_token,
                "Expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
            }
            self._credentials[role.id] = expires, keys
            # To be kept: machines go on using them after this process.
            self._changed()
        return keys

    def put_parameter(self, name: str, value: str) -> None:
        """A parameter of Systems Manager, overwritten."""
        with LOCK:
            self._regional("ssm").put_parameter(
                name=name,
                description="",
                value=value,
                parameter_type="String",
                allowed_pattern="",
                keyid="",
                overwrite=True,
                tags=[],
                data_type="text",
                tier=None,
                policies=None,
            )
            self._changed()

    def get_object(self, bucket: str, key: str) -> bytes | None:
        with LOCK:
            backend = self._global("s3")
            found = backend.get_object(bucket, key) if bucket in backend.buckets else None
            return bytes(found.value) if found is not None else None

    def list_objects(self, bucket: str, prefix: str = "") -> list[str]:
        with LOCK:
            buckets = self._global("s3").buckets
            if bucket not in buckets:
                return []
            current = buckets[bucket].keys.items()
            return sorted(name for name, key in current if name.startswith(prefix) and isinstance(key, FakeKey))

    def save(self, path: Path) -> None:
        with LOCK:
            content = state.dump(self.account)
        state.write(path, content)

    def load(self, path: Path) -> None:
        """
        Raises:
            HoldfastError: another version saved it, or it is damaged; nothing is changed.
        """
        with LOCK:
            try:
                state.restore(self.account, path.read_bytes())
            except Exception as error:
                raise HoldfastError(
                    f"{path}: the state of the twin's cloud cannot be read ({error!r}); "
                    "`holdfast twin down` begins anew, and takes down what runs on it"
                ) from error
            self._changed()

    def _refusal(self, request: Request) -> Refusal | None:
        """To this host. Whoever has no key is refused, and a role what its policies do not allow."""
        if request.signature is None or request.signature.key_id != self.key.id:
            return self._permissions.refusal(request)
        if not request.signed_with(self.key.secret):
            return wrongly_signed(request)
        if request.bucket_owner not in (None, self.account):
            return refuse(request.call, "AccessDenied", f"The bucket is not of the account {request.bucket_owner}.")
        account = Account(self.account, self.region)
        return s3.refusal(account, request, account.root)

    def _after(self, call: Call) -> None:
        if self._instant and call.service == "ec2":
            self._settle()
        report = _report(call)
        if report:
            s3.keep_newest(self._global("s3"), *report)
        elif call.writes:
            self._changed()

    def _settle(self) -> None:
        for instance in self._ec2().all_instances():
            if instance.state in instances.SETTLED:
                instances.reach(instance, instances.SETTLED[instance.state])
        for image_id in list(self._ec2().amis):
            images.reach(self._ec2(), image_id, "available")

    def _changed(self) -> None:
        self.generation += 1
        if self._on_change:
            self._on_change()

    def _ec2(self) -> Any:
        return self._regional("ec2")

    def _regional(self, service: Any) -> Any:
        return get_backend(service)[self.account][self.region]

    def _global(self, service: Any) -> Any:
        return get_backend(service)[self.account]["aws"]


def _report(call: Call) -> tuple[str, str] | None:
    """Bucket and key. Nodes report every few seconds, which changes nothing that the twin acts on or has to keep."""
    method, _, path = call.action.partition(" ")
    bucket, _, key = path.strip("/").partition("/")
    written = call.service == "s3" and method == "PUT" and key.startswith(names.REPORTS_PREFIX)
    return (bucket, key) if written else None
