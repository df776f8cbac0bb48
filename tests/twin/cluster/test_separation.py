"""Who took over one service of a machine has that one: not the role's credentials, and not the node program."""

from __future__ import annotations

from holdfast.drill.cluster import Cluster

METADATA = "http://169.254.169.254/latest/api/token"
ASK = f"exec curl -s --max-time 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' {METADATA}"
NODE = "holdfast-node.service"

USERS = {"redis": {"redis", "sentinel"}, "holdfast": {"node"}, "haproxy": {"haproxy"}, "root": {"keepalived"}}
"""User → services of ours that run as it."""

PRIVATE = ("/run/holdfast/node.json", "/run/holdfast/versions.json", "/var/lib/holdfast/aside")
"""What nobody but the node program may read."""

ITS_OWN = (*PRIVATE[:2], "/run/holdfast-node", "/var/lib/holdfast/node", "/run/holdfast-haproxy/admin.sock")
"""What no Redis may write."""


def asks_from(cluster: Cluster, node: str, unit: str) -> str:
    """What the metadata service says to a process of a unit, whatever user it has become."""
    group = f"/sys/fs/cgroup/system.slice/{unit}/cgroup.procs"
    return cluster.exec(node, "sh", "-c", f"echo $$ > {group} && {ASK}", check=False)


def running(cluster: Cluster, node: str) -> list[str]:
    options = ("--no-legend", "--plain", "--state=running")
    listed = cluster.exec(node, "systemctl", "list-units", *options, "holdfast-*.service")
    return [line.split()[0] for line in listed.splitlines()]


def process(cluster: Cluster, node: str, unit: str) -> str:
    return cluster.exec(node, "systemctl", "show", "--property=MainPID", "--value", unit).strip()


def test_no_service_but_the_node_program_reaches_the_metadata_service(healthy: Cluster) -> None:
    for node in healthy.instances():
        units = running(healthy, node)
        assert set(units) == {f"holdfast-{name}.service" for names in USERS.values() for name in names}, node
        assert {unit for unit in units if asks_from(healthy, node, unit)} == {NODE}, node


def test_each_service_runs_as_its_own_user(healthy: Cluster) -> None:
    for node in healthy.instances():
        for user, names in USERS.items():
            for name in names:
                main = process(healthy, node, f"holdfast-{name}.service")
                assert healthy.exec(node, "stat", "--format=%U", f"/proc/{main}").strip() == user, name


def test_redis_neither_reads_nor_writes_nor_signals_nor_looks_into_the_node_program(healthy: Cluster) -> None:
    for node in healthy.instances():
        pid = process(healthy, node, NODE)
        attempts = [f"test -r {file}" for file in PRIVATE] + [f"test -w {file}" for file in ITS_OWN]
        attempts += [f"kill -0 {pid}", f"cat /proc/{pid}/environ"]
        assert succeed(healthy, node, "holdfast", attempts) == attempts, node
        assert succeed(healthy, node, "redis", attempts) == [], node


def succeed(cluster: Cluster, node: str, user: str, attempts: list[str]) -> list[str]:
    script = "; ".join(f"({attempt}) >/dev/null 2>&1 && echo '{attempt}'" for attempt in attempts) + "; true"
    as_user = ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups")
    return cluster.exec(node, *as_user, "sh", "-c", script).splitlines()
