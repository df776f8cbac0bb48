"""What one kind of fault is: what it takes, how it is done, and how it is undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.twin.faults.record import Fault

Value = str | float | None
Act = Callable[[Fault], None]


def nothing(_: Fault) -> None:
    """It has ended by itself, or somebody else does it."""


@dataclass(frozen=True)
class Option:
    """A flag of the command, and the field of `Fault` that it fills."""

    flag: str
    field: str
    help: str
    metavar: str
    accepted: tuple[str, ...] = ()
    """Names; empty: any text, or a number where there is a `highest`."""
    lowest: float | None = None
    highest: float | None = None
    default: Value = None
    required: bool = False

    def check(self, value: Value) -> None:
        """
        Raises:
            HoldfastError: it is missing, or not one of those that are accepted.
        """
        if value is None:
            if self.required:
                raise HoldfastError(f"{self.flag} is missing; accepted: {self._range()}")
            return
        if self.accepted and value not in self.accepted:
            raise HoldfastError(f"{self.flag} {value}: accepted are {self._range()}")
        if self.lowest is None or self.highest is None:
            return
        if not isinstance(value, (int, float)) or not self.lowest <= value <= self.highest:
            raise HoldfastError(f"{self.flag} {value}: accepted are {self._range()}")

    def _range(self) -> str:
        return ", ".join(self.accepted) if self.accepted else f"{self.lowest:g} to {self.highest:g}"


@dataclass(frozen=True)
class Kind:
    help: str
    do: Act
    undo: Act
    options: tuple[Option, ...] = ()
    target: str | None = ""
    """What is meant where no target is given; empty: one must be given; None: always all, none may be given."""

    def values(self, given: Mapping[str, Value]) -> dict[str, Any]:
        """What was given for each option, or its default: field of `Fault` → value.

        Raises:
            HoldfastError: something is missing, out of range, or not taken by this kind.
        """
        fields = {option.field: option for option in self.options}
        for field, value in given.items():
            if field not in fields and value is not None:
                taken = ", ".join(option.flag for option in self.options) or "no option"
                raise HoldfastError(f"{field} {value} does not belong to this fault; it takes {taken}")
        found = {}
        for field, option in fields.items():
            found[field] = option.default if given.get(field) is None else given[field]
            option.check(found[field])
        return found
