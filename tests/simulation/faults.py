"""What can be broken: hard faults, each the reason of a round, and small ones beside them."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.floating_model import API_PATIENCE
from tests.simulation.site import DATA, GATEWAY, SENTINEL, Site

Break = Callable[[Site, str, float], None]
"""Breaks something at an address; what has an end ends after about so many seconds."""

CHOSEN = "+failover-state-send-slaveof-noone"
"""What the elected Sentinel says once it has chosen whom to promote."""

PAIR_MOVES_WITHIN = 5.0
"""Seconds for the floating pair to lead to another gateway, where the API answers."""

WATCHDOG = 2.0
"""Seconds after which systemd ends a node program that hangs."""

STALL = 1.9
"""Seconds that the elected Sentinel stalls, at most: see README.md, what is known."""


def others(site: Site, leader: str) -> list[str]:
    """All Redis but the leader's, in any order."""
    found = [address for address in site.having(DATA).values() if address != leader]
    site.world.random.shuffle(found)
    return found


def _lost_beside_busy(site: Site, leader: str, *names: str, seconds: float) -> None:
    """Its successor has not read yet what it has been sent."""
    for address in others(site, leader):
        site.freeze(address, "redis", seconds=seconds)
    site.world.later(site.world.random.uniform(0, min(seconds, 0.5)), None, lambda: site.kill(leader, *names))


def _lost_beside_empty(site: Site, leader: str, seconds: float) -> None:
    """One of the others restarts, empty where nothing is on disk, and is not fed yet; who has everything is busy.

    Not sooner: for a second and a half the Sentinels may take one that restarted for what it was.
    """
    random = site.world.random
    first, *busy = others(site, leader) or [leader]
    if busy:
        site.kill(first, "redis")

    def lost() -> None:
        for address in busy or [first]:
            site.freeze(address, "redis", seconds=seconds)
        site.kill(leader, "redis")

    site.world.later(random.uniform(1.5, 2.5), None, lost)


def _lost_beside_one_busy(site: Site, leader: str, _: float) -> None:
    """One of those that could succeed it has not read yet what another one has acknowledged."""
    random = site.world.random
    site.freeze((others(site, leader) or [leader])[0], "redis", seconds=random.uniform(0.3, 0.55))
    site.world.later(random.uniform(0.05, 0.3), None, lambda: site.kill(leader, "redis"))


def _lost_in_tilt(site: Site, leader: str, _: float) -> None:
    """The clocks of all machines jump, as by a step of NTP: no Sentinel does anything for a while."""
    for address in site.having(SENTINEL).values():
        site.distrust_clock(address)
    site.world.later(site.world.random.uniform(0.1, 2.0), None, lambda: site.kill(leader, "redis", "node"))


def _returns(site: Site, leader: str) -> None:
    """Its Redis stalls for about as long as it takes to replace it."""
    site.freeze(leader, "redis", seconds=site.world.random.uniform(0.7, 1.5))


def upon_promotion(site: Site, do: Callable[[str], None]) -> None:
    """`do` gets the address of the Sentinel that was elected."""
    site.world.upon(CHOSEN, lambda who: do(who.removeprefix("sentinel ")))


def _returns_to_stalled_gateways(site: Site, leader: str, _: float) -> None:
    def stall(_: str) -> None:
        for address in site.having(GATEWAY).values():
            site.freeze(address, "node", seconds=site.world.random.uniform(0.2, 1.2))

    _returns(site, leader)
    upon_promotion(site, stall)


def _returns_to_the_deaf(site: Site, leader: str, _: float) -> None:
    """Nobody hears of the promotion."""
    _returns(site, leader)
    site.world.later(0.4, None, lambda: site.lose_listeners(seconds=1.5))


def _returns_beside_a_stalled_sentinel(site: Site, leader: str, _: float) -> None:
    random = site.world.random

    def stall(elected: str) -> None:
        seconds = random.uniform(0.3, STALL)
        site.world.later(random.uniform(0, 0.1), None, lambda: site.freeze(elected, "sentinel", seconds=seconds))

    _returns(site, leader)
    upon_promotion(site, stall)


def _hang_haproxy_while_cut_off(site: Site, address: str, _: float) -> None:
    """Its last order of a node program that ended meanwhile is to close everything."""
    site.freeze(address, "haproxy", seconds=2.5)
    site.isolate(address, seconds=0.8)
    site.world.later(site.world.random.uniform(0.7, 1.2), None, lambda: site.kill(address, "node"))


def _long(seconds: float) -> float:
    """Until another gateway has the pair, and longer."""
    return PAIR_MOVES_WITHIN + seconds


