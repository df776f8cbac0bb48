"""Which stacks have a Terraform state with something in it: what is left behind, and environments without a file."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.ops import cloud
from holdfast.topology import Environment, names
from holdfast.topology.spec import TEST_PREFIX

STACK = re.compile(r"(?P<environment>.+)-(?:network|identity|backups|zone-[a-h]|watch|names)\.tfstate")


@dataclass(frozen=True)
class States:
    """What there is beside the stacks that are synthesised."""

    place: bool
    """There is a place for this environment's states."""
    left_behind: tuple[str, ...]
    """Stacks of this environment that have resources and are not synthesised, without its name."""
    abandoned: tuple[str, ...]
    """Environments with resources and no file; asked only for an environment that has no state itself."""


def look(environment: Environment, synthesised: Collection[str], known: Collection[str]) -> States:
    """`synthesised`: names of stacks; `known`: names of environments that have a file.

    Raises:
        CloudError: the states cannot be listed.
    """
    try:
        return _look(environment, synthesised, known, _keys(environment))
    except (BotoCoreError, ClientError) as error:
        raise cloud.CloudError(
            f"{cloud.explain(environment, 'listing the Terraform states', error)}; "
            f"without credentials: holdfast review {environment.name} --offline"
        ) from None


def read(environment: Environment) -> dict[str, dict[str, Any]]:
    """Stack → its whole state, of each stack of the environment that has resources.

    Raises:
        CloudError: the states cannot be read.
    """
    keys = _keys(environment)
    try:
        held = {stack: keys.content(stack) for stack in keys.own(environment)} if keys.has_place() else {}
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain(environment, "reading the Terraform states", error) from None
    return {stack: state for stack, state in held.items() if _managed(state)}


def _keys(environment: Environment) -> _Keys:
    return _Local() if environment.api_endpoint else _S3(environment)


def _managed(state: dict[str, Any]) -> bool:
    return any(resource["mode"] == "managed" for resource in state.get("resources", ()))


def _look(environment: Environment, synthesised: Collection[str], known: Collection[str], keys: _Keys) -> States:
    place = keys.has_place()
    own = [stack for stack in keys.own(environment) if keys.holds(stack)] if place else []
    others = [] if own else keys.others(environment)
    abandoned = {
        name
        for stack in others
        if (name := _environment(stack)) not in known and not name.startswith(TEST_PREFIX) and keys.holds(stack)
    }
    return States(
        place=place,
        left_behind=tuple(stack.removeprefix(f"{environment.name}-") for stack in own if stack not in synthesised),
        abandoned=tuple(sorted(abandoned)),
    )


def _environment(stack: str) -> str:
    found = STACK.fullmatch(names.state_key(stack))
    return found["environment"] if found else ""


class _Keys:
    """Where states lie. A stack is named without `.tfstate`."""

    def has_place(self) -> bool:
        raise NotImplementedError

    def own(self, environment: Environment) -> list[str]:
        return [stack for stack in self._all() if _environment(stack) == environment.name]

    def others(self, environment: Environment) -> list[str]:
        return [stack for stack in self._all() if _environment(stack) not in ("", environment.name)]

    def holds(self, stack: str) -> bool:
        """Its state has resources."""
        return _managed(self.content(stack))

    def content(self, stack: str) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self._read(stack))
        return state

    def _all(self) -> list[str]:
        raise NotImplementedError

    def _read(self, stack: str) -> str | bytes:
        raise NotImplementedError


class _Local(_Keys):
    """A folder of this machine: the cloud is an emulation."""

    def has_place(self) -> bool:
        return True

    def _all(self) -> list[str]:
        return sorted(file.stem for file in names.LOCAL_STATE.glob("*.tfstate"))

    def _read(self, stack: str) -> str:
        return (names.LOCAL_STATE / names.state_key(stack)).read_text(encoding="utf-8")


class _S3(_Keys):
    """A bucket for each environment."""

    def __init__(self, environment: Environment) -> None:
        self._s3 = cloud.client(environment, "s3")
        self._bucket = names.state_bucket(environment)
        self._where: dict[str, str] = {}

    def has_place(self) -> bool:
        try:
            self._s3.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchBucket"):
                return False
            raise
        return True

    def own(self, environment: Environment) -> list[str]:
        return list(self._stacks(self._bucket))

    def _all(self) -> list[str]:
        buckets = [bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"]]
        ours = [name for name in buckets if name.startswith(f"{names.PROJECT}-") and name.endswith("-state")]
        return [stack for bucket in ours for stack in self._stacks(bucket)]

    def _stacks(self, bucket: str) -> Iterator[str]:
        answer: dict[str, Any] = self._s3.list_objects_v2(Bucket=bucket)
        for entry in answer.get("Contents", ()):
            if STACK.fullmatch(entry["Key"]):
                stack = entry["Key"].removesuffix(".tfstate")
                self._where[stack] = bucket
                yield stack

    def _read(self, stack: str) -> bytes:
        body: bytes = self._s3.get_object(Bucket=self._where[stack], Key=names.state_key(stack))["Body"].read()
        return body
