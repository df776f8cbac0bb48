"""`presets` of an application: what each one gives, and when it is refused.

Redis limits a command to some keys by its arguments, and none of these commands has keys among them. So the file names
each preset, and with limited keys there is KEYS by the application's own patterns, and no FLUSHDB.

There is none for CONFIG GET: it shows the password of `replication`, and Redis cannot limit it to some settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from holdfast.topology.spec import ApplicationSpec, CommandGroup, Preset

EVERY_KEY = "*"


@dataclass(frozen=True)
class Offer:
    command: str
    """As one writes it: `CLIENT LIST`."""
    gives: str
    """What it means that an application may call it, as a part of a sentence."""
    groups: frozenset[CommandGroup] = frozenset(CommandGroup)
    """The groups of commands to which it belongs; any, where it is about the own connection."""
    since: tuple[int, int] = (6, 0)

    @property
    def rule(self) -> str:
        """As Redis' ACL has it: `+client|list`."""
        return f"+{self.command.lower().replace(' ', '|')}"


ALL, READ, WRITE, KEYSPACE = CommandGroup.ALL, CommandGroup.READ, CommandGroup.WRITE, CommandGroup.KEYSPACE

OFFERS: Mapping[Preset, Offer] = {
    Preset.LIST_KEYS: Offer(
        "KEYS",
        "names of keys in one answer, for which all other commands wait",
        groups=frozenset({ALL, READ, KEYSPACE}),
    ),
    Preset.FLUSH_DATABASE: Offer(
        "FLUSHDB",
        "it can delete all keys of a database at once, those of other applications too",
        groups=frozenset({ALL, WRITE, KEYSPACE}),
    ),
    Preset.LIST_CLIENTS: Offer(
        "CLIENT LIST",
        "addresses, names, users and last commands of all connections, those of other applications too",
    ),
    Preset.NO_EVICT: Offer(
        "CLIENT NO-EVICT",
        "it can take connections out of the limit for all clients' buffers (maxmemory-clients)",
        since=(7, 0),
    ),
}


def rules(application: ApplicationSpec) -> Iterator[str]:
    """What its presets add to its ACL, whatever their order in the file."""
    for preset, offer in OFFERS.items():
        if preset not in application.presets:
            continue
        if preset is Preset.LIST_KEYS and EVERY_KEY not in application.keys:
            # With one first argument, which Redis compares to the letter, in any case. 7.0 and 8.0 warn in their log
            # that a later Redis may refuse such a rule.
            yield from (f"{offer.rule}|{pattern}" for pattern in application.keys)
        else:
            yield offer.rule


def of(rule: str) -> Preset | None:
    """The preset that adds `rule` to an ACL."""
    for preset, offer in OFFERS.items():
        if rule == offer.rule or rule.startswith(f"{offer.rule}|"):
            return preset
    return None


def for_command(command: str) -> Preset | None:
    """The preset that gives `command`, in capitals. Redis 6.0 tells no subcommands: there the first of that name."""
    for preset, offer in OFFERS.items():
        if offer.command == command or offer.command.split()[0] == command:
            return preset
    return None


def refusal(preset: Preset, application: ApplicationSpec) -> tuple[str, str] | None:
    """What was found and what is accepted, where this application cannot have it."""
    offer = OFFERS[preset]
    if not offer.groups & set(application.commands):
        lacking = ", ".join(sorted(application.commands))
        wanted = ", ".join(sorted(offer.groups - {ALL}))
        return (
            f"{preset}, with commands [{lacking}], to none of which {offer.command} belongs",
            f"no {preset}, or commands with one of all, {wanted}",
        )
    if preset is Preset.FLUSH_DATABASE and EVERY_KEY not in application.keys:
        return (
            f"{preset}, with keys of its own: FLUSHDB deletes everybody's, and Redis cannot limit it",
            f"no {preset}, but SCAN and UNLINK for its own keys; or keys with {EVERY_KEY}",
        )
    if preset is Preset.LIST_KEYS and not application.keys:
        return f"{preset}, without keys", f"no {preset}, or some keys"
    return None