def _hang_node_program(site: Site, address: str, _: float) -> None:
    """Its watchdog ends it."""
    site.freeze(address, "node", seconds=WATCHDOG)
    site.world.later(WATCHDOG, None, lambda: site.kill(address, "node"))


def _lose_holder_in_silence(site: Site, address: str, seconds: float) -> None:
    """No route can be moved meanwhile."""
    site.silence_api(seconds=seconds)
    site.power_cut(address, seconds=seconds + API_PATIENCE + _long(seconds))


def _depose_in_silence(site: Site, address: str, seconds: float) -> None:
    """What it has asked of the API is done later, when another one is elected."""
    site.silence_api(seconds=seconds)
    site.kill(address, "keepalived", restart=_long(seconds))


APART = "cut the pair's holder off from another gateway"


def _cut_from_another_gateway(site: Site, address: str, seconds: float) -> None:
    """Both are elected then."""
    others = [other for other in site.having(GATEWAY).values() if other != address]
    site.cut_apart(address, site.world.random.choice(others), seconds=30 + 5 * seconds)


def _isolate_another(site: Site, address: str, seconds: float) -> None:
    """It misses the holder, and is elected by nobody else."""
    others = [other for other in site.having(GATEWAY).values() if other != address]
    site.isolate(site.world.random.choice(others), seconds=_long(seconds))


HARD: dict[str, Break] = {
    "kill redis": lambda site, address, _: site.kill(address, "redis"),
    "kill redis for a while": lambda site, address, seconds: site.kill(address, "redis", restart=seconds),
    "kill redis and node": lambda site, address, _: site.kill(address, "redis", "node"),
    "kill redis beside a busy replica": _lost_beside_one_busy,
    "kill redis beside busy replicas": lambda site, address, seconds: _lost_beside_busy(
        site, address, "redis", seconds=seconds
    ),
    "kill redis and node beside busy replicas": lambda site, address, seconds: _lost_beside_busy(
        site, address, "redis", "node", seconds=seconds
    ),
    "kill redis beside an empty replica and busy ones": _lost_beside_empty,
    "kill redis and node in TILT": _lost_in_tilt,
    "freeze redis": lambda site, address, seconds: site.freeze(address, "redis", seconds=seconds),
    "freeze redis, and gateways at the promotion": _returns_to_stalled_gateways,
    "freeze redis, and lose the promotion": _returns_to_the_deaf,
    "freeze redis, and the elected Sentinel": _returns_beside_a_stalled_sentinel,
    "freeze machine": lambda site, address, seconds: site.freeze(address, *site.SERVICES, seconds=seconds),
    "hang HAProxy, and cut it off": _hang_haproxy_while_cut_off,
    "power cut": lambda site, address, seconds: site.power_cut(address, seconds=1 + seconds),
    "restart the site": lambda site, _, seconds: site.restart(seconds=seconds),
    "lost volume": lambda site, address, seconds: site.wipe(address, seconds=1 + seconds),
    "isolate": lambda site, address, seconds: site.isolate(address, seconds=seconds),
}
OFTEN = ("restart the site", "restart the site", "isolate", "power cut")
"""Drawn more often than the others: on top of once."""

AT_LEADER = frozenset(what for what in HARD if " beside " in what or "redis, and " in what or what.endswith("in TILT"))
"""Which make sense only where the leader is."""

AT_HOLDER: dict[str, Break] = {
    "lose the pair's holder": lambda site, address, seconds: site.power_cut(address, seconds=_long(seconds)),
    "isolate the pair's holder": lambda site, address, seconds: site.isolate(address, seconds=_long(seconds)),
    "isolate another gateway than the pair's holder": _isolate_another,
    "end HAProxy of the pair's holder": lambda site, address, seconds: site.kill(
        address, "haproxy", restart=_long(seconds)
    ),
    "freeze HAProxy of the pair's holder": lambda site, address, seconds: site.freeze(
        address, "haproxy", seconds=_long(seconds)
    ),
    "end keepalived of the pair's holder": lambda site, address, _: site.kill(address, "keepalived"),
    "hang the node program of the pair's holder": _hang_node_program,
    "lose the pair's holder while the API is silent": _lose_holder_in_silence,
    "end keepalived of the pair's holder while the API is silent": _depose_in_silence,
    APART: _cut_from_another_gateway,
}
"""Of the gateway that has the floating pair."""

SMALL: dict[str, Break] = {
    "slow command": lambda site, address, seconds: site.freeze(address, "redis", seconds=min(seconds, 0.5)),
    "stalled node program": lambda site, address, seconds: site.freeze(address, "node", seconds=min(seconds, 1.0)),
    "kill node program": lambda site, address, _: site.kill(address, "node"),
    "kill haproxy": lambda site, address, _: site.kill(address, "haproxy"),
}
