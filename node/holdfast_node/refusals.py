"""What Redis has refused to its users: commands, keys, channels and logins that their rules do not allow.

Redis keeps them (ACL LOG). Names and keys are of whoever was refused: they are cut, and shown as Python writes them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from holdfast_node import resp
from holdfast_node.notice import SHOWN, Notice

INTERVAL = 10.0
"""Seconds between two looks."""

NEWEST = 32
"""Entries that are looked at: Redis puts those of one kind together for a minute."""

ANSWER_TIMEOUT = 0.3
"""Seconds for an answer of the own Redis: whoever waits for it here has a report to make."""

TOLD_FOR = 3600.0
"""Seconds for which a refusal is told, and after which one that comes back is said again."""

LONGEST = 60
"""Characters of a name or a key."""

COMMAND, KEY, CHANNEL, LOGIN = "command", "key", "channel", "auth"
"""Redis' words for what was refused."""


@dataclass(frozen=True)
class Refusal:
    user: str
    what: str
    """Redis' word for its kind."""
    name: str
    """Of the command, in capitals; of the key or the channel; none of a login."""
    count: int
    at: float
    """The last time, in seconds since 1970."""

    def sentence(self) -> str:
        if self.what == LOGIN:
            return f"Redis refused a login as {self.user}: a wrong password, or no such user"
        return f"Redis refused {self.user} the {self.what} {self.name}: holdfast status says what would allow it"


class Refusals:
    """Looked for by the own Redis' own list, over a connection of its own: a long one must hold up nothing else."""

    def __init__(self, port: int, login: resp.Login) -> None:
        self._port, self._login = port, login
        self._client: resp.Client | None = None
        self._looked = float("-inf")
        self.notice = Notice(interval=INTERVAL, forgotten_after=TOLD_FOR)
        self._found: list[Refusal] = []

    def look(self) -> None:
        """To be called as often as one likes; says what is new. A Redis that does not answer has refused nothing."""
        now = time.monotonic()
        if now - self._looked < INTERVAL:
            return
        self._looked = now
        try:
            self._client = self._client or resp.Client("127.0.0.1", self._port, self._login(), timeout=ANSWER_TIMEOUT)
            self._found = read(self._client.call("ACL", "LOG", NEWEST), time.time())
        except (OSError, resp.Refused, ValueError):
            self._found = []
            self._close()
        self.notice.look([one.sentence() for one in self._found])

    def _close(self) -> None:
        if self._client:
            with suppress(OSError):
                self._client.close()
        self._client = None

    def report(self) -> list[dict[str, object]]:
        """The newest ones, the last first."""
        return [
            {"user": one.user, "what": one.what, "name": one.name, "count": one.count, "at": round(one.at)}
            for one in self._found[:SHOWN]
        ]


def read(log: resp.Reply, now: float) -> list[Refusal]:
    """`ACL LOG` at `now` (seconds since 1970), one for each user and thing, without the old ones; the newest first.

    Raises:
        ValueError: it is none.
    """
    found: dict[tuple[str, str, str], Refusal] = {}
    for one in _entries(log, now):
        known = found.get((one.user, one.what, one.name))
        count, at = (known.count, known.at) if known else (0, one.at)
        both = Refusal(one.user, one.what, one.name, count + one.count, max(at, one.at))
        found[one.user, one.what, one.name] = both
    return sorted(found.values(), key=lambda one: one.at, reverse=True)


def _entries(log: resp.Reply, now: float) -> Iterator[Refusal]:
    try:
        for entry in map(resp.pairs, log):
            age = float(entry["age-seconds"])
            if age < TOLD_FOR:
                what, name = _short(entry["reason"]), _short(entry["object"])
                name = name.upper().replace("|", " ") if what == COMMAND else "" if what == LOGIN else name
                yield Refusal(_short(entry["username"]), what, name, int(entry["count"]), now - age)
    except (LookupError, TypeError) as error:
        raise ValueError(f"no ACL LOG: {error}") from None


def _short(text: str) -> str:
    shown = ascii(text[: LONGEST + 1])[1:-1]
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}~"
