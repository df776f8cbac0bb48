"""Sentinel's configuration: the settings come from the machine's user-data, what Sentinel has learnt stays.

Sentinel writes its votes and epochs into its configuration file. It is kept on the data volume, so that a replaced
machine does not forget that it has voted, and only its settings are renewed.
"""

from __future__ import annotations

import time
from pathlib import Path

from holdfast_node import resp
from holdfast_node.cloud import Cloud
from holdfast_node.files import write_private
from holdfast_node.identity import Identity
from holdfast_node.log import say

SETTINGS = Path("/etc/holdfast/sentinel.conf")
KEPT = Path("/var/lib/holdfast/sentinel/sentinel.conf")
BEGAN = Path("/var/lib/holdfast/sentinel/began")
"""There when this very volume began the cluster; holds the bootstrap record's token."""

RETRY = 1.0
ANSWER_TIMEOUT = 0.2
"""Seconds that another Sentinel has to answer."""

LEARNT = (
    "sentinel monitor",
    "sentinel current-epoch",
    "sentinel config-epoch",
    "sentinel leader-epoch",
    "sentinel known-replica",
    "sentinel known-sentinel",
)


def prepare(identity: Identity, cloud: Cloud, login: resp.Credentials, at_sentinels: resp.Credentials) -> None:
    """Write the configuration that Sentinel starts with.

    `login`: with which it asks Redis and other Sentinels; `at_sentinels`: with which this program asks them.
    """
    kept = KEPT.read_text(encoding="utf-8") if KEPT.exists() else ""
    if not _monitor(kept):
        leader = _find_leader(identity, cloud, at_sentinels)
        kept = f"sentinel monitor {identity.environment} {leader} {identity.redis_port} 1\n"
    write_private(KEPT, merge(SETTINGS.read_text(encoding="utf-8") + _logins(identity, login, at_sentinels), kept))


def begin(identity: Identity, cloud: Cloud) -> None:
    """Begin the cluster where nobody has: on a machine with data, but without a Sentinel that would have done it."""
    while True:
        try:
            _from_record(identity, cloud)
            return
        except Exception as error:
            say(f"the bootstrap record cannot be read yet: {error}")
            time.sleep(RETRY)


def _logins(identity: Identity, login: resp.Credentials, at_sentinels: resp.Credentials) -> str:
    """Lines of configuration, of which the last ones are for other Sentinels."""
    user, password = login.user, login.password
    name = identity.environment
    at_redis = f"sentinel auth-user {name} {user}\nsentinel auth-pass {name} {password}\n"
    if identity.since_6_2:
        return f"{at_redis}sentinel sentinel-user {user}\nsentinel sentinel-pass {password}\n"
    # One password for all that any Sentinel is told.
    return f"{at_redis}requirepass {at_sentinels.password}\n"


def merge(settings: str, kept: str) -> str:
    """`settings` with what a Sentinel has learnt in `kept`.

    The settings carry a line `quorum N`, which is no Sentinel setting: it replaces the one in the line that names the
    leader, because that is the only place where Sentinel takes it from.
    """
    lines = settings.splitlines()
    quorum = next(line.split()[1] for line in lines if line.startswith("quorum "))
    plain = [line for line in lines if not line.startswith(("quorum ", "sentinel "))]
    of_leader = [line for line in lines if line.startswith("sentinel ") and not line.startswith("sentinel myid")]
    myid = [line for line in lines if line.startswith("sentinel myid")]
    learnt = [line for line in kept.splitlines() if line.startswith(LEARNT)]
    monitor = [" ".join([*line.split()[:5], quorum]) for line in learnt if line.startswith("sentinel monitor")]
    rest = [line for line in learnt if not line.startswith("sentinel monitor")]
    # Settings name a leader that the monitor line must have introduced.
    return "\n".join([*plain, *myid, *monitor, *of_leader, *rest]) + "\n"


def _monitor(config: str) -> str | None:
    return next((line.split()[3] for line in config.splitlines() if line.startswith("sentinel monitor ")), None)


def _find_leader(identity: Identity, cloud: Cloud, credentials: resp.Credentials) -> str:
    """Whom the other Sentinels name; where there are none, whom the bootstrap record names, which may be this node."""
    while True:
        leader = _ask_peers(identity, credentials)
        if leader:
            say(f"the other Sentinels name {leader}")
            return leader
        try:
            return _from_record(identity, cloud)
        except Exception as error:
            say(f"no Sentinel answers, and the bootstrap record cannot be read yet: {error}")
            time.sleep(RETRY)


def _ask_peers(identity: Identity, credentials: resp.Credentials) -> str | None:
    """What most of the answering Sentinels say."""
    answers: list[str] = []
    for address in identity.other_sentinels():
        try:
            with resp.Client(address, identity.sentinel_port, credentials, timeout=ANSWER_TIMEOUT) as sentinel:
                answer = sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", identity.environment)
        except (OSError, resp.Refused):
            continue
        if answer:
            answers.append(answer[0])
    return max(set(answers), key=answers.count) if answers else None


def _from_record(identity: Identity, cloud: Cloud) -> str:
    record = cloud.bootstrap_record()
    if record is None:
        if not identity.has("data"):
            raise RuntimeError("nobody has begun this cluster; a node with data does")
        mine = {"leader": identity.address, "node": identity.node, "token": f"{identity.volume_id}/{time.time_ns()}"}
        BEGAN.write_text(mine["token"], encoding="utf-8")
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
    say(f"the bootstrap record names {record['leader']}")
    return record["leader"]
