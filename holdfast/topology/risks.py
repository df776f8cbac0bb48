"""The findings of `holdfast review` that stop a change, by name: an environment file may override one, for a while.

What each looks for is in holdfast/ops/review/rules/; the names are here because the file's types need them.
"""

from __future__ import annotations

from enum import StrEnum


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
