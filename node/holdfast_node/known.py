"""Who belongs to this environment, by what the deploy wrote: nobody else is counted, watched, followed or logged in to.

Anybody who may publish a greeting can make a Sentinel believe in Sentinels, leaders and epochs that do not exist. What
Sentinels say is told apart here, before anything depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from holdfast_node.identity import Identity

ABSURD_EPOCH = 2**53
"""From here on an epoch was forged: each election adds one, and a cured Sentinel begins with seconds since 1970. At
2^63 Sentinels understand each other's votes no more, and above the last one of 64 bits none can be elected."""


class Known:
    """The slots of the layout, and the addresses of newer nodes that the last deploy wrote into the bucket.

    Slots that are not deployed count as well: who has the older list must not count fewer Sentinels than there are.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._slots = frozenset(identity.data.values()) | {*identity.sentinels.values(), *identity.gateways.values()}
        self.deployed = frozenset[str]()
        """Addresses of all nodes that there are; empty while that is not known."""

    @property
    def environment(self) -> str:
        return self._identity.environment

    def sentinels(self) -> frozenset[str]:
        return frozenset(self._identity.sentinels.values()) | (self.deployed - self._slots)

    def data(self) -> frozenset[str]:
        return frozenset(self._identity.data.values()) | (self.deployed - self._slots)

    def is_sentinel(self, address: str, port: object) -> bool:
        return address in self.sentinels() and str(port) == str(self._identity.sentinel_port)

    def is_data(self, address: str, port: object) -> bool:
        return address in self.data() and str(port) == str(self._identity.redis_port)


def strangers(listed: Iterable[Mapping[str, str]], ours: Callable[[str, str], bool]) -> frozenset[str]:
    """`ADDRESS:PORT` of those that a Sentinel lists and that are not `ours`."""
    return frozenset(f"{one['ip']}:{one['port']}" for one in listed if not ours(one["ip"], one["port"]))
