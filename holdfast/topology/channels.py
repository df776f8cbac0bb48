"""The channel by which Sentinels find each other, and which patterns of an application's channels lead to it."""

from __future__ import annotations

import re

GREETINGS = "__sentinel__:hello"
"""Who publishes here tells Sentinels who leads, in which epoch, and which Sentinels there are. They believe it."""

ALL = "*"
EVERY_OTHER = ("_", "__", "[^_]*", "_[^_]*", "__[^s]*")
"""What `*` of an environment file means. An ACL cannot exclude one channel: these are all that do not begin with `__s`,
but for the one without a name."""

TOKEN = re.compile(r"\*+|\[(\^?)((?:[^]]-.|[^]])*)]?|.")
MEMBER = re.compile(r"([^]])-(.)|.")


def matches(pattern: str, channel: str) -> bool:
    """Whether Redis takes `channel` for one of `pattern` (`stringmatchlen` in its util.c; no backslashes)."""
    reached = {0}
    for token in TOKEN.finditer(pattern):
        if token[0].startswith("*"):
            reached = set(range(min(reached, default=len(channel) + 1), len(channel) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(channel) and _takes(token, channel[at])}
    return len(channel) in reached


def _takes(token: re.Match[str], character: str) -> bool:
    if token[2] is None:
        return token[0] in ("?", character)
    return bool(token[1]) != any(_is_among(member, character) for member in MEMBER.finditer(token[2]))


def _is_among(member: re.Match[str], character: str) -> bool:
    """A range may be written backwards, and lacks its end where the class ends in a hyphen."""
    first, last = sorted((member[1] or member[0], member[2] or member[0]))
    return first <= character <= last
