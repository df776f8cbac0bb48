"""The environment `planned`, applied to the emulated API once for every test here, and driven as cdktf drives it.

`test_review.py` looks at it; `test_stacks_plan.py`, the later of the two by its name, changes and destroys it. Other
files have an account of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from holdfast.drill.emulated import ENVIRONMENT, ORDER, Terraform, driven, emulated, reporting, written
from holdfast.mirror import require_provider
from holdfast.topology import Environment
from holdfast.twin.api import Api


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n`, what shares an applied environment stays in one process, in its order."""
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = _environment_of
    return scheduler


def _environment_of(nodeid: str) -> str:
    file = Path(nodeid.split("::")[0]).name
    return "planned" if file in ("test_review.py", "test_stacks_plan.py") else file


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    require_provider()
    with emulated() as api:
        yield api


@pytest.fixture(scope="module")
def own_api() -> Iterator[Api]:
    """For a file that looks whether its account is empty."""
    require_provider()
    with emulated() as api:
        yield api


@pytest.fixture(scope="session")
def environment(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("planned")
    return written(folder, "planned", ENVIRONMENT.format(endpoint=api.url, memory="256MB"))


@pytest.fixture(scope="session")
def applied(terraform: Terraform, reports: None) -> Terraform:
    """`planned` with everything in place."""
    terraform.each(terraform.apply, ORDER)
    return terraform


@pytest.fixture(scope="session")
def terraform(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    folder = next(tmp_path_factory.getbasetemp().glob("planned*"))
    return driven(folder, environment.name)


@pytest.fixture(scope="session")
def reports(environment: Environment) -> Iterator[None]:
    with reporting(environment):
        yield
