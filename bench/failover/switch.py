"""Gives the three machines of the running environment the settings of a peer, and gives them back to ours.

On the machines a peer is a target of its own beside ours, so that it survives a power cut; our data stays where it is.
One step is done on all machines before the next begins: Sentinels of two clusters must never meet.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from bench import peers
from bench.peers import Peer
from holdfast.errors import HoldfastError
from holdfast.topology import Cluster, Node, ports
from holdfast.twin import client, machines

PATIENCE = 90.0
"""Seconds for one step on one machine, which may be booting."""

POLL = 0.2

BOOTED = "until systemctl list-jobs >/dev/null 2>&1; do sleep 0.2; done"
"""A machine that was just powered on takes no orders yet."""

RELOAD = "systemctl daemon-reload"

DROP_IN = "/run/systemd/system/{unit}.d/bench.conf"
"""What the benchmark changes of a unit: for this boot only."""

OURS_OFF = f"""
if systemctl --quiet is-enabled holdfast.target; then
    # Its machine is not to hand over: whatever comes next starts fresh.
    mkdir -p {DROP_IN.format(unit="holdfast-handover.service").rpartition("/")[0]}
    printf '[Service]\\nExecStop=\\n' > {DROP_IN.format(unit="holdfast-handover.service")}
    {RELOAD}
    systemctl stop holdfast.target holdfast-node.service
    # All that runs but what brings the volume, the addresses and the passwords.
    running=$(systemctl list-units --plain --no-legend --state=active,activating,deactivating 'holdfast-*.service' |
        cut -d ' ' -f 1 | grep -vE '^holdfast-(volume|addresses|secrets|kernel|first-boot)\\.' || true)
    [ -z "$running" ] || systemctl stop $running
    systemctl disable --quiet holdfast.target
fi
"""

PEER_OFF = f"""
rm -f {DROP_IN.format(unit="*")}
# Before the first one there is nothing to stop.
systemctl disable --quiet {peers.TARGET} 2>/dev/null || true
systemctl stop {peers.TARGET} {" ".join(peers.UNITS)} 2>/dev/null || true
"""

OURS_ON = f"""
rm -rf /etc/peer {peers.HOME} /etc/systemd/system/peer*
{RELOAD}
systemctl enable --quiet holdfast.target
systemctl start --no-block holdfast.target
"""


def to_peer(peer: Peer, cluster: Cluster, leader: Node, in_sync: Callable[[], object]) -> None:
    """A fresh, empty cluster with the settings of `peer`. `in_sync` returns when both replicas follow the leader.

    Raises:
        HoldfastError: a machine is off, or a step failed on it.
    """
    _everywhere(cluster, lambda node: BOOTED + PEER_OFF + OURS_OFF)
    _everywhere(cluster, lambda node: _install(peers.render(peer, cluster, node, leader), cluster.environment.name))
    _everywhere(cluster, lambda node: f"systemctl start {peers.REDIS}\n" + _assign(node, leader))
    # Sentinels that begin before have to find the replicas one by one, with ten seconds between two looks.
    in_sync()
    # One after the other: Sentinels that begin together ask the leader in step, so they miss it together, and
    # each votes for itself. And each unit by name: the start of a target says nothing of what failed in it.
    for node in cluster.nodes:
        run(node, f"systemctl start {peers.TARGET} {' '.join(peers.UNITS)}")


def to_ours(cluster: Cluster) -> None:
    """Our own settings and data again, from wherever a benchmark got to; harmless to repeat.

    Raises:
        HoldfastError: a machine is off, or a step failed on it.
    """
    _everywhere(cluster, lambda node: BOOTED + PEER_OFF)
    _everywhere(cluster, lambda node: OURS_ON)


def keep_dead(node: Node, unit: str) -> None:
    """From now on its machine does not restart `unit` when it dies: until `revive`, or until other settings come."""
    drop_in = DROP_IN.format(unit=unit)
    run(node, f"mkdir -p {drop_in.rpartition('/')[0]}\nprintf '[Service]\\nRestart=no\\n' > {drop_in}\n{RELOAD}")


def revive(node: Node, unit: str) -> None:
    """What had to stay dead starts again."""
    run(node, f"rm -f {DROP_IN.format(unit=unit)}\n{RELOAD}\nsystemctl start {unit}")


def run(node: Node, script: str) -> str:
    """What a shell script says that is run as root on a node's machine. It ends with the first command that fails.

    Raises:
        HoldfastError: the machine is off, or the script failed; the message ends with what it said.
    """
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as said:
        given.write(script)
        given.seek(0)
        try:
            code = machines.exec(instance(node), ["sh", "-eu"], stdin=given, stdout=said, stderr=said, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            code = None
        said.seek(0)
        words = said.read()
    if code != 0:
        how = f"did not end within {PATIENCE:g} s" if code is None else f"ended with {code}"
        raise HoldfastError(f"{node.name}: a step of the benchmark {how}: {words.strip()[-1000:]}")
    return words


def _everywhere(cluster: Cluster, script: Callable[[Node], str]) -> None:
    def step(node: Node) -> None:
        _wait_on(node)
        run(node, script(node))

    with ThreadPoolExecutor(len(cluster.nodes)) as pool:
        for _ in pool.map(step, cluster.nodes):
            pass


def _wait_on(node: Node) -> None:
    """One that was just powered on is there a moment later."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            machines.exec(instance(node), ["true"])
            return
        except HoldfastError:
            if time.monotonic() > deadline:
                raise
        time.sleep(POLL)


def _install(files: Mapping[str, str], name: str) -> str:
    folders = f"{peers.HOME} {peers.HOME}/redis {peers.HOME}/sentinel"
    lines = [
        "systemctl start holdfast-volume.service holdfast-addresses.service holdfast-secrets.service",
        f"rm -rf {peers.HOME}",
        f"install -d -o redis -g redis -m 0700 {folders}",
        "install -d /etc/peer",
    ]
    lines += [f"cat > {path} <<'END OF FILE'\n{content}END OF FILE" for path, content in files.items()]
    return "\n".join(
        [
            *lines,
            _password("sentinel"),
            f'echo "sentinel auth-pass {name} $password" >> {peers.HOME}/sentinel.conf',
            f"chown redis:redis {peers.HOME}/*.conf",
            f"chmod 0600 {peers.HOME}/*.conf",
            RELOAD,
            f"systemctl enable --quiet {peers.TARGET}",
        ]
    )


def _password(user: str) -> str:
    """A line of shell after which `$password` is that of one of our own users, as the machine fetched it."""
    return f"password=$(python3 -c 'import json; print(json.load(open(\"/run/holdfast/{user}.json\"))[1])')"


def _assign(node: Node, leader: Node) -> str:
    """The role, for those who start without one; the others have it already."""
    to = "NO ONE" if node == leader else f"{leader.address} {ports.REDIS}"
    return f"{_password('node')}\nREDISCLI_AUTH=$password redis-cli --user node -p {ports.REDIS} REPLICAOF {to}"


def instance(node: Node) -> str:
    """The id of a node's machine.

    Raises:
        HoldfastError: it is off, or there is no twin.
    """
    for machine in client.request("state")["instances"]:
        if machine["name"] == node.name and machine["namespace"] is not None:
            found: str = machine["id"]
            return found
    raise HoldfastError(f"no machine {node.name} is running; is the cluster up? `make up`")
