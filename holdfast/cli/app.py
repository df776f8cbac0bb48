"""The command itself: its groups, and what becomes of an error."""

from __future__ import annotations

from collections.abc import Sequence

import click

from holdfast.cli.certs import certs
from holdfast.cli.cluster import endpoints, failover, sbom, status
from holdfast.cli.console import err, say
from holdfast.cli.group import Group
from holdfast.cli.infrastructure import bootstrap, gate, images, preflight, schema, validate
from holdfast.cli.policies import policies
from holdfast.cli.retire import retire
from holdfast.cli.review import review
from holdfast.cli.secrets import secrets
from holdfast.cli.teststacks import leftovers, reap, teststack
from holdfast.cli.twin import twin
from holdfast.errors import HoldfastError

NAME = "holdfast"
EXIT_CODES = """\b
Exit codes:
  0    success
  1    failure: an unhealthy status, a closed gate, a refused API call
  2    unusable input: a wrong argument, an invalid environment file
  3    a review has a blocking finding
  4    a deploy would differ from the approved one
  130  interrupted
"""
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


@click.group(
    cls=Group,
    sections={
        "Cluster": [status, endpoints, failover, sbom],
        "Credentials": [secrets, certs, policies],
        "Infrastructure": [validate, schema, preflight, bootstrap, review, gate, images, retire],
        "Test stacks": [teststack, reap, leftovers],
        "Twin": [twin],
    },
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
def holdfast() -> None:
    """Operate highly available Redis on your own cloud machines."""
