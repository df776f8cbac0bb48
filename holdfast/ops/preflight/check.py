"""One answer of `holdfast preflight`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import BotoCoreError, ClientError


class Verdict(StrEnum):
    RIGHT = "right"
    WRONG = "to do"
    UNKNOWN = "unknown"
    """It could not be asked."""


@dataclass(frozen=True)
class Check:
    what: str
    verdict: Verdict
    says: str
    """What was found; where it is not right, what to do."""

    def __str__(self) -> str:
        return f"{self.what}: {self.says}"


def right(what: str, says: str) -> Check:
    return Check(what, Verdict.RIGHT, says)


def wrong(what: str, says: str) -> Check:
    return Check(what, Verdict.WRONG, says)


def unknown(what: str, error: BotoCoreError | ClientError) -> Check:
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        return Check(what, Verdict.UNKNOWN, f"could not be asked: {error.operation_name} was refused ({code})")
    return Check(what, Verdict.UNKNOWN, f"could not be asked: {error}")
