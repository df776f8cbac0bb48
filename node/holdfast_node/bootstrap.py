"""Whom a Sentinel on a new volume monitors at first; and one node, once, begins the cluster.

A unit of its own does it, before Sentinel: Sentinel's own may not call the cloud.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from holdfast_node import resp
from holdfast_node.cloud import Cloud
from holdfast_node.files import write_for_all
from holdfast_node.identity import Identity
from holdfast_node.known import Known
from holdfast_node.log import say

FOLDER = Path("/var/lib/holdfast/node")
BEGAN = FOLDER / "began"
"""There when this very volume began the cluster; holds the bootstrap record's token."""

FIRST_LEADER = FOLDER / "first-leader"
"""Address of whom a Sentinel monitors that has learnt nothing yet; found once in a volume's life."""

RETRY = 1.0
LONGEST_ADDRESS = 64
"""Characters: longer ones are none."""

ANSWER_TIMEOUT = 0.2
"""Seconds that another Sentinel has to answer."""


def begin(identity: Identity, cloud: Cloud, at_sentinels: Callable[[], resp.Credentials]) -> None:
    """Begin the cluster where nobody has, and find whom the Sentinel here monitors at first, if there is one here.

    `at_sentinels`: with which this program asks other Sentinels.
    """
    if not identity.has("sentinel"):
        _patiently(lambda: _from_record(identity, cloud))
    elif not _has_first_leader(identity):
        _patiently(lambda: write_for_all(FIRST_LEADER, _find_leader(identity, cloud, at_sentinels())))


def _has_first_leader(identity: Identity) -> bool:
    """What a machine in other hands may have left on the volume in its place is found anew."""
    if not FIRST_LEADER.is_file():
        return False
    with FIRST_LEADER.open(encoding="utf-8", errors="replace") as stream:
        return Known(identity).is_data(stream.read(LONGEST_ADDRESS), identity.redis_port)


def _patiently(do: Callable[[], object]) -> None:
    """Try for ever: a unit that failed once would leave the Sentinel that needs it dead."""
    while True:
        try:
            do()
            return
        except Exception as error:
            say(f"who leads at first cannot be told yet: {error}")
            time.sleep(RETRY)


def _find_leader(identity: Identity, cloud: Cloud, credentials: resp.Credentials) -> str:
    """Whom the other Sentinels name; where there are none, whom the bootstrap record names, which may be this node."""
    leader = _ask_peers(identity, credentials, Known(identity))
    if leader:
        say(f"the other Sentinels name {leader}")
        return leader
    return _from_record(identity, cloud)


def _ask_peers(identity: Identity, credentials: resp.Credentials, known: Known) -> str | None:
    """What most of the answering Sentinels say."""
    answers: list[str] = []
    for address in identity.other_sentinels():
        try:
            with resp.Client(address, identity.sentinel_port, credentials, timeout=ANSWER_TIMEOUT) as sentinel:
                answer = sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", identity.environment)
        except (OSError, resp.Refused):
            continue
        if answer and known.is_data(*answer):
            answers.append(answer[0])
    return max(set(answers), key=answers.count) if answers else None


def _from_record(identity: Identity, cloud: Cloud) -> str:
    record = cloud.bootstrap_record()
    if record is None:
        if not identity.has("data"):
            raise RuntimeError("nobody has begun this cluster; a node with data does")
        mine = {"leader": identity.address, "node": identity.node, "token": f"{identity.volume_id}/{time.time_ns()}"}
        write_for_all(BEGAN, mine["token"])
        if cloud.claim_bootstrap(mine):
            say(f"nobody has begun this cluster: {identity.node} begins it")
            return identity.address
        record = cloud.bootstrap_record()
        if record is None:
            # Refused while another's write is under way: only a record that can be read says who it was.
            raise RuntimeError("another node is just writing it")
    # Only the volume that began the cluster may lead it empty; a crash between claim and answer keeps the same token.
    if BEGAN.exists() and BEGAN.read_text(encoding="utf-8") != record["token"]:
        BEGAN.unlink()
    if not Known(identity).is_data(record["leader"], identity.redis_port):
        raise RuntimeError(f"the bootstrap record names {record['leader']}, which is no node; accepted: one with data")
    say(f"the bootstrap record names {record['leader']}")
    return record["leader"]
