"""Which environments a change concerns: `environments.py [--since COMMIT | --only NAME | --tls]`; without any, all.

Prints `found=` and a JSON list of {name, region}, as a workflow's output takes it. Environments whose cloud is an
emulation are left out: no runner has it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.topology import Environment, environment_files, find_environment, load_environment

REPOSITORY = Path(__file__).resolve().parents[2]

UNCONCERNED = (
    ".ci/",
    ".github/",
    "bench/",
    "docs/",
    "environments/examples/",
    "environments/schema.json",
    "holdfast/drill/",
    "holdfast/ops/",
    "holdfast/twin/",
    "scripts/",
    "tests/",
)
"""What reaches no machine and no stack. Anything else, a new folder too, concerns every environment."""


def concerned(changed: Iterable[str], names: Iterable[str]) -> list[str]:
    """Those of the environments `names` that the changed paths concern, in their order."""
    own: set[str] = set()
    for path in changed:
        folder, _, file = path.rpartition("/")
        if folder == "environments" and file.endswith(".yaml"):
            own.add(file.removesuffix(".yaml"))
        elif not path.startswith(UNCONCERNED) and not path.endswith(".md"):
            return list(names)
    return [name for name in names if name in own]


def changed_since(commit: str) -> list[str] | None:
    """Paths that differ from what this checkout and `commit` have in common; None when git does not know."""
    command = ["git", "diff", "--name-only", "--no-renames", f"{commit}...HEAD"]
    done = subprocess.run(command, cwd=REPOSITORY, text=True, capture_output=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else None


def real(files: Iterable[Path]) -> list[Environment]:
    environments = [load_environment(file) for file in files]
    return [environment for environment in environments if environment.api_endpoint is None]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--since", metavar="COMMIT")
    which.add_argument("--only", metavar="NAME")
    which.add_argument("--tls", action="store_true", help="those that have certificates")
    arguments = parser.parse_args()
    try:
        files = [find_environment(arguments.only)] if arguments.only else environment_files()
        wanted = [it for it in real(files) if it.tls.on or not arguments.tls]
        found = {environment.name: environment.region for environment in wanted}
    except HoldfastError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    names = list(found)
    if arguments.since:
        changed = changed_since(arguments.since)
        if changed is None:
            print(f"{arguments.since} is not in this checkout: every environment is taken", file=sys.stderr)
        else:
            names = concerned(changed, names)
    print("found=" + json.dumps([{"name": name, "region": found[name]} for name in names]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
