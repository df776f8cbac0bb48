"""What a review knows, as frozen values: each stack's resources before and after, and what the cloud says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from holdfast.ops.status import Status


class Action(StrEnum):
    """What happens to a resource."""

    NONE = "none"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


class Planned(StrEnum):
    """Where a stack's changes are known from."""

    PLAN = "plan"
    """Terraform's plan."""
    SYNTHESIS = "synthesis"
    """The synthesised output alone: the stack cannot be planned before those that it reads were applied."""
    DIFF = "diff"
    """The synthesised output of two commits: nothing was asked of the cloud."""


class _Unknown:
    """A value that is known only after the deploy."""

    def __repr__(self) -> str:
        return "(known after apply)"


@dataclass(frozen=True)
class _Sensitive:
    """What stands for a value that Terraform holds for sensitive: that never leaves the reader of the plan."""

    says: str

    def __repr__(self) -> str:
        return self.says


UNKNOWN = _Unknown()
SENSITIVE = _Sensitive("(sensitive)")
SENSITIVE_CHANGED = _Sensitive("(sensitive, another value)")

Values = Mapping[str, Any]


def text(value: Any) -> str:
    """An argument that is text; empty where it is absent, unknown or sensitive."""
    return value if isinstance(value, str) else ""


def tag(values: Values, name: str) -> str:
    """The value of a tag; empty where there is none."""
    tags = values.get("tags")
    return text(tags.get(name)) if isinstance(tags, Mapping) else ""


@dataclass(frozen=True)
class Resource:
    """One resource of a stack. `before` is empty for a new one, `after` for one that goes."""

    stack: str
    """Without the environment's name: network, identity, zone-a, watch."""
    address: str
    """Terraform's, as aws_instance.prod-a1"""
    path: str
    """The construct's, as prod-zone-a/prod-a1"""
    action: Action
    before: Values = field(default_factory=dict)
    after: Values = field(default_factory=dict)
    forced_by: tuple[str, ...] = ()
    """Arguments whose change forces the replacement."""
    kept: bool = False
    """`prevent_destroy`: Terraform refuses to destroy it."""
    was_kept: bool = False
    """The same before the change, where that is known: a plan does not say it, two commits do."""

    @property
    def kind(self) -> str:
        return self.address.split(".")[0]

    @property
    def name(self) -> str:
        return self.address.split(".", 1)[1]

    @property
    def exists(self) -> bool:
        """Before the change."""
        return self.action is not Action.CREATE

    @property
    def remains(self) -> bool:
        """After the change, as itself or as its replacement."""
        return self.action is not Action.DELETE

    @property
    def destroyed(self) -> bool:
        """Itself or for a replacement."""
        return self.action in (Action.DELETE, Action.REPLACE)

    def changed(self) -> list[str]:
        """Names of the arguments that differ, in order."""
        return [name for name in sorted({*self.before, *self.after}) if self.before.get(name) != self.after.get(name)]


@dataclass(frozen=True)
class Stack:
    """One stack's resources, changed or not, in the order of their addresses."""

    name: str
    known_from: Planned
    resources: tuple[Resource, ...]
    reads: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Stack → outputs of it that this one reads."""
    moving_outputs: frozenset[str] = frozenset()
    """Outputs that existed and get another value."""

    def count(self, action: Action) -> int:
        return sum(resource.action is action for resource in self.resources)

    @property
    def changes(self) -> tuple[Resource, ...]:
        return tuple(it for it in self.resources if it.action is not Action.NONE)


@dataclass(frozen=True)
class Facts:
    """Everything that rules and meaning may look at."""

    environment: str
    stacks: tuple[Stack, ...]
    """In the order of a deploy."""
    status: Status | None = None
    """The running cluster's, where it could be asked."""
    status_unknown: str = ""
    """Why not."""
    abandoned: tuple[str, ...] = ()
    """Environments with a state, or a file at the base commit, and no file now."""
    reserved: frozenset[str] = frozenset()
    """Names of new secrets that Secrets Manager keeps for deleted ones."""
    unready: tuple[str, ...] = ()
    """What `holdfast preflight` finds to do in the account; empty where it was not asked."""
    left_behind: tuple[str, ...] = ()
    """Stacks of this environment with resources in their state that are not synthesised any more."""

    @property
    def resources(self) -> Iterator[Resource]:
        return (resource for stack in self.stacks for resource in stack.resources)

    def of_kind(self, *kinds: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.kind in kinds]

    @property
    def new(self) -> bool:
        """Nothing of the environment exists yet."""
        return not any(resource.exists for resource in self.resources)
