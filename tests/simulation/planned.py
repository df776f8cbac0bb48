"""What is planned: handovers of the leader, alone and with what can go wrong with them, and changes of the machines."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.simulation.faults import CHOSEN, STALL, Break, others, upon_promotion
from tests.simulation.site import DATA, Site

PAUSED, FIRST = "pauses writes", "comes before all others"
"""What a Redis says when it is told so."""


def _order(site: Site, leader: str, _: float) -> None:
    site.order()


def _order_to(site: Site, leader: str, _: float) -> None:
    site.order(to=(others(site, leader) or [leader])[0])


def _hand_over(site: Site, leader: str, seconds: float) -> None:
    """In whatever way."""
    site.world.random.choice((_order, _order_to, _stop))(site, leader, seconds)


def _stop(site: Site, leader: str, seconds: float) -> None:
    site.reboot(leader, seconds=1 + seconds)


def _upon_pause(site: Site, within: float, do: Callable[[], None]) -> None:
    site.world.upon(PAUSED, lambda _: site.world.later(site.world.random.uniform(0, within), None, do))


def _hand_over_twice(site: Site, leader: str, seconds: float) -> None:
    """Its machine stops while it does what an operator has ordered."""
    _upon_pause(site, 0.3, lambda: _stop(site, leader, seconds))
    site.world.random.choice((_order, _order_to))(site, leader, seconds)


def _stop_two(site: Site, leader: str, seconds: float) -> None:
    """Another machine stops just before, or after; a majority of three is left only where that one has no Sentinel."""
    for address in (leader, (others(site, leader) or [leader])[0]):
        site.world.later(site.world.random.uniform(0, 1), None, lambda address=address: _stop(site, address, seconds))


def _lose_successor(site: Site, leader: str, seconds: float) -> None:
    def lose(elected: str) -> None:
        sentinel = site.nodes[elected].sentinel
        if sentinel is not None and sentinel.promoted is not None:
            after, address = site.world.random.uniform(0, 0.4), sentinel.promoted.address
            if site.world.random.random() < 0.5:
                site.world.later(after, None, lambda: site.kill(address, "redis"))
            else:
                site.world.later(after, None, lambda: site.power_cut(address, seconds=1 + seconds))

    upon_promotion(site, lose)
    _hand_over(site, leader, seconds)


def _end_program(site: Site, leader: str, seconds: float) -> None:
    _upon_pause(site, 0.4, lambda: site.kill_handover(leader))
    _hand_over(site, leader, seconds)


def _end_program_early(site: Site, leader: str, seconds: float) -> None:
    """When it has just said who shall be promoted."""
    end = partial(site.kill_handover, leader)
    site.world.upon(FIRST, lambda _: site.world.later(site.world.random.uniform(0, 0.2), None, end))
    _order_to(site, leader, seconds)


def _stall_sentinel(site: Site, leader: str, seconds: float) -> None:
    stalls = site.world.random.uniform(0.2, STALL)
    begins = site.world.random.choice((CHOSEN, "+try-failover"))
    site.world.upon(begins, lambda who: site.freeze(who.removeprefix("sentinel "), "sentinel", seconds=stalls))
    _hand_over(site, leader, seconds)


def _cut_off(site: Site, leader: str, seconds: float) -> None:
    who = site.world.random.choice([leader, *others(site, leader)])
    _upon_pause(site, 0.3, lambda: site.isolate(who, seconds=seconds))
    _hand_over(site, leader, seconds)


def _freeze_replica(site: Site, leader: str, seconds: float) -> None:
    who = (others(site, leader) or [leader])[0]
    _upon_pause(site, 0.1, lambda: site.freeze(who, "redis", seconds=seconds))
    _hand_over(site, leader, seconds)


HANDOVERS: dict[str, Break] = {
    "hand over": _order,
    "hand over to a replica": _order_to,
    "stop": _stop,
    "hand over, and stop": _hand_over_twice,
    "stop, and stop another": _stop_two,
    "hand over, and lose the successor": _lose_successor,
    "hand over, and end its program": _end_program,
    "hand over to a replica, and end its program": _end_program_early,
    "hand over, and stall the Sentinel": _stall_sentinel,
    "hand over, and be cut off": _cut_off,
    "hand over, and freeze a replica": _freeze_replica,
}
"""Of the leader."""

TWO_COPIES = frozenset(("stop, and stop another", "hand over, and lose the successor"))
"""What ends two Redis at once."""

GATE = 120.0
"""Seconds for the nodes to be ready after one of them was replaced."""


def _wait_until_ready(site: Site, what: str) -> None:
    since = site.world.now
    if not site.wait(lambda: site.all_ready(since), GATE):
        site.problems.append(f"not all nodes were ready within {GATE:g} s after {what}")


def _replace_all(site: Site, _: str, seconds: float) -> None:
    """A deploy replaces every machine, each when all are ready again; some come back with another volume."""
    wiped = site.world.random.random() < 0.5
    for address in site.addresses:
        site.reboot(address, seconds=1 + seconds, wiped=wiped)
        boots = site.nodes[address].host.boots
        site.wait(lambda boots=boots, address=address: site.nodes[address].host.boots > boots, GATE)
        _wait_until_ready(site, f"the replacement of {address}")


def _change_members(site: Site, leader: str, seconds: float) -> None:
    """A deploy takes nodes out, or adds those that there is room for."""
    free = [address for address in site.slots if address not in site.addresses]
    if free:
        site.add(free)
        _wait_until_ready(site, "new nodes")
        return
    data = list(site.having(DATA).values())
    site.world.random.shuffle(data)
    site.remove(data[: 2 if len(data) > 3 else 1])


def _lose_members(site: Site, leader: str, seconds: float) -> None:
    """Some are lost for good, and a deploy takes them out a while later: once, as the rest must be a majority."""
    if site.gone:
        _change_members(site, leader, seconds)
        return
    data = list(site.having(DATA).values())
    site.world.random.shuffle(data)
    lost = data[: 2 if len(data) > 3 else 1 if len(data) > 2 else 0]
    for address in lost:
        site.world.tell(address, "is lost for good")
        site.nodes[address].host.fall_dark()
    site.run(seconds)
    site.remove(lost)


def _rotate(site: Site, _: str, __: float) -> None:
    """A new authority: each node takes its certificate when all are ready again; its HAProxy and Sentinel restart."""
    for address in site.addresses:
        site.rotate(address)
        site.run(1)
        _wait_until_ready(site, f"the new certificate of {address}")


CHANGES: dict[str, Break] = {
    "rotate certificates": _rotate,
    "replace all": _replace_all,
    "change members": _change_members,
    "lose members": _lose_members,
}
"""They take long."""

CHANGEABLE = frozenset(("compact of 5", "compact, 3 of 5", "tiered of 3"))
"""Layouts that may lose a node with data for good, and still have two copies."""

CALM = frozenset(
    ("hand over", "hand over to a replica", "stop", "hand over, and stop", "replace all", "change members")
)
"""With nothing beside them, no write at all may be lost."""
