"""Kinds of values that a setting of Redis takes: what a user may write, and the one text of it that redis.conf gets.

What a kind has made of a value, it takes again and leaves as it is: an environment is written and read anew.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Version = tuple[int, int]
OLDEST: Version = (6, 0)

UNITS = {"": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}
"""Binary, as in redis.conf."""


class Kind(ABC):
    """One kind of value."""

    @property
    @abstractmethod
    def accepted(self) -> str:
        """What a user may write, in words."""

    @property
    @abstractmethod
    def lowest(self) -> str:
        """As the text that redis.conf gets."""

    @property
    @abstractmethod
    def highest(self) -> str: ...

    @property
    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """The same as JSON Schema."""

    @abstractmethod
    def parse(self, value: object) -> str:
        """The text that redis.conf gets.

        Raises:
            ValueError: with what would be accepted.
        """

    def needs(self, text: str) -> Version:
        """The first Redis that takes this value, which `parse` has made."""
        return OLDEST


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number from `low` to `high`, or one of `others`, which mean something else."""

    low: int
    high: int
    unit: str = ""
    others: Mapping[int, str] = field(default_factory=dict)

    @property
    def accepted(self) -> str:
        others = "".join(f", or {number}: {meaning}" for number, meaning in self.others.items())
        return f"a whole number{f' of {self.unit}' if self.unit else ''} from {self.low} to {self.high}{others}"

    @property
    def lowest(self) -> str:
        return str(min(self.low, *self.others, self.high))

    @property
    def highest(self) -> str:
        return str(self.high)

    @property
    def schema(self) -> dict[str, Any]:
        numbers: list[dict[str, Any]] = [{"type": "integer", "minimum": self.low, "maximum": self.high}]
        return {"anyOf": [*numbers, {"enum": list(self.others)}]} if self.others else numbers[0]

    def parse(self, value: object) -> str:
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(self.accepted)
        if not (self.low <= value <= self.high or value in self.others):
            raise ValueError(self.accepted)
        return str(value)


@dataclass(frozen=True)
class Choice(Kind):
    """One of a few words. YAML takes a bare yes or no for true or false."""

    words: tuple[str, ...]

    @property
    def accepted(self) -> str:
        return " or ".join(self.words)

    @property
    def lowest(self) -> str:
        return self.words[0]

    @property
    def highest(self) -> str:
        return self.words[-1]

    @property
    def schema(self) -> dict[str, Any]:
        return {"enum": [*self.words, *(word == "yes" for word in self.words if word in ("yes", "no"))]}

    def parse(self, value: object) -> str:
        text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
        if text not in self.words:
            raise ValueError(self.accepted)
        return str(text)


YES_NO = Choice(("no", "yes"))


@dataclass(frozen=True)
class Size(Kind):
    """A number of bytes, bare or with a binary unit; with `percent`, also that much of `redis.memory`."""

    low: int
    high: int
    percent: tuple[int, int] | None = None

    @property
    def accepted(self) -> str:
        share = f", or from {self.percent[0]}% to {self.percent[1]}% of redis.memory" if self.percent else ""
        return f"a size from {size_text(self.low)} to {size_text(self.high)}, as 65536, 64kb, 32mb or 1gb{share}"

    @property
    def lowest(self) -> str:
        return size_text(self.low)

    @property
    def highest(self) -> str:
        return size_text(self.high)

    @property
    def schema(self) -> dict[str, Any]:
        number = {"type": "integer", "minimum": self.low, "maximum": self.high}
        pattern = "^[0-9]+ ?([kKmMgG][iI]?[bB])?$" if not self.percent else "^[0-9]+( ?[kKmMgG][iI]?[bB]|%)?$"
        return {"anyOf": [number, {"type": "string", "pattern": pattern}]}

    def parse(self, value: object) -> str:
        if self.percent and isinstance(value, str) and (match := re.fullmatch(r"([0-9]{1,3})%", value.strip())):
            if self.percent[0] <= int(match[1]) <= self.percent[1]:
                return f"{int(match[1])}%"
            raise ValueError(self.accepted)
        size = size_of(value)
        if size is None or not self.low <= size <= self.high:
            raise ValueError(self.accepted)
        return size_text(size)


