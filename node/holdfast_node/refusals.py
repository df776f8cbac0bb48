"""What Redis has refused to its users: commands, keys, channels and logins that their rules do not allow.

Redis keeps them (ACL LOG), with whole keys. A key or a channel can be a secret: only its beginning is told, as a
pattern. What stands in place of a user's name can be a password: where it is no user, it is not told.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass

from holdfast_node import resp
from holdfast_node.notice import SHOWN, Notice

INTERVAL = 10.0
"""Seconds between two looks."""

SAID_EVERY = 60.0
"""Seconds between two times that something is said: whoever is refused often must not fill the journal."""

NEWEST = 32
"""Entries that are looked at: Redis puts those of one kind together for a minute."""

ANSWER_TIMEOUT = 0.3
"""Seconds for an answer of the own Redis: whoever waits for it here has a report to make."""

TOLD_FOR = 3600.0
"""Seconds for which a refusal is told, and after which one that comes back is said again."""

LONGEST, BEGINNING = 40, 8
"""Characters of a name; and of the beginning of a key without a colon."""

COMMAND, LOGIN = "command", "auth"
"""Redis' words for two of the kinds; `key` and `channel` are others."""

UNKNOWN = "?"
"""In place of the name of a user that there is not."""


@dataclass(frozen=True)
class Refusal:
    user: str
    what: str
    """Redis' word for its kind."""
    name: str
    """Of the command, in capitals; the beginning of the key or the channel, as a pattern; none of a login."""
    count: int
    at: float
    """The last time, in seconds since 1970."""

    def sentence(self) -> str:
        if self.user == UNKNOWN:
            return "Redis refused a login: there is no such user"
        if self.what == LOGIN:
            return f"Redis refused a login as {self.user}: a wrong password"
        return f"Redis refused {self.user} the {self.what} {self.name}: holdfast status says what would allow it"


class Refusals:
    """Looked for by the own Redis' own list, over a connection of its own: a long one must hold up nothing else.

    `users`: all that there are.
    """

    def __init__(self, port: int, login: resp.Login, users: Collection[str]) -> None:
        self._port, self._login, self._users = port, login, users
        self._client: resp.Client | None = None
        self._looked = float("-inf")
        self._newest = NEWEST
        """How many it asks for: fewer, after an answer that was too long."""
        self._found: list[Refusal] = []
        self.notice = Notice(interval=SAID_EVERY, forgotten_after=TOLD_FOR)

    def look(self) -> None:
        """To be called as often as one likes; says what is new. What a Redis does not answer is as it was."""
        now, unreadable = time.monotonic(), list[str]()
        if now - self._looked < INTERVAL:
            return
        self._looked = now
        try:
            self._client = self._client or resp.Client("127.0.0.1", self._port, self._login(), timeout=ANSWER_TIMEOUT)
            self._found = read(self._client.call("ACL", "LOG", self._newest), self._users, time.time())
            self._newest = min(2 * self._newest, NEWEST)
        except (OSError, resp.Refused, ValueError) as error:
            if self._newest == 1 and isinstance(error, ValueError):
                unreadable = ["what Redis has refused last cannot be read: it is too long"]
            self._newest = max(self._newest // 2, 1)
            self._close()
        self.notice.look([*(one.sentence() for one in self._young()), *unreadable])

    def _close(self) -> None:
        if self._client:
            with suppress(OSError):
                self._client.close()
        self._client = None

    def _young(self) -> list[Refusal]:
        return [one for one in self._found if time.time() - one.at < TOLD_FOR]

    def report(self) -> list[dict[str, object]]:
        """The newest ones, the last first."""
        return [
            {"user": one.user, "what": one.what, "name": one.name, "count": one.count, "at": round(one.at)}
            for one in self._young()[:SHOWN]
        ]


def read(log: resp.Reply, users: Collection[str], now: float) -> list[Refusal]:
    """`ACL LOG` at `now` (seconds since 1970), one for each user and thing, without the old ones; the newest first.

    Raises:
        ValueError: it is none.
    """
    found: dict[tuple[str, str, str], Refusal] = {}
    for one in _entries(log, users, now):
        known = found.get((one.user, one.what, one.name), one)
        count = one.count + (0 if known is one else known.count)
        found[one.user, one.what, one.name] = Refusal(one.user, one.what, one.name, count, max(known.at, one.at))
    return sorted(found.values(), key=lambda one: one.at, reverse=True)


def _entries(log: resp.Reply, users: Collection[str], now: float) -> Iterator[Refusal]:
    try:
        for entry in map(resp.pairs, log):
            user, what, age = entry["username"], _word(entry["reason"]).lower(), float(entry["age-seconds"])
            if age >= TOLD_FOR:
                continue
            if what == COMMAND:
                name = _word(entry["object"]).upper().replace("|", " ")
            else:
                name = "" if what == LOGIN else _beginning(entry["object"])
            yield Refusal(user if user in users else UNKNOWN, what, name, int(entry["count"]), now - age)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"no ACL LOG: {error}") from None


def _beginning(name: str) -> str:
    """Of a key or a channel, as a pattern that it matches."""
    head, colon, _ = name.partition(":")
    if colon:
        return f"{_word(head)}:*"
    return _word(name) if len(name) <= BEGINNING else f"{_word(name[:BEGINNING])}*"


def _word(text: str) -> str:
    """With nothing in it that a reader, or a terminal, could take for something else."""
    return re.sub(r"[^A-Za-z0-9_.|{}-]", "?", text[:LONGEST])
