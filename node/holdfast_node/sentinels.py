"""What every Sentinel says, asked ten times a second over connections that stay open: the votes that prove a leader."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from holdfast_node import servers
from holdfast_node.decision import proven_leader

INTERVAL = 0.1
"""Seconds between two questions to one Sentinel."""

LEASE = 0.4
"""Seconds for which a Sentinel's word counts. Shorter than down-after-milliseconds: a gateway that is cut off closes
before the other side can have promoted anybody."""

MEMBERS_INTERVAL = 1.0
"""Seconds between two looks at which other Sentinels and replicas a Sentinel knows."""

PING_PERIOD = 250
"""Milliseconds between two pings of the own Sentinel. By default it is down-after-milliseconds where that is under a
second: then the first ping to a new leader comes just when it counts as down, and a second failover follows the first.
Shorter, and no replica is eligible. It can only be set at run time, and only from Redis 7.0 on (see sentinel.conf)."""


@dataclass
class Word:
    """What one Sentinel last said, and when (monotonic seconds)."""

    leader: str
    at: float
    sentinels: int = 1
    members: frozenset[str] = frozenset()
    tilt: bool = False
    """Whether it distrusts its own clock, and so does nothing for 30 s."""


@dataclass
class Sentinels:
    """Watches the Sentinels of all `addresses` and of those that they tell of."""

    environment: str
    own: str
    port: int
    since_7_0: bool
    _words: dict[str, Word] = field(default_factory=dict)
    _watched: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self, address: str) -> None:
        with self._lock:
            if address in self._watched:
                return
            self._watched.add(address)
        threading.Thread(target=self._ask_for_ever, args=(address,), daemon=True).start()

    def votes(self) -> dict[str, str]:
        """Sentinel's address → leader it names, of words still within their lease."""
        oldest = time.monotonic() - LEASE
        return {address: word.leader for address, word in list(self._words.items()) if word.at >= oldest}

    def known(self) -> int:
        """How many Sentinels there are, by the one that knows most."""
        return max((word.sentinels for word in list(self._words.values())), default=1)

    def proven_leader(self) -> str | None:
        return proven_leader(self.votes(), self.known())

    def members(self) -> frozenset[str]:
        """Addresses of all data nodes that the Sentinels know of."""
        return frozenset().union(*(word.members for word in list(self._words.values())))

    def own_word(self) -> Word | None:
        word = self._words.get(self.own)
        return word if word and word.at >= time.monotonic() - LEASE else None

    def ask_failover(self) -> None:
        """Have the own Sentinel promote a replica now, without waiting for the others to miss the leader."""
        connection = servers.connect(self.own, self.port, None)
        try:
            connection.execute_command("SENTINEL", "FAILOVER", self.environment)
        finally:
            connection.close()

    def _ask_for_ever(self, address: str) -> None:
        connection = servers.connect(address, self.port, None)
        looked = 0.0
        while True:
            try:
                answer = connection.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.environment)
                now = time.monotonic()
                before = self._words.get(address)
                if answer:
                    word = Word(answer[0], now)
                    if before:
                        word.sentinels, word.members, word.tilt = before.sentinels, before.members, before.tilt
                    self._words[address] = word
                    if now - looked >= MEMBERS_INTERVAL:
                        if address == self.own and self.since_7_0:
                            # Every time: a Sentinel that was restarted has forgotten it.
                            connection.execute_command("SENTINEL", "DEBUG", "PING-PERIOD", PING_PERIOD)
                        self._look_at_members(connection, word)
                        looked = now
            except servers.Error:
                connection.close()
            time.sleep(INTERVAL)

    def _look_at_members(self, connection: object, word: Word) -> None:
        def ask(what: str) -> list[dict[str, str]]:
            answer = connection.execute_command("SENTINEL", what, self.environment)  # type: ignore[attr-defined]
            listed = answer.values() if isinstance(answer, dict) else answer
            return [servers.pairs(entry) for entry in listed]

        others, replicas = ask("SENTINELS"), ask("REPLICAS")
        word.sentinels = len(others) + 1
        word.tilt = connection.info("sentinel").get("sentinel_tilt") == 1  # type: ignore[attr-defined]
        word.members = frozenset({word.leader, *(replica["ip"] for replica in replicas)})
        for other in others:
            self.watch(other["ip"])