@dataclass(frozen=True)
class Events(Kind):
    """The letters of `notify-keyspace-events`."""

    letters = "KEg$lshzxetdmnA"
    since_7_0 = frozenset("dn")
    accepted = (
        f'nothing (""), or letters of {letters}, with K or E among them, as Ex (expired keys): without both of them '
        "nothing is sent"
    )
    lowest, highest = "", letters

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^([Kg$lshzxetdmnAE]*[KE][Kg$lshzxetdmnAE]*)?$"}

    def parse(self, value: object) -> str:
        if not isinstance(value, str) or not set(value) <= set(self.letters):
            raise ValueError(self.accepted)
        if value and not set(value) & set("KE"):
            raise ValueError(self.accepted)
        return value

    def needs(self, text: str) -> Version:
        return (7, 0) if set(text) & self.since_7_0 else OLDEST


@dataclass(frozen=True)
class Percentiles(Kind):
    """A list of numbers, or the same with spaces between them."""

    accepted = "up to ten numbers from 0 to 100, as [50, 99, 99.9], or none ([])"
    lowest, highest = "", "0 100"

    @property
    def schema(self) -> dict[str, Any]:
        number = {"type": "number", "minimum": 0, "maximum": 100}
        return {
            "anyOf": [number, {"type": "array", "items": number, "maxItems": 10}, {"type": "string"}],
        }

    def parse(self, value: object) -> str:
        words = value.split() if isinstance(value, str) else list(value) if isinstance(value, list | tuple) else [value]
        texts = [str(word) for word in words]
        fits = all(re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", text) and float(text) <= 100 for text in texts)
        if not fits or len(texts) > 10:
            raise ValueError(self.accepted)
        return " ".join(texts)


@dataclass(frozen=True)
class Limit:
    """Of what one client leaves unread. Bytes, bytes, seconds: closed above `hard`, or above `soft` for `seconds`."""

    hard: int
    soft: int
    seconds: int

    def __str__(self) -> str:
        return f"{size_text(self.hard)} {size_text(self.soft)} {self.seconds}"


@dataclass(frozen=True)
class Buffers(Kind):
    """`client-output-buffer-limit`, as CONFIG SET has it: for ordinary clients, for subscribers, or for both."""

    low, high, longest = UNITS["mb"], 4 * UNITS["gb"], 3600
    classes = ("normal", "pubsub")
    accepted = (
        "normal and pubsub, each with a hard limit from 1mb to 4gb, a soft limit up to that, and seconds up to 3600, "
        "as pubsub 64mb 16mb 60; that of replicas stays as it is"
    )
    lowest = "normal 1mb 0 0 pubsub 1mb 0 0"
    highest = "normal 4gb 4gb 3600 pubsub 4gb 4gb 3600"

    @property
    def schema(self) -> dict[str, Any]:
        one = "(normal|pubsub) +[0-9]+([kKmMgG][bB])? +[0-9]+([kKmMgG][bB])? +[0-9]+"
        return {"type": "string", "pattern": f"^ *{one}( +{one})? *$"}

    def parse(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(self.accepted)
        words = value.split()
        parts = [words[place : place + 4] for place in range(0, len(words), 4)]
        limits = {part[0]: self._limit(part[1:]) for part in parts}
        if not limits or len(limits) < len(parts) or not set(limits) <= set(self.classes):
            raise ValueError(self.accepted)
        return " ".join(f"{name} {limits[name]}" for name in self.classes if name in limits)

    def _limit(self, words: list[str]) -> Limit:
        sizes = [size_of(word) for word in words]
        if len(sizes) != 3 or any(size is None for size in sizes) or not words[2].isdecimal():
            raise ValueError(self.accepted)
        hard, soft, seconds = (size or 0 for size in sizes)
        if not (self.low <= hard <= self.high and soft <= hard and seconds <= self.longest):
            raise ValueError(self.accepted)
        return Limit(hard, soft, seconds)

    def limits(self, text: str) -> dict[str, Limit]:
        """Of each class that a parsed text has."""
        words = text.split()
        return {words[place]: self._limit(words[place + 1 : place + 4]) for place in range(0, len(words), 4)}


def size_of(value: object) -> int | None:
    """`64mb`, `64 MiB` or `67108864` → bytes; None for what is no size."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if value >= 0 else None
    match = re.fullmatch(r"([0-9]{1,18}) ?([a-z]*)", value.strip().lower()) if isinstance(value, str) else None
    unit = match[2].replace("i", "") if match else "?"
    return int(match[1]) * UNITS[unit] if match and unit in UNITS else None


def size_text(size: int) -> str:
    """Bytes → the shortest text that redis.conf takes for it: `64mb`."""
    for unit in ("gb", "mb", "kb"):
        if size and size % UNITS[unit] == 0:
            return f"{size // UNITS[unit]}{unit}"
    return str(size)
