"""Ends the sessions that users of this node's Redis have, where an operator orders it: a changed password ends none."""

from __future__ import annotations

from typing import Any

from holdfast_node import resp
from holdfast_node.identity import Identity
from holdfast_node.log import say

SESSIONS = "sessions"
"""What an order says that is for that."""

LONGEST = 1000
"""Characters of an answer, which stands in the report."""

ANSWER_TIMEOUT = 5.0
"""Seconds for one answer: of a Redis that is busy with a large command too."""


def end(identity: Identity, login: resp.Credentials, order: dict[str, str]) -> dict[str, Any]:
    """Obey `order`, whose `users` has names with commas between them; the answer, as the report has it."""
    names = (order.get("users") or "").split(",")
    try:
        with resp.Client(identity.address, identity.redis_port, login, timeout=ANSWER_TIMEOUT) as redis:
            ended = sum(redis.call("CLIENT", "KILL", "USER", name, "SKIPME", "yes") for name in names)
        done, says = True, f"ended {ended} sessions of {', '.join(names)}"
    except (OSError, resp.Refused) as error:
        done, says = False, f"cannot end the sessions of {', '.join(names)}: {error}"
    say(says)
    return {"id": order["id"], "done": done, "says": says[:LONGEST]}
