"""Which machines a layout has: their roles, how many there are and can be, and where their addresses begin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.topology.spec import Environment, MachineKey, Role, SingleLayout, TieredLayout

MOST = 5
"""Machines of a kind that a layout can grow to. Every machine knows all of these slots by arithmetic, deployed or not,
so that adding nodes does not change the user-data of the others."""

SLOTS_PER_ZONE = 2
"""Slots of a kind in one zone: five over three zones."""


@dataclass(frozen=True)
class Kind:
    """Machines that the file describes together, under one key of `machines`."""

    key: MachineKey
    label: str
    """Stands in the names of its machines: `data` in `prod-data-a1`. Empty in `compact` and `single`: `prod-a1`."""
    counts: Mapping[Role, int]
    """How many of the machines have each role. Those that do are the first ones."""
    most: int
    first_slot: int
    """The first of its slots in each zone: its addresses come after those of the kinds before it."""

    @property
    def count(self) -> int:
        return max(self.counts.values())

    def roles_of(self, index: int) -> frozenset[Role]:
        return frozenset(role for role, count in self.counts.items() if index < count)


def kinds(environment: Environment) -> tuple[Kind, ...]:
    """The kinds of machines of a layout, in the order of their addresses; without keys that it does not have."""
    wanted = environment.layout.counts()
    if isinstance(environment.layout, TieredLayout):
        found = [_tier(key, wanted) for key in environment.machines if key != "node"]
        return tuple(sorted(found, key=lambda kind: kind.first_slot))
    if "node" not in environment.machines:
        return ()
    most = 1 if isinstance(environment.layout, SingleLayout) else MOST
    return (Kind("node", "", wanted, most, first_slot=0),)


def _tier(key: MachineKey, wanted: Mapping[Role, int]) -> Kind:
    """A key's first role names its machines and says how many there are; the others are on the first ones of them."""
    roles = [Role(part) for part in key.split("+")]
    first_slot = SLOTS_PER_ZONE * list(Role).index(roles[0])
    return Kind(key, roles[0].value, {role: wanted[role] for role in roles}, MOST, first_slot)
