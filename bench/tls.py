"""What TLS costs: two environments that differ in nothing else, side by side on one twin, measured in turns.

`python -m bench.tls [ROUNDS]`, as root, with the twin up (`holdfast twin up`); any other environment on it should be
idle. Throughput is redis-benchmark's, from a node's machine through its leader endpoint. What health checks would cost
is tried too: HAProxy made to ask each Redis itself, with a handshake each time, as it does without TLS.
"""

from __future__ import annotations

import csv
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bench.failover import switch
from bench.failover.losses import LOSSES
from bench.failover.measure import measure
from bench.failover.settings import Ours, Site
from bench.record import Figure, record
from holdfast.drill.deploy import deploy, destroy, own
from holdfast.errors import HoldfastError
from holdfast.topology.load import ENVIRONMENTS
from holdfast.twin import cgroups

ROUNDS = 5
MODES: dict[str, Any] = {"plain": "off", "crypt": {"mode": "required", "mutual": True}}
"""Environment → its TLS."""

REQUESTS, CLIENTS, BYTES = 50_000, 50, 100
IDLE_SECONDS = 30

HAPROXY = "/etc/holdfast/haproxy.cfg"
LEASE = "    tcp-check expect string yes\n"
"""The last step of a check with TLS."""

REDIS = r"""    tcp-check connect ssl
    tcp-check send-lf "AUTH gateway %[str(gateway),map(/run/holdfast/haproxy.map)]\r\nINFO replication\r\nQUIT\r\n"
    tcp-check expect string role:
"""
"""The steps that it has without TLS, with a handshake."""


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdecimal() else ROUNDS
    if os.geteuid() != 0:
        raise HoldfastError("the machines' control groups are root's: sudo")
    with deployed() as sites:
        figures = [*throughput(sites, rounds), *outages(sites, rounds), *checks(sites)]
    for figure in figures:
        print(f"{figure.what}: {figure.measured}", flush=True)
    record(*figures)


@contextmanager
def deployed() -> Iterator[dict[str, Site]]:
    """Both environments, like `local` but for name and TLS."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        content = yaml.safe_load((ENVIRONMENTS / "local.yaml").read_text())
        environ = own(folder, {mode: content | {"name": mode, "tls": tls} for mode, tls in MODES.items()})
        try:
            done = deploy(environ, *MODES)
            if done.returncode:
                raise HoldfastError(f"the deploy failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
            sites = {mode: Site(str(folder / f"{mode}.yaml")) for mode in MODES}
            for site in sites.values():
                site.cluster.wait_healthy()
            yield sites
        finally:
            destroy(environ, *MODES)


def throughput(sites: dict[str, Site], rounds: int) -> Iterator[Figure]:
    for pipelined in (1, 16):
        found: dict[str, dict[str, list[float]]] = {mode: {"SET": [], "GET": []} for mode in sites}
        for _ in range(rounds):
            for mode, site in sites.items():
                for command, rate in _benchmark(site, pipelined).items():
                    found[mode][command].append(rate)
        for command in ("SET", "GET"):
            plain, crypt = (statistics.median(found[mode][command]) for mode in MODES)
            yield Figure(
                f"TLS: {command} through the leader endpoint, {CLIENTS} clients, {pipelined} at once, by that without",
                f"{crypt / plain:.2f} ({crypt:,.0f} of {plain:,.0f} a second, medians of {rounds})",
                "–",
                True,
            )


def _benchmark(site: Site, pipelined: int) -> dict[str, float]:
    """Command → requests a second."""
    gateway, encrypted = site.gateways[0], site.layout.environment.tls.on
    options = "--tls --cacert /run/holdfast/ca.pem --cert /run/holdfast/redis.pem --key /run/holdfast/redis.pem"
    told = f"-h {gateway.leader} -p {gateway.port} --user {gateway.user} -a {gateway.password} -P {pipelined} --csv"
    load = f"-t set,get -n {REQUESTS * pipelined // 2} -c {CLIENTS} -d {BYTES} {options if encrypted else ''}"
    said = switch.run(site.layout.node(gateway.node), f"redis-benchmark {told} {load}")
    # Beside warnings, as that it may not ask for the server's configuration.
    rows = csv.DictReader(line for line in said.splitlines() if line.startswith('"'))
    return {row["test"]: float(row["rps"]) for row in rows}


def outages(sites: dict[str, Site], rounds: int) -> Iterator[Figure]:
    for loss in (loss for loss in LOSSES if loss.name in ("killed", "power-cut", "planned")):
        found: dict[str, list[float]] = {mode: [] for mode in sites}
        for _ in range(rounds):
            for mode, site in sites.items():
                run, verdict = measure(Ours(site), loss)
                if verdict.problems:
                    raise HoldfastError(f"{mode}, {loss.what}: {verdict.problems}")
                found[mode].append(run.seconds)
        plain, crypt = (sorted(found[mode]) for mode in MODES)
        yield Figure(
            f"TLS: write outage, {loss.what}, beside without TLS",
            f"{_spread(crypt)}; without {_spread(plain)} ({rounds} runs each, in turns)",
            f"p50 {loss.p50:g} s",
            statistics.median(crypt) <= loss.p50,
        )


def _spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({seconds[0]:.2f} to {seconds[-1]:.2f})"


def checks(sites: dict[str, Site]) -> Iterator[Figure]:
    idle = {mode: _percent(site) for mode, site in sites.items()}
    crypt = sites["crypt"]
    for node in crypt.layout.nodes:
        asking = switch.run(node, f"cat {HAPROXY}").replace(LEASE, LEASE + REDIS)
        switch.run(node, f"cat > {HAPROXY} <<'END'\n{asking}\nEND\nsystemctl restart holdfast-haproxy.service")
    crypt.cluster.wait_healthy()
    asked = _percent(crypt)
    yield Figure(
        "TLS: idle, all services of three nodes together, percent of a core",
        f"{idle['crypt']:.1f}, without TLS {idle['plain']:.1f}; with a handshake for every check {asked:.1f}",
        "less than with handshakes",
        idle["crypt"] < asked,
    )


def _percent(site: Site) -> float:
    """Of a core, that everything on the three machines spends while nobody uses them."""
    groups = [cgroups.group(switch.instance(node)) / "payload" / "system.slice" for node in site.layout.nodes]
    before, started = sum(map(_microseconds, groups)), time.monotonic()
    time.sleep(IDLE_SECONDS)
    return (sum(map(_microseconds, groups)) - before) / (time.monotonic() - started) / 1e4


def _microseconds(group: Path) -> int:
    stated = dict(line.split() for line in (group / "cpu.stat").read_text(encoding="ascii").splitlines())
    return int(stated["usage_usec"])


if __name__ == "__main__":
    try:
        main()
    except HoldfastError as error:
        sys.exit(str(error))
