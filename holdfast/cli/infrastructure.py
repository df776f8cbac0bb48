"""Environment files and the account: check them, prepare the account, gate a rollout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli import options
from holdfast.cli.console import err, print_json, tell
from holdfast.cli.options import load

if TYPE_CHECKING:
    from holdfast.ops.preflight.check import Check
    from holdfast.topology import Environment


@click.command()
@options.environment
@options.json_too
def validate(environment: str, as_json: bool) -> int:
    """Check an environment file and report every problem in it."""
    from holdfast.topology import Cluster, InvalidEnvironment, find_environment, pins, support
    from holdfast.topology.spec import IN_PLAINTEXT

    path = find_environment(environment)
    try:
        loaded = usable(path)
    except InvalidEnvironment as error:
        if not as_json:
            raise
        problems = [{"path": it.path, "found": it.found, "accepted": it.accepted} for it in error.problems]
        print_json({"file": str(path), "valid": False, "problems": problems})
        return error.exit_code
    if as_json:
        proven = {f"{it.distribution}": str(support.proof(it)) for it in support.combinations(loaded)}
        print_json({"file": str(path), "valid": True, "problems": [], "support": proven})
        return 0
    zones = ", ".join(loaded.region + zone for zone in loaded.zones)
    count = len(Cluster.of(loaded).nodes)
    tell(f"{path}: valid. {loaded.layout.kind}, {count} node{'s' * (count != 1)} over {zones}")
    if taken := loaded.elastic_ips:
        tell(f"It takes {taken} of the Elastic IPs that the account may have in {loaded.region}.")
    if count > 1:
        longest = loaded.longest_command / 1000
        tell(f"A command of the leader may take {longest:g} s; a longer one ends sessions, and costs a failover.")
    if unpinned := [key for key, machine in loaded.installing.items() if machine.packages is None]:
        tell(
            f"No versions of packages are pinned for {', '.join(unpinned)}: first boot installs the newest, and nodes "
            f"may differ. Pin them with: holdfast images update {pins.owner(loaded)}"
        )
    if not loaded.tls.on:
        tell(f"Without TLS (tls: off), {IN_PLAINTEXT}.")
    if caution := support.caution(loaded):
        tell(caution)
    return 0


def usable(path: Path) -> Environment:
    """The environment of a file that can also be rendered (its user-data fits what EC2 takes), and reviewed."""
    from holdfast import rendering
    from holdfast.topology import Cluster, InvalidEnvironment, load_environment
    from holdfast.topology.overrides import expired_overrides

    environment = load_environment(path)
    problems = rendering.check_user_data(Cluster.of(environment))
    problems += expired_overrides(environment, date.today())
    if problems:
        raise InvalidEnvironment(str(path), problems)
    return environment


@click.command()
def schema() -> int:
    """Print the JSON Schema of environment files, for editors."""
    from holdfast.topology.schema import json_schema

    print(json_schema(), end="")
    return 0


@click.command()
@options.environment
@options.json_too
def preflight(environment: str, as_json: bool) -> int:
    """Check that the account is ready for a deploy.

    Asks about quotas, images, names and permissions, and changes nothing.
    The exit code is 1 when anything is missing.
    """
    from holdfast.ops.preflight import run
    from holdfast.ops.preflight.check import Verdict

    loaded = load(environment)
    with err.status(f"asking about {loaded.name}"):
        checks = run.look(loaded)
    if as_json:
        print_json({"checks": [asdict(check) for check in checks]})
    else:
        _show(checks)
    return 0 if all(check.verdict is Verdict.RIGHT for check in checks) else 1


def _show(checks: Iterable[Check]) -> None:
    """A line for each."""
    from holdfast.ops.preflight.check import Verdict

    width = max(len(verdict) for verdict in Verdict)
    for check in checks:
        tell(f"{check.verdict:{width}}  {check}")


@click.command()
@options.environment
@options.json_too
def bootstrap(environment: str, as_json: bool) -> int:
    """Create the bucket of the Terraform state, before the first deploy to AWS.

    Idempotent. Then checks that the account is ready, as preflight does.
    """
    from holdfast.ops import bootstrap
    from holdfast.ops.preflight import run
    from holdfast.topology import find_environment, load_environment

    file = find_environment(environment)
    done = bootstrap.bootstrap(load_environment(file), file)
    loaded = load_environment(file)
    checks = [] if loaded.api_endpoint else run.look(loaded)
    if as_json:
        print_json({"done": done, "checks": [asdict(check) for check in checks]})
    else:
        tell(*done)
        _show(checks)
    return 0


@click.command()
@options.environment
@click.option("--expect", multiple=True, metavar="NODE=INSTANCE", help="A node and its instance. May be repeated.")
@click.option("--whole", is_flag=True, help="The whole cluster: one leader, all replicas in sync, all Sentinels agree.")
@click.option(
    "--timeout",
    type=float,
    default=900,
    show_default=True,
    envvar="HOLDFAST_GATE_TIMEOUT",
    show_envvar=True,
    metavar="SECONDS",
    help="How long to wait.",
)
def gate(environment: str, expect: tuple[str, ...], whole: bool, timeout: float) -> int:
    """Wait until the nodes of a zone are in sync.

    The zone stacks run it, so that a rolling deploy takes one zone at a time.
    Takes either --expect or --whole. The exit code is 1 after the timeout.
    """
    from holdfast.ops import gate

    if whole == bool(expect):
        raise click.UsageError("Give either --expect or --whole.")
    expected = _expected(expect)
    loaded = load(environment)
    if whole:
        gate.hold_whole(loaded, timeout, tell)
    else:
        gate.hold(loaded, expected, timeout, tell)
    tell("open")
    return 0


def _expected(pairs: Sequence[str]) -> dict[str, str]:
    expected = {}
    for pair in pairs:
        node, _, instance = pair.partition("=")
        if not (node and instance):
            raise click.BadParameter(
                f"{pair}: found no NODE=INSTANCE; accepted: such as prod-a1=i-0123456789abcdef0", param_hint="--expect"
            )
        expected[node] = instance
    return expected
