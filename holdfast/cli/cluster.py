"""The running cluster: its status, a failover, where to connect, what it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from holdfast.cli import options
from holdfast.cli.console import err, give, out, print_json, say, tell
from holdfast.cli.options import OneOf, load
from holdfast.plain import Terminal

if TYPE_CHECKING:
    from holdfast.ops.failover import Plan
    from holdfast.ops.status import Status

WATCH_INTERVAL = 1.0
"""Seconds between two looks of `status --watch` and `status --wait`."""

ALL = "all"
"""For `--snippets`: every client."""


@click.command()
@options.environment_unless("--all")
@click.option("--all", "everything", is_flag=True, help="Show a line for each environment, without test stacks.")
@click.option(
    "--watch", is_flag=True, help="Refresh every second until interrupted. Into a file or pipe: only changes."
)
@click.option("--wait", type=float, metavar="SECONDS", help="Wait up to SECONDS for the cluster to be healthy.")
@options.json_too
def status(environment: str | None, everything: bool, watch: bool, wait: float | None, as_json: bool) -> int:
    """Show the leader, the replicas and their lag, and what the Sentinels agree on.

    The exit code is 0 for a healthy cluster and 1 for any other.
    With --all it is 0 only when every environment is known to be healthy.
    """
    if everything == (environment is not None):
        raise click.UsageError("Give either ENV or --all.")
    if environment is None:
        if watch or wait is not None:
            raise click.UsageError("--all goes with neither --watch nor --wait.")
        return _status_of_all(as_json)
    if watch and (as_json or wait is not None):
        raise click.UsageError("--watch goes with neither --wait nor --json.")

    from holdfast.cli import show
    from holdfast.cli import watch as watching
    from holdfast.ops import glance
    from holdfast.topology import Cluster

    cluster = Cluster.of(load(environment))

    def look() -> Status:
        return glance.look(cluster)

    if watch:
        watching.watch(look, WATCH_INTERVAL)
    seen = _wait_healthy(look, wait) if wait else look()
    if as_json:
        print_json(seen.as_json())
    else:
        Terminal(width=max(out.width, show.WIDTH)).print(show.status_view(seen))
    return 0 if seen.healthy else 1


def _status_of_all(as_json: bool) -> int:
    from holdfast.cli import show, show_all
    from holdfast.ops import glance
    from holdfast.topology import load

    files = load.environment_files(load.ENVIRONMENTS)
    if not files:
        raise load.UnknownEnvironment(
            f"{load.ENVIRONMENTS}: there is no NAME.yaml; write one, or name another folder in {load.FOLDER_VARIABLE}"
        )
    with err.status(f"asking about {len(files)} environments"):
        seen = glance.look_at_all(files)
    healthy = all(it.state is glance.State.HEALTHY for it in seen)
    if as_json:
        print_json({"healthy": healthy, "environments": [it.as_json() for it in seen]})
    else:
        Terminal(width=max(out.width, show.WIDTH)).print(show_all.all_view(seen))
    return 0 if healthy else 1


def _wait_healthy(look: Callable[[], Status], seconds: float) -> Status:
    deadline = time.monotonic() + seconds
    with err.status("waiting for a healthy cluster"):
        while True:
            seen = look()
            if seen.healthy or time.monotonic() > deadline:
                return seen
            time.sleep(WATCH_INTERVAL)


@click.command()
@options.environment
@click.option("--to", metavar="NODE", help="Node to promote.  [default: the one that the Sentinels prefer]")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@options.json_too
def failover(environment: str, to: str | None, yes: bool, as_json: bool) -> int:
    """Promote a replica without losing an acknowledged write.

    Writes pause for about a quarter of a second.
    """
    from holdfast.ops import failover, reports
    from holdfast.topology import Cluster

    loaded = load(environment)
    planned = failover.plan(Cluster.of(loaded), reports.fetch(loaded), to)
    if not yes and not _agreed(planned):
        say("nothing was done")
        return 1
    answer = failover.order(loaded, planned)
    content = {"from": planned.leader, "to": planned.to, "done": answer.done, "says": answer.says}
    give(as_json, content, f"{planned.leader}: {answer.says}")
    return 0 if answer.done else 1


def _agreed(planned: Plan) -> bool:
    heir = planned.to or " or ".join(planned.candidates)
    say(f"{planned.leader} leads. {heir} will; writes pause for about a quarter of a second, none is lost.")
    if not sys.stdin.isatty():
        say("not a terminal, so nobody can be asked: say --yes")
        return False
    return input("Go on? [y/N] ").strip().lower() in ("y", "yes")


def _clients() -> list[str]:
    from holdfast.rendering import CLIENTS

    return [ALL, *CLIENTS]


@click.command()
@options.environment
@options.application
@click.option("--show-password", is_flag=True, help="Show the application's password too.")
@click.option(
    "--snippets",
    type=OneOf("client", _clients),
    metavar="[CLIENT]",
    is_flag=False,
    flag_value=ALL,
    help="Print sample code for one client library, or for all of them. It contains no password.",
)
@options.json_too
def endpoints(environment: str, user: str | None, show_password: bool, snippets: str | None, as_json: bool) -> int:
    """Show the addresses to which applications connect."""
    from holdfast import rendering
    from holdfast.cli import show
    from holdfast.ops import endpoints
    from holdfast.topology import Cluster

    loaded = load(environment)
    application = endpoints.application(loaded, user)
    found = endpoints.find(loaded, application, with_password=show_password)
    code = rendering.snippets(Cluster.of(loaded), application) if snippets else {}
    chosen = {name: text for name, text in code.items() if snippets in (ALL, name)}
    if as_json:
        print_json(found.as_json() | ({"snippets": chosen} if chosen else {}))
    elif chosen:
        print("\n\n".join(chosen.values()), end="")
    else:
        tell(show.endpoints_text(found))
    return 0


@click.command()
@options.environment
def sbom(environment: str) -> int:
    """Print the software of the nodes as a CycloneDX document.

    It lists packages, kernels, images and the node program.
    The exit code is 1 when the software of a node is not known.
    """
    from holdfast.ops import reports, sbom
    from holdfast.topology import Cluster

    loaded = load(environment)
    made = sbom.document(Cluster.of(loaded), reports.fetch(loaded))
    print_json(made)
    if nothing := sbom.unknown(made):
        say(f"{loaded.name}: nothing is known of {', '.join(nothing)}")
    return 1 if nothing else 0
