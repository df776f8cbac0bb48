"""The `holdfast` command: reads the arguments, calls one room, prints what it answers.

Exit codes: 0 all is well; 1 it is not (a status that is not healthy, a gate that stayed closed, an API that refused);
2 what was given cannot be used (a wrong argument, an environment file with problems); 3 a review has blocking findings;
4 a deploy would do something else than what was approved; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from rich.live import Live

from holdfast import rendering
from holdfast.arguments import about_environment, with_json
from holdfast.errors import HoldfastError
from holdfast.ops import bootstrap, endpoints, failover, gate, images, reports, sbom, show, status
from holdfast.ops.certs import commands as certs_commands
from holdfast.ops.policies import commands as policies_commands
from holdfast.ops.preflight import commands as preflight_commands
from holdfast.ops.preflight import run as preflight
from holdfast.ops.retire import commands as retire_commands
from holdfast.ops.review import markdown, page, run
from holdfast.ops.secrets import commands as secrets_commands
from holdfast.ops.teststacks import commands as teststack_commands
from holdfast.plain import Terminal
from holdfast.topology import (
    Cluster,
    Environment,
    InvalidEnvironment,
    find_environment,
    load_environment,
)
from holdfast.topology.pins import Pin
from holdfast.topology.risks import expired_overrides
from holdfast.topology.schema import json_schema
from holdfast.topology.spec import IN_PLAINTEXT
from holdfast.twin import commands as twin_commands

BLOCKED = 3
"""Exit code of a review with a blocking finding that nothing overrides."""

ANOTHER = 4
"""Exit code of a review that would do something else than it is expected to."""

WATCH_INTERVAL = 1.0
"""Seconds between two looks of `status --watch` and `status --wait`."""

out = Terminal()
err = Terminal(stderr=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    parsed = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return run(parsed)
    except HoldfastError as error:
        err.print(str(error), style="red", markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        err.print("interrupted")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="holdfast", description="Highly available Redis on your own cloud machines.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = partial(about_environment, commands)

    with_json(command("validate", _validate, "check an environment file: all of its problems, and nothing else"))

    found = with_json(command("status", _status, "who leads, who follows how closely, who agrees"))
    found.add_argument("--watch", action="store_true", help="keep looking until interrupted")
    found.add_argument("--wait", type=float, metavar="SECONDS", help="wait at most so long until all is healthy")

    found = with_json(command("failover", _failover, "have another node lead: no acknowledged write is lost"))
    found.add_argument("--to", metavar="NODE", help="who shall lead; default: whom the Sentinels prefer")
    found.add_argument("--yes", action="store_true", help="without asking")

    found = with_json(command("endpoints", _endpoints, "where applications connect"))
    found.add_argument("--user", metavar="NAME", help="of which application; default: the first one of the file")
    found.add_argument("--show-password", action="store_true", help="show the application's password too")
    found.add_argument(
        "--snippets",
        nargs="?",
        const="all",
        choices=("all", *rendering.CLIENTS),
        metavar="CLIENT",
        help=f"code that connects, for {', '.join(rendering.CLIENTS)}, or all of them; without the password",
    )

    with_json(
        command("bootstrap", _bootstrap, "create the bucket of the Terraform state (before the first deploy to AWS)")
    )

    command("sbom", _sbom, "what the nodes run, as a CycloneDX document: packages, kernels, images, the node program")

    images_of = commands.add_parser("images", help="the pinned image ids: show them, or move them forward")
    images_commands = images_of.add_subparsers(required=True, metavar="COMMAND")
    of_images = partial(about_environment, images_commands)
    with_json(of_images("list", _images_list, "the environment's pinned image ids"))
    with_json(of_images("update", _images_update, "pin the newest releases; the next deploy rolls them out"))

    found = command("gate", _gate, "hold until a zone's nodes are in sync (run by the zone stacks)")
    what = found.add_mutually_exclusive_group(required=True)
    what.add_argument("--expect", action="append", metavar="NODE=INSTANCE", help="a node and the instance it must be")
    what.add_argument("--whole", action="store_true", help="the whole cluster: one leader, all in sync, all agreeing")
    patience = float(os.environ.get("HOLDFAST_GATE_TIMEOUT", 900))
    found.add_argument("--timeout", type=float, default=patience, metavar="SECONDS", help="default: %(default)s")

    found = with_json(command("review", _review, "what a deploy would do to the cluster, for a reviewer"))
    found.add_argument("--markdown", type=Path, metavar="FILE", help="write the Markdown there, not to standard output")
    found.add_argument("--html", type=Path, metavar="FILE", help="write a self-contained page too")
    found.add_argument("--digest", type=Path, metavar="FILE", help="write the SHA-256 of what would be done there")
    found.add_argument("--expect", metavar="SHA256", help="end with 4 where something else would be done than that")
    found.add_argument("--offline", action="store_true", help="without credentials: compare two commits' synth output")
    found.add_argument(
        "--base",
        default="origin/main",
        metavar="COMMIT",
        help="what --offline compares with, and checkov's findings (default: %(default)s)",
    )

    schema = commands.add_parser("schema", help="print the JSON Schema of environment files, for editors")
    schema.set_defaults(run=_schema)

    secrets_commands.add_parser(commands)
    certs_commands.add_parser(commands)
    policies_commands.add_parser(commands)
    preflight_commands.add_parser(commands)
    retire_commands.add_parser(commands)
    teststack_commands.add_parser(commands)
    twin_commands.add_parser(commands)
    return parser


def _validate(arguments: argparse.Namespace) -> int:
    path = find_environment(arguments.environment)
    try:
        environment = _usable(path)
    except InvalidEnvironment as error:
        if not arguments.json:
            raise
        problems = [{"path": it.path, "found": it.found, "accepted": it.accepted} for it in error.problems]
        _print_json({"file": str(path), "valid": False, "problems": problems})
        return error.exit_code
    if arguments.json:
        _print_json({"file": str(path), "valid": True, "problems": []})
    else:
        zones = ", ".join(environment.region + zone for zone in environment.zones)
        count = len(Cluster.of(environment).nodes)
        out.print(f"{path}: valid. {environment.layout.kind}, {count} node{'s' * (count != 1)} over {zones}")
        if taken := environment.elastic_ips:
            out.print(f"It takes {taken} of the Elastic IPs that the account may have in {environment.region}.")
        if count > 1:
            longest = environment.longest_command / 1000
            out.print(
                f"A command of the leader may take {longest:g} s; a longer one ends sessions, and costs a failover."
            )
        if not environment.tls.on:
            out.print(f"Without TLS (tls: off), {IN_PLAINTEXT}.")
    return 0


def _usable(path: Path) -> Environment:
    """The environment of a file that can also be rendered (its user-data fits what EC2 takes), and reviewed."""
    environment = load_environment(path)
    problems = rendering.check_user_data(Cluster.of(environment))
    problems += expired_overrides(environment, date.today())
    if problems:
        raise InvalidEnvironment(str(path), problems)
    return environment


def _environment(arguments: argparse.Namespace) -> Environment:
    return load_environment(find_environment(arguments.environment))


def _status(arguments: argparse.Namespace) -> int:
    cluster = Cluster.of(_environment(arguments))

    def look() -> status.Status:
        return status.work_out(cluster, reports.fetch(cluster.environment))

    if arguments.watch:
        with Live(console=out, auto_refresh=False) as live:
            while True:
                live.update(show.status_view(look()), refresh=True)
                time.sleep(WATCH_INTERVAL)
    seen = _wait_healthy(look, arguments.wait) if arguments.wait else look()
    if arguments.json:
        _print_json(seen.as_json())
    else:
        Terminal(width=max(out.width, show.WIDTH)).print(show.status_view(seen))
    return 0 if seen.healthy else 1


def _sbom(arguments: argparse.Namespace) -> int:
    environment = _environment(arguments)
    made = sbom.document(Cluster.of(environment), reports.fetch(environment))
    print(json.dumps(made, indent=2))
    if nothing := sbom.unknown(made):
        err.print(f"{environment.name}: nothing is known of {', '.join(nothing)}", markup=False)
    return 1 if nothing else 0


def _wait_healthy(look: Callable[[], status.Status], seconds: float) -> status.Status:
    deadline = time.monotonic() + seconds
    with err.status("waiting for a healthy cluster"):
        while True:
            seen = look()
            if seen.healthy or time.monotonic() > deadline:
                return seen
            time.sleep(WATCH_INTERVAL)


def _failover(arguments: argparse.Namespace) -> int:
    environment = load_environment(find_environment(arguments.environment))
    planned = failover.plan(Cluster.of(environment), reports.fetch(environment), arguments.to)
    if not arguments.yes and not _agreed(planned):
        err.print("nothing was done")
        return 1
    answer = failover.order(environment, planned)
    if arguments.json:
        _print_json({"from": planned.leader, "to": planned.to, "done": answer.done, "says": answer.says})
    else:
        out.print(f"{planned.leader}: {answer.says}", markup=False)
    return 0 if answer.done else 1


def _agreed(planned: failover.Plan) -> bool:
    heir = planned.to or " or ".join(planned.candidates)
    err.print(f"{planned.leader} leads. {heir} will; writes pause for about a quarter of a second, none is lost.")
    if not sys.stdin.isatty():
        err.print("not a terminal, so nobody can be asked: say --yes")
        return False
    return input("Go on? [y/N] ").strip().lower() in ("y", "yes")


def _endpoints(arguments: argparse.Namespace) -> int:
    environment = _environment(arguments)
    user = endpoints.application(environment, arguments.user)
    found = endpoints.find(environment, user, with_password=arguments.show_password)
    snippets = rendering.snippets(Cluster.of(environment), user) if arguments.snippets else {}
    chosen = {name: code for name, code in snippets.items() if arguments.snippets in ("all", name)}
    if arguments.json:
        _print_json(found.as_json() | ({"snippets": chosen} if chosen else {}))
    elif chosen:
        print("\n\n".join(chosen.values()), end="")
    else:
        out.print(show.endpoints_text(found), markup=False)
    return 0


def _bootstrap(arguments: argparse.Namespace) -> int:
    file = find_environment(arguments.environment)
    done = bootstrap.bootstrap(load_environment(file), file)
    environment = load_environment(file)
    checks = [] if environment.api_endpoint else preflight.look(environment)
    if arguments.json:
        _print_json({"done": done, "checks": preflight_commands.as_json(checks)})
    else:
        out.print("\n".join(done), markup=False)
        preflight_commands.show(checks)
    return 0


def _images_list(arguments: argparse.Namespace) -> int:
    return _print_pins(images.pinned(_environment(arguments)), arguments.json, none="no image is pinned yet")


def _images_update(arguments: argparse.Namespace) -> int:
    return _print_pins(images.update(_environment(arguments)), arguments.json, none="every pin is the newest release")


def _print_pins(pins: dict[str, Pin], as_json: bool, none: str) -> int:
    if as_json:
        _print_json({key: asdict(pin) for key, pin in pins.items()})
    else:
        out.print(
            "\n".join(f"{key}: {pin.id} {pin.name} ({pin.source})" for key, pin in pins.items()) or none, markup=False
        )
    return 0


def _gate(arguments: argparse.Namespace) -> int:
    environment = _environment(arguments)

    def say(sentence: str) -> None:
        out.print(sentence, markup=False)

    if arguments.whole:
        gate.hold_whole(environment, arguments.timeout, say)
    else:
        gate.hold(environment, _expected(arguments.expect), arguments.timeout, say)
    say("open")
    return 0


def _review(arguments: argparse.Namespace) -> int:
    file = find_environment(arguments.environment)
    environment = _usable(file)
    with err.status(f"reviewing {environment.name}"):
        if arguments.offline:
            made = run.review_offline(environment, file, arguments.base)
        else:
            made = run.review(environment, file, arguments.base)
    if arguments.html:
        arguments.html.write_text(page.render(made), encoding="utf-8")
    if arguments.markdown:
        arguments.markdown.write_text(markdown.render(made), encoding="utf-8")
    if arguments.digest:
        arguments.digest.write_text(made.digest + "\n", encoding="utf-8")
    if arguments.json:
        _print_json(made.as_json())
    elif arguments.markdown:
        out.print(made.headline, markup=False)
    else:
        print(markdown.render(made), end="")
    if made.blocked:
        return BLOCKED
    if arguments.expect not in (None, made.digest):
        said = f"{environment.name}: a deploy would do {made.digest[:12]} now, and {arguments.expect[:12]} was approved"
        err.print(f"{said}; review it anew, and have that approved", markup=False)
        return ANOTHER
    return 0


def _expected(pairs: Sequence[str]) -> dict[str, str]:
    expected = {}
    for pair in pairs:
        node, separator, instance = pair.partition("=")
        if not (node and separator and instance):
            raise UsageError(f"--expect {pair}: found no NODE=INSTANCE; accepted: such as prod-a1=i-0123456789abcdef0")
        expected[node] = instance
    return expected


class UsageError(HoldfastError):
    """An argument that argparse cannot check."""

    exit_code = 2


def _schema(arguments: argparse.Namespace) -> int:
    print(json_schema(), end="")
    return 0


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=2))
