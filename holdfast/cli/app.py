"""The command itself: its groups, its version, its completion, and what becomes of an error."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from holdfast.cli.backup import backup
from holdfast.cli.certs import certs
from holdfast.cli.cluster import endpoints, failover, sbom, status
from holdfast.cli.console import err, say
from holdfast.cli.group import Group
from holdfast.cli.images import images
from holdfast.cli.infrastructure import bootstrap, gate, preflight, schema, validate
from holdfast.cli.policies import policies
from holdfast.cli.restore import restore
from holdfast.cli.retire import retire
from holdfast.cli.review import review
from holdfast.cli.secrets import secrets
from holdfast.cli.teststacks import leftovers, reap, teststack
from holdfast.cli.twin import twin
from holdfast.errors import HoldfastError

NAME = "holdfast"
SHELLS = ("bash", "zsh", "fish")
EXIT_CODES = """\b
Exit codes:
  0    success
  1    failure: an unhealthy status, a closed gate, a refused API call
  2    unusable input: a wrong argument, an invalid environment file
  3    a review has a blocking finding
  4    a deploy would differ from the approved one
  130  interrupted
"""
CHECKOUT = Path(__file__).parents[2]
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    try:
        code: int = holdfast.main(arguments, prog_name=NAME, standalone_mode=False)
        return code
    except HoldfastError as error:
        err.print(str(error), style="red", markup=False)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        say("interrupted")
        return INTERRUPTED


def _version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        commit = _commit()
        click.echo(f"{NAME} {metadata.version(NAME)}" + (f" ({commit})" if commit else ""))
        ctx.exit()


def _commit() -> str | None:
    """The commit of this checkout; None where there is none, or no git that reads it."""
    if not (CHECKOUT / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(CHECKOUT), "rev-parse", "--short", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _completion(ctx: click.Context, param: click.Parameter, shell: str | None) -> None:
    if shell:
        made = get_completion_class(shell)
        assert made is not None
        click.echo(made(holdfast, {}, NAME, f"_{NAME.upper()}_COMPLETE").source())
        ctx.exit()


@click.group(
    cls=Group,
    sections={
        "Cluster": [status, endpoints, failover, backup, restore, sbom],
        "Credentials": [secrets, certs, policies],
        "Infrastructure": [validate, schema, preflight, bootstrap, review, gate, images, retire],
        "Test stacks": [teststack, reap, leftovers],
        "Twin": [twin],
    },
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version and exit."
)
@click.option(
    "--completion",
    type=click.Choice(SHELLS),
    is_eager=True,
    expose_value=False,
    callback=_completion,
    help='Print the completion script of a shell and exit. For bash: eval "$(holdfast --completion bash)"',
)
def holdfast() -> None:
    """Operate highly available Redis on your own cloud machines."""
