"""What Redis refused, as an operator reads it: with the line of the environment file that would allow it."""

import time
from typing import Any

import pytest

from holdfast.ops import refusals
from holdfast.ops.reports import Refusal
from holdfast.topology import Environment
from tests.unit.test_redis_engines import environment

APPLICATIONS: dict[str, dict[str, Any]] = {
    "shop": {},
    "jobs": {"presets": ["list-clients"], "keys": ["jobs:*", "queue:*"]},
    "reader": {"commands": ["read"], "functions": False},
    "lister": {"keys": ["own:*"], "presets": ["list-keys"]},
}


@pytest.fixture
def known() -> Environment:
    content = environment((7, 0), {}).model_dump(mode="json") | {"applications": APPLICATIONS}
    content["redis"]["memory"] = "4GB"
    return Environment.model_validate(content)


@pytest.mark.parametrize(
    ("user", "what", "name", "advice"),
    [
        ("shop", "command", "KEYS", "to allow it: applications.shop.presets: [list-keys]"),
        ("jobs", "command", "CLIENT NO-EVICT", "to allow it: applications.jobs.presets: [list-clients, no-evict]"),
        (
            "jobs",
            "command",
            "FLUSHDB",
            "no preset fits; accepted: no flush-database, but SCAN and UNLINK for its own keys; or keys with *",
        ),
        (
            "lister",
            "command",
            "KEYS",
            "the preset list-keys allows it with the patterns of its keys alone, to the letter",
        ),
        ("shop", "command", "CLIENT", "to allow it: applications.shop.presets: [list-clients]"),
        (
            "shop",
            "command",
            "CONFIG GET",
            "no application may; what to do instead: docs/clients.md#what-frameworks-call",
        ),
        ("reader", "command", "SCRIPT FLUSH", "to allow it: applications.reader.functions: true"),
        (
            "reader",
            "command",
            "SET",
            "none of its groups [read] has it; to allow it, add one to applications.reader.commands",
        ),
        (
            "jobs",
            "key",
            "shop:*",
            "its keys are [jobs:*, queue:*]; to allow it, add one such to applications.jobs.keys",
        ),
        ("jobs", "channel", "news", "its channels are [*]; to allow it, add one such to applications.jobs.channels"),
        (
            "shop",
            "auth",
            "",
            "a wrong password; the right one: holdfast endpoints prod --user shop --show-password",
        ),
        ("backup", "auth", "", "a wrong password; its secret: holdfast secrets list prod"),
        ("metrics", "command", "KEYS", "this user of Holdfast may no more than it needs (docs/security.md)"),
        ("renew", "command", "BGSAVE", "this user of Holdfast may no more than it needs (docs/security.md)"),
        ("jobs", "command", "CLIENT", "no application may; what to do instead: docs/clients.md#what-frameworks-call"),
        ("shop", "command", "", "no application may; what to do instead: docs/clients.md#what-frameworks-call"),
        ("shop", "database", "3", "see docs/clients.md#what-frameworks-call"),
    ],
)
def test_each_refusal_has_its_line(known: Environment, user: str, what: str, name: str, advice: str) -> None:
    (sentence,) = refusals.sentences(known, {"prod-a1": [Refusal(user, what, name, 1, time.time() - 130)]})
    thing = "a login" if what == "auth" else f"the {what} {name}"
    assert sentence == f"{user} was refused {thing} once, last 2 min ago: {advice}"


def test_what_several_nodes_refused_is_one_sentence_the_newest_first_and_not_without_end(known: Environment) -> None:
    now = time.time()
    keys = [Refusal("jobs", "key", f"k:{number}", 1, now - 100 - number) for number in range(50)]
    said = {
        "prod-a1": [Refusal("shop", "command", "KEYS", 3, now - 3000)],
        "prod-b1": [Refusal("shop", "command", "KEYS", 4, now - 10), *keys],
    }
    found = refusals.sentences(known, said)
    assert len(found) == refusals.SHOWN
    assert found[0].startswith("shop was refused the command KEYS 7 times, last less than a minute ago: ")


def test_who_is_no_user_has_no_name(known: Environment) -> None:
    (sentence,) = refusals.sentences(known, {"prod-a1": [Refusal("?", "auth", "", 3, time.time())]})
    assert sentence == (
        "an unknown user was refused a login 3 times, last less than a minute ago: "
        "no such user; there are jobs, lister, reader, shop"
    )


def test_nothing_refused_says_nothing(known: Environment) -> None:
    assert refusals.sentences(known, {"prod-a1": []}) == ()
