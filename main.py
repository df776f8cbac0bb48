"""Builds the Terraform stacks of the environments in `environments/`; `cdktf` runs this file.

`HOLDFAST_ENVIRONMENTS` (names, separated by commas) leaves out all others: that is faster, and they need not be valid.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cdktf import App

from holdfast import rendering
from holdfast.errors import HoldfastError
from holdfast.mirror import lock_provider
from holdfast.topology import (
    Cluster,
    Environment,
    InvalidEnvironment,
    find_environment,
    load_environment,
    load_environments,
)
from stacks.access import check_policies
from stacks.environment import add_environment


def chosen() -> list[Environment]:
    named = os.environ.get("HOLDFAST_ENVIRONMENTS", "").replace(",", " ").split()
    return [load_environment(find_environment(name)) for name in named] or load_environments()


def usable(environment: Environment) -> Cluster:
    cluster = Cluster.of(environment)
    if problems := rendering.check_user_data(cluster) + check_policies(cluster):
        raise InvalidEnvironment(str(find_environment(environment.name)), problems)
    return cluster


def main() -> int:
    try:
        clusters = [usable(environment) for environment in chosen()]
        app = App()
        stacks = [stack for cluster in clusters for stack in add_environment(app, cluster)]
    except HoldfastError as error:
        print(error, file=sys.stderr)
        return 2
    app.synth()
    for stack in stacks:
        lock_provider(Path(app.outdir) / "stacks" / stack.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
