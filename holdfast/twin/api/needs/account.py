"""What permissions speak of: ARNs, and the tags that things have or are to get."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.backends import get_backend

from holdfast.twin.api.policies import Need


@dataclass(frozen=True)
class Unknown:
    """A call of which nobody has written down here what it takes."""

    what: str


@dataclass(frozen=True)
class Account:
    id: str
    region: str

    def arn(self, service: str, what: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.id}:{what}"

    @property
    def root(self) -> str:
        """The ARN of who has the whole account: the twin's own key."""
        return f"arn:aws:iam::{self.id}:root"

    def here(self, service: str) -> Any:
        """moto's backend of a service that each region has."""
        return get_backend(service)[self.id][self.region]  # type: ignore[call-overload]

    def everywhere(self, service: str) -> Any:
        """moto's backend of a service that all regions share."""
        return get_backend(service)[self.id]["aws"]  # type: ignore[call-overload]

    def key(self, named: str) -> str:
        """The ARN of a key: by its ARN, its id or an alias."""
        kms = self.here("kms")
        return self.arn("kms", f"key/{kms.get_key_id(kms.any_id_to_key_id(named))}")

    def through(self, service: str, action: str, key: str, **more: str) -> Need:
        """What a service does with a key for its caller."""
        via = f"{service}.{self.region}.amazonaws.com"
        context = resource_tags(self._tags_of_key(key)) | {"kms:ViaService": via} | more
        return Need(action, self.key(key), context)

    def _tags_of_key(self, key: str) -> dict[str, str]:
        kms = self.here("kms")
        return listed(kms.tagger.list_tags_for_resource(kms.get_key_id(kms.any_id_to_key_id(key)))["Tags"])

    def of_key(self, action: str, key: str) -> Need:
        return Need(action, self.key(key), resource_tags(self._tags_of_key(key)))


def resource_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Condition keys, of what a thing has."""
    return {f"aws:ResourceTag/{name}": value for name, value in tags.items()}


def request_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Condition keys, of what it is to get."""
    return {f"aws:RequestTag/{name}": value for name, value in tags.items()}


def listed(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Of the forms in which services list tags."""
    return {tag.get("Key", tag.get("TagKey", "")): tag.get("Value", tag.get("TagValue", "")) for tag in tags}


def numbered(parameters: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Tags of a form: `Tags.member.1.Key`, `Tags.member.1.Value`."""
    return {
        value: parameters.get(f"{name.removesuffix('Key')}Value", "")
        for name, value in parameters.items()
        if name.startswith(prefix) and name.endswith(".Key")
    }
