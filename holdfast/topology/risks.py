"""The findings of `holdfast review` that stop a change, by name: an environment file may override one, for a while.

What each looks for is in holdfast/ops/review/rules.py; the names are here because the file's types need them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

from holdfast.topology.problems import Problem

if TYPE_CHECKING:
    from holdfast.topology.spec import Environment


class Risk(StrEnum):
    DATA_DESTROYED = "data-destroyed"
    KEY_DESTROYED = "key-destroyed"
    IDENTITY_DESTROYED = "identity-destroyed"
    SEVERAL_ZONES_AT_ONCE = "several-zones-at-once"
    QUORUM_LOWERED = "quorum-lowered"
    ADDRESS_CHANGED = "address-changed"
    OPENED_TO_THE_WORLD = "opened-to-the-world"
    INTERNET_GATEWAY_IN_USE = "internet-gateway-in-use"
    NETWORK_SWITCHED = "network-switched"
    PROTECTION_REMOVED = "protection-removed"
    ENVIRONMENT_RENAMED = "environment-renamed"
    MAJOR_DOWNGRADE = "major-downgrade"
    SECRET_NAME_RESERVED = "secret-name-reserved"
    STATEFUL_RENAMED = "stateful-renamed"
    DATABASES_LOWERED = "databases-lowered"
    VOLUME_SHRUNK = "volume-shrunk"
    TLS_SWITCHED = "tls-switched"
    UNGATED_RESTART = "ungated-restart"
    REFUSED_BY_TERRAFORM = "refused-by-terraform"


def expired_overrides(environment: Environment, today: date) -> Iterator[Problem]:
    """Overrides that no longer count. No invariant: a file must not become unusable overnight, in an incident."""
    for index, override in enumerate(environment.review.overrides):
        if override.expires < today:
            yield Problem(
                f"review.overrides[{index}].expires",
                f"{override.expires}, which is past, for {override.rule}",
                "no such override, or a later date after looking again",
            )
