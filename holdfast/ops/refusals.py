"""What Redis refused to its users, put together from all nodes, with the line of the environment file to add."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from holdfast.ops.reports import Refusal
from holdfast.spans import ago
from holdfast.topology import Environment, presets, users
from holdfast.topology.spec import ApplicationSpec, CommandGroup, Preset

SHOWN = 10
"""Refusals that a status names."""


def sentences(environment: Environment, said: Mapping[str, Sequence[Refusal]]) -> tuple[str, ...]:
    """One for each user and thing, the newest first. `said`: node → what its Redis refused within the last hour."""
    found: dict[tuple[str, str, str], Refusal] = {}
    for refusal in (one for those in said.values() for one in those):
        known = found.setdefault((refusal.user, refusal.what, refusal.name), replace(refusal, count=0))
        found[refusal.user, refusal.what, refusal.name] = replace(
            known, count=known.count + refusal.count, at=max(known.at, refusal.at)
        )
    newest = sorted(found.values(), key=lambda one: one.at, reverse=True)
    return tuple(_sentence(environment, one) for one in newest[:SHOWN])


def _sentence(environment: Environment, one: Refusal) -> str:
    times = "once" if one.count == 1 else f"{one.count} times"
    what = "a login" if one.what == "auth" else f"the {one.what} {one.name}"
    when = ago(time.time() - one.at)
    who = "an unknown user" if one.user == "?" else one.user
    return f"{who} was refused {what} {times}, last {when}: {'; '.join(_advice(environment, one))}"


def _advice(environment: Environment, one: Refusal) -> Iterator[str]:
    """Why, and what would allow it."""
    name, application = environment.name, environment.applications.get(one.user)
    own = {users.RENEW, *(user.name for user in users.OWN)}
    if one.what == "auth" and application:
        yield f"a wrong password; the right one: holdfast endpoints {name} --user {one.user} --show-password"
    elif one.what == "auth" and one.user in own:
        yield f"a wrong password; its secret: holdfast secrets list {name}"
    elif application is None and one.user not in own:
        yield f"no such user; there are {', '.join(sorted(environment.applications))}"
    elif application is None:
        yield "this user of Holdfast may no more than it needs (docs/security.md)"
    elif one.what == "command":
        yield from _of_command(one, application)
    elif one.what in ("key", "channel"):
        patterns = application.keys if one.what == "key" else application.channels
        line = _line(one, f"{one.what}s")
        yield f"its {one.what}s are [{', '.join(patterns)}]; to allow it, add one such to {line}"
    else:
        yield "see docs/clients.md#what-frameworks-call"


def _of_command(one: Refusal, application: ApplicationSpec) -> Iterator[str]:
    preset = presets.for_command(one.name)
    refusal = presets.refusal(preset, application) if preset else None
    if preset in application.presets and preset is Preset.LIST_KEYS:
        yield f"the preset {preset} allows it with the patterns of its keys alone, to the letter"
    elif preset and refusal:
        yield f"no preset fits; accepted: {refusal[1]}"
    elif preset and preset not in application.presets:
        yield f"to allow it: {_line(one, 'presets')}: [{', '.join([*application.presets, preset])}]"
    elif one.name.partition(" ")[0] in ("FUNCTION", "SCRIPT"):
        yield f"to allow it: {_line(one, 'functions')}: true"
    elif CommandGroup.ALL in application.commands:
        yield "no application may; what to do instead: docs/clients.md#what-frameworks-call"
    else:
        groups = ", ".join(application.commands)
        yield f"none of its groups [{groups}] has it; to allow it, add one to {_line(one, 'commands')}"


def _line(one: Refusal, key: str) -> str:
    return f"applications.{one.user}.{key}"
