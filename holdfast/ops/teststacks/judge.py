"""What may be removed: decided from a resource's tags alone. Whatever is not provably a test stack's stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from holdfast.topology import names
from holdfast.topology.spec import TEST_PREFIX

Tags = Mapping[str, str]

FIXED = {"Project": names.PROJECT, "ManagedBy": names.MANAGED_BY}
REQUIRED = ("Project", "Environment", "ManagedBy", "Owner", "Run", "Expires")
"""What `names.tags` gives everything in a test stack."""


class Fate(StrEnum):
    GOES = "goes"
    STAYS = "stays"
    """A test stack's, and its time has not come."""
    REFUSED = "refused"
    """It looks like a test stack's, and something about it is wrong: left alone, and told."""
    FOREIGN = "foreign"
    """Not a test stack's: left alone, and no word about it."""


@dataclass(frozen=True)
class Judgement:
    fate: Fate
    reason: str = ""


Judge = Callable[[Tags], Judgement]

FOREIGN = Judgement(Fate.FOREIGN)


def expired_at(now: datetime) -> Judge:
    """Lets go what has all the tags, and has expired."""

    def judge(tags: Tags) -> Judgement:
        environment = tags.get("Environment", "")
        if tags.get("Project") != names.PROJECT or not (environment.startswith(TEST_PREFIX) or "Expires" in tags):
            return FOREIGN
        if wrong := _wrong(tags):
            return Judgement(Fate.REFUSED, wrong)
        expires = read_expiry(tags["Expires"])
        if expires is None:
            return Judgement(Fate.REFUSED, f"its expiry {tags['Expires']!r} cannot be read")
        return Judgement(Fate.GOES if expires <= now else Fate.STAYS, when(expires, now))

    return judge


def exactly(wanted: Tags) -> Judge:
    """Lets go what has the tags of one test stack, each of them, whenever it expires."""

    def judge(tags: Tags) -> Judgement:
        if any(tags.get(key) != wanted[key] for key in ("Project", "Environment")):
            return FOREIGN
        for key in REQUIRED:
            if tags.get(key) != wanted[key]:
                return Judgement(Fate.REFUSED, f"its tag {key} is {tags.get(key, 'missing')}, not {wanted[key]}")
        return Judgement(Fate.GOES, "belongs to it")

    return judge


def of_evidence(evidence: Iterable[Tags], judge: Judge) -> Judgement:
    """A Terraform state, from all that is known about it: its file, the tags of its place, the tags recorded in it."""
    found = [judge(tags) for tags in evidence]
    for fate in (Fate.REFUSED, Fate.STAYS):
        for one in found:
            if one.fate is fate:
                return one
    if any(one.fate is Fate.FOREIGN for one in found):
        return Judgement(Fate.REFUSED, "it records something that belongs to another environment")
    return found[0] if found else Judgement(Fate.REFUSED, "nothing says whose it is: no file, and no tags in it")


def read_expiry(text: str) -> datetime | None:
    """A moment with its time zone, such as 2026-12-31T16:00:00Z; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None


def when(expires: datetime, now: datetime) -> str:
    """`expires in 3 h 20 min`, `expired 2 d ago`."""
    return f"expires in {_span(expires - now)}" if expires > now else f"expired {_span(now - expires)} ago"


def _wrong(tags: Tags) -> str:
    if not tags.get("Environment", "").startswith(TEST_PREFIX):
        name = tags.get("Environment") or "nothing"
        return f"its environment is {name}, a protected name: test stacks begin with {TEST_PREFIX}"
    if missing := [key for key in REQUIRED if not tags.get(key)]:
        return f"it has no tag {', '.join(missing)}"
    other = [f"{key} is {tags[key]}, not {value}" for key, value in FIXED.items() if tags[key] != value]
    return f"its tag {other[0]}" if other else ""


def _span(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
