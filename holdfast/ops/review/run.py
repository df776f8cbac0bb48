"""`holdfast review`: asks Terraform, the states and the cluster at the same time, and makes the report."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.mirror import PROVIDER_VERSION, REPOSITORY
from holdfast.ops import given, reports, status, terraform
from holdfast.ops.preflight import run as preflight
from holdfast.ops.preflight import taken
from holdfast.ops.preflight.check import Verdict
from holdfast.ops.review import base, checkov, report, states, synthesis
from holdfast.ops.review.base import Base
from holdfast.ops.review.checkov import CheckovFailed, Configuration
from holdfast.ops.review.facts import Action, Facts, Stack, text
from holdfast.ops.review.report import Checked, Provenance, Report
from holdfast.ops.review.terraform import plan_stack
from holdfast.ops.vault import Vault
from holdfast.topology import Cluster, Environment, environment_files, names

FOLDER = REPOSITORY / ".holdfast" / "review"
"""Kept between reviews: Terraform's initialisation is a third of the time where it starts anew."""


def review(environment: Environment, file: Path, base_name: str) -> Report:
    """Plan every stack with the environment's credentials. The commit `base_name` is for checkov alone.

    Raises:
        HoldfastError: a stack cannot be synthesised or planned, the states cannot be listed.
        InvalidEnvironment: the VPC that the file names is not as it has it, or its addresses are taken.
    """
    given.require(environment, file)
    stacks = _stacks(environment)
    known = _known(environment, file)
    with _outdir(environment.name) as outdir, ThreadPoolExecutor(max_workers=(os.cpu_count() or 1) + 2) as pool:
        environ = terraform.variables(file, outdir)
        synthesised = pool.submit(terraform.synthesise, environ)
        before = pool.submit(_base, base_name, environment.name)
        found = pool.submit(states.look, environment, stacks, known)
        asked = pool.submit(_status, environment)
        ready = pool.submit(_unready, environment)
        synthesised.result()
        after = {stack: terraform.configuration(outdir, stack) for stack in stacks}
        checked = pool.submit(_check, before, after)
        stateless = not found.result().place
        planned = [
            pool.submit(plan_stack, environment.name, stack, outdir, environ, stateless=stateless) for stack in stacks
        ]
        running, unknown = asked.result()
        planned_stacks = tuple(plan.result() for plan in planned)
        facts = Facts(
            environment=environment.name,
            stacks=planned_stacks,
            reserved=_reserved(environment, planned_stacks),
            unready=ready.result(),
            status=running,
            status_unknown=unknown,
            abandoned=found.result().abandoned,
            left_behind=found.result().left_behind,
        )
        return report.make(facts, environment.review.overrides, checked.result(), _provenance(base_commit=""))


def review_offline(environment: Environment, file: Path, base_name: str) -> Report:
    """Compare what this checkout and the commit `base_name` synthesise. Asks no cloud.

    Raises:
        HoldfastError: one of the two cannot be synthesised, there is no such commit.
    """
    commit = base.commit(base_name)
    before = base.synthesise(commit, environment.name)
    with _outdir(environment.name) as outdir:
        terraform.synthesise(terraform.variables(file, outdir))
        after = {stack: terraform.configuration(outdir, stack) for stack in _stacks(environment)}
    facts = Facts(
        environment=environment.name,
        stacks=tuple(
            synthesis.diff(environment.name, _short(environment, stack), before.stacks.get(stack, {}), configuration)
            for stack, configuration in after.items()
        ),
        left_behind=tuple(_short(environment, stack) for stack in before.stacks if stack not in after),
        status_unknown="nothing was asked",
        abandoned=tuple(sorted(before.environments - _known(environment, file))),
    )
    checked = _checked(before.stacks, after)
    return report.make(facts, environment.review.overrides, checked, _provenance(base_commit=commit))


def _base(name: str, environment: str) -> Base:
    return base.synthesise(base.commit(name), environment)


def _check(before: Future[Base], after: Mapping[str, Configuration]) -> Checked:
    try:
        return _checked(before.result().stacks, after)
    except HoldfastError as error:
        return Checked(not_asked=str(error).splitlines()[0])


def _checked(before: Mapping[str, Configuration], after: Mapping[str, Configuration]) -> Checked:
    """A review does without checkov where it is not installed."""
    try:
        return Checked(checkov.new_findings(before, after, date.today()))
    except CheckovFailed as error:
        return Checked(not_asked=str(error).splitlines()[0])


def _known(environment: Environment, file: Path) -> set[str]:
    """The environments that have a file. A test stack's is one folder below theirs, and is the former name of none."""
    folder = file.resolve().parent
    return {other.stem for other in environment_files(folder.parent if environment.teststack else folder)}


def _short(environment: Environment, stack: str) -> str:
    return stack.removeprefix(f"{environment.name}-")


def _stacks(environment: Environment) -> list[str]:
    return names.stacks(environment, Cluster.of(environment).zones)


@contextmanager
def _outdir(environment: str) -> Iterator[Path]:
    """The environment's folder below `FOLDER`, for one review at a time: another one waits."""
    folder = FOLDER / environment
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _status(environment: Environment) -> tuple[status.Status | None, str]:
    """The running cluster's status, or why it is not known."""
    try:
        found = reports.fetch(environment)
    except HoldfastError as error:
        return None, str(error).split("; ")[0]
    if not found:
        return None, "no node has ever reported"
    return status.work_out(Cluster.of(environment), found), ""


def _unready(environment: Environment) -> tuple[str, ...]:
    """Nobody asks an emulation for room. What may not be asked is no finding: who reviews need not be who deploys."""
    if environment.api_endpoint is not None:
        return ()
    try:
        checks = preflight.look(environment, preflight.READS)
    except HoldfastError:
        return ()
    # Secrets' names have a rule of their own, which blocks.
    return tuple(str(it) for it in checks if it.verdict is Verdict.WRONG and it.what != taken.SECRETS)


def _reserved(environment: Environment, stacks: Iterable[Stack]) -> frozenset[str]:
    """Of the secrets that the change makes, the names that deleted ones still have."""
    vault = Vault(environment)
    new = [
        text(resource.after.get("name"))
        for stack in stacks
        for resource in stack.resources
        if resource.kind == "aws_secretsmanager_secret" and resource.action is Action.CREATE
    ]
    return frozenset(name for name in new if name and vault.is_reserved(name))


def _provenance(base_commit: str) -> Provenance:
    return Provenance(
        commit=_commit(),
        base=base_commit,
        versions={
            "holdfast": version("holdfast"),
            "terraform": terraform.version(),
            "aws provider": PROVIDER_VERSION,
            "cdktf": version("cdktf"),
        },
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _commit() -> str:
    """This checkout's commit, and whether there is more in its files."""
    commit = base.git("rev-parse", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit} with uncommitted changes" if base.git("status", "--porcelain") else commit
