"""The environments that the twin's tests need: what each is for, and how they come up, side by side.

`python -m tests.twin.environments up FOLDER…` deploys those which these folders of tests need and are not up yet;
`down` ends the twin with all of them. tests/README.md has the table.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from holdfast.drill.cluster import HOLDFAST, Cluster
from holdfast.drill.deploy import deploy, own
from holdfast.errors import HoldfastError
from holdfast.mirror import REPOSITORY
from holdfast.topology.load import ENVIRONMENTS
from holdfast.topology.spec import NO_DOMAIN
from tests.twin.team import Team
from tests.twin.turns import first_or_after

KEEPS = "HOLDFAST_TEST_KEEP" in os.environ
"""What is up already is used as it is, and stays: for `make test`, and for whoever works on these tests."""

FOLDER = REPOSITORY / ".holdfast" / "tests"
"""Files, states and synthesised stacks of all environments but `local`."""

OFFICE = "203.0.113.16/28"
"""Who may come to the public addresses of `tiered`."""


@dataclass(frozen=True)
class Planned:
    name: str
    machines: int
    image: str
    what: str
    serves: tuple[str, ...]
    """Folders of tests."""


PLAN = (
    Planned("local", 3, "debian-12, at last debian-13", "`compact`, no TLS, as `make up` deploys it",
            ("twin/faults", "twin/cluster", "twin/attacks")),
    Planned("growing", 3, "debian-12", "`compact` with backups and 3 nodes, then 5, then 3", ("twin/members",)),
    Planned("single", 1, "debian-12", "`single`, TLS `optional`; at last public", ("twin/layouts",)),
    Planned("guest", 3, "debian-12", "`compact` in a team's VPC, TLS `required`; at last gone", ("twin/layouts",)),
    Planned("tiered", 7, "debian-12", "`tiered`, TLS `required` and mutual, public", ("twin/layouts",)),
)  # fmt: skip


def needed(parts: Collection[str]) -> list[str]:
    """The environments without which those folders of tests cannot run."""
    return [planned.name for planned in PLAN if set(planned.serves) & set(parts)]


@dataclass(frozen=True)
class Others:
    """What is deployed beside `local`."""

    clusters: dict[str, Cluster]
    """By name."""
    environ: dict[str, str]
    """The variables with which commands find them."""


def twin() -> None:
    """The twin itself, without an environment; one that is up stays as it is."""
    quotas = ("--quota", "elastic-ips=30", "--quota", "vpcs=10", "--quota", "internet-gateways=10")
    with first_or_after("up"):
        subprocess.run([HOLDFAST, "twin", "up", "--images", "debian-12", *quotas], cwd=REPOSITORY, check=True)


def down() -> None:
    """End the twin and all that is deployed to it, whoever left it."""
    make("down")
    shutil.rmtree(FOLDER, ignore_errors=True)


def up(names: Collection[str]) -> None:
    """Have all of them running, deployed in one wave.

    Raises:
        HoldfastError: a deploy failed; with the end of what it said.
    """
    beside = [name for name in names if name != "local"]
    waves = [lambda: others(beside)] if beside else []
    if "local" in names:
        waves.append(local)
    with ThreadPoolExecutor(len(waves) or 1) as pool:
        for deployed in [pool.submit(wave) for wave in waves]:
            deployed.result()


def local() -> Cluster:
    """`local`, by `make up`, as the README says."""
    cluster = Cluster()
    if not _is_up(cluster):
        make("up")
    return cluster


def others(names: Collection[str]) -> Others:
    """Those of that name, from files that are written anew. What runs, and is what its file says, is left alone."""
    wanted = {name: content for name, content in _contents().items() if name in names}
    if "guest" in names:
        wanted["guest"] = _guest()
    FOLDER.mkdir(parents=True, exist_ok=True)
    ready = [name for name in wanted if _file(name).exists() and _read(_file(name)) == wanted[name]]
    # With a state of their own: what is deployed goes with the twin.
    environ = own(FOLDER, wanted) | {"HOLDFAST_STATE_DIR": str(FOLDER / "state")}
    clusters = {name: Cluster(name, _file(name)) for name in wanted}
    missing = [name for name in wanted if name not in ready or not _is_up(clusters[name])]
    if missing:
        done = deploy(environ, *missing)
        if done.returncode:
            raise HoldfastError(f"the deploy of {', '.join(missing)} failed:\n{_end(done.stdout + done.stderr)}")
    return Others(clusters, environ)


def make(target: str) -> None:
    """As a person does it.

    Raises:
        HoldfastError: it failed; with the end of what it said.
    """
    done = subprocess.run(
        ["make", target], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1800
    )
    print(done.stdout)
    if done.returncode:
        raise HoldfastError(f"make {target} failed:\n{_end(done.stdout)}")


def _contents() -> Mapping[str, dict[str, Any]]:
    """`environments/examples`, on the cloud and the images of `local`, with as little memory; by name."""
    local = _read(ENVIRONMENTS / "local.yaml")
    growing = local | {"name": "growing", "network": local["network"] | {"cidr": "10.42.0.0/16", "domain": NO_DOMAIN}}
    growing["backup"] = {"every": "24h", "keep": {"daily": 7, "weekly": 5, "monthly": 12}}
    contents = {"growing": growing}
    tls: dict[str, Any] = {"single": "optional", "tiered": {"mode": "required", "mutual": True}}
    for name, mode in tls.items():
        content = _read(ENVIRONMENTS / "examples" / f"{name}.yaml")
        content |= {key: local[key] for key in ("images", "cloud", "protected")}
        content["network"]["domain"] = NO_DOMAIN
        content["tls"] = mode
        content["redis"]["memory"] = local["redis"]["memory"]
        contents[name] = content
    contents["tiered"]["network"] |= {"public": True, "clients": [contents["tiered"]["network"]["cidr"], OFFICE]}
    return contents


def team() -> Team:
    """Whose network `guest` is in."""
    local = _read(ENVIRONMENTS / "local.yaml")
    return Team(FOLDER / "team", local["region"], local["cloud"]["endpoint"])


def _guest() -> dict[str, Any]:
    local = _read(ENVIRONMENTS / "local.yaml")
    return local | {"name": "guest", "network": team().network(), "tls": "required", "tags": {"Team": "guests"}}


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(file.read_text())
    return content


def _file(name: str) -> Path:
    return FOLDER / f"{name}.yaml"


def _is_up(cluster: Cluster) -> bool:
    """Whether it runs and is well, once what an interrupted test broke is healed."""
    try:
        cluster.heal()
        return bool(cluster.status()["healthy"])
    except HoldfastError:
        return False


def _end(said: str) -> str:
    return "\n".join(said.splitlines()[-40:])


def main(verb: str, *parts: str) -> int:
    try:
        if verb == "down":
            down()
        else:
            twin()
            up(needed(parts))
    except HoldfastError as error:
        print(error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
