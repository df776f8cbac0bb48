"""Deployed clusters, and writers and a judge for them: `make up` once, then clients and faults against it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.drill import application
from holdfast.drill.checker import Verdict
from holdfast.drill.cluster import Cluster
from holdfast.drill.writers import Gateway, Writers
from holdfast.twin import machines
from tests.twin import environments
from tests.twin.measured import Disturbed
from tests.twin.turns import turn


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is measured may be measured once more (measured.py).

    Those that end the cluster come last, and in each folder those that need the twin alone: others end meanwhile.
    """
    for item in items:
        if item.get_closest_marker("timed"):
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=[Disturbed.__name__]))
    folders = list(dict.fromkeys(item.path.parent for item in items))
    items.sort(
        key=lambda item: (
            item.get_closest_marker("ends_the_cluster") is not None,
            folders.index(item.path.parent),
            item.get_closest_marker("alone") is not None,
        )
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Each test, with all that it sets up, has its turn on the twin."""
    if Path(__file__).parent not in item.path.parents:
        return (yield)
    with turn(**{name: item.get_closest_marker(name) is not None for name in ("timed", "alone")}):
        return (yield)


@pytest.fixture(scope="session")
def twin() -> Iterator[None]:
    """The twin, without an environment, and nothing left behind afterwards."""
    if os.geteuid() != 0:
        pytest.fail("the tests on the twin need root: sudo make test")
    if not environments.KEEPS:
        # The machine has one twin, and somebody may have been interrupted in the middle of it.
        environments.down()
    try:
        environments.twin()
        yield
    finally:
        if not environments.KEEPS:
            environments.down()


@pytest.fixture(scope="session")
def cluster(twin: None) -> Cluster:
    """`make up`, as the README says."""
    return environments.local()


@pytest.fixture(scope="module")
def floating(cluster: Cluster) -> Iterator[Gateway]:
    """The floating pair, as an application uses it from a machine of its own in the environment's network."""
    with application.running(cluster.name) as machine:
        yield cluster.pair(machine)


@pytest.fixture
def healthy(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster, healthy before the test, healed and healthy after it."""
    # One that does not heal by itself costs its own test the patience, and not every later one.
    ill_since = request.config.stash.get(ILL_SINCE, None)
    if ill_since:
        cluster.wait_healthy(5, f"a healthy cluster, which it has not been since {ill_since}")
    cluster.wait_healthy()
    request.config.stash[ILL_SINCE] = request.node.name
    began = time.time()
    yield cluster
    cluster.heal()
    cluster.wait_healthy()
    request.config.stash[ILL_SINCE] = None
    assert address_switches(cluster, began) == []


ILL_SINCE = pytest.StashKey[str | None]()


def address_switches(cluster: Cluster, since: float) -> list[str]:
    """What Sentinels said of others that they found at another address than before: each has one for good.

    `since`: seconds since 1970.
    """
    journal = ["journalctl", "--quiet", "--no-pager", f"--since=@{since:.0f}", "--unit=holdfast-sentinel"]
    said = [line for machine in cluster.instances().values() for line in machines.output(machine, journal).splitlines()]
    return [line for line in said if "+sentinel-address-switch" in line]


@pytest.fixture
def writers(healthy: Cluster) -> Iterator[Writers]:
    """Continuous writes through every gateway, each from its own node's network, all through the test."""
    with Writers(healthy.gateways()) as running:
        running.wait_writing()
        yield running


Judge = Callable[..., Verdict]
Note = Callable[[str, Verdict], None]


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Has a verdict in the table at the end."""
    verdicts = request.config.stash.setdefault(VERDICTS, [])
    return lambda what, verdict: verdicts.append((what, verdict))


@pytest.fixture
def judge(note: Note, cluster: Cluster) -> Judge:
    """Ends the writing, reads back what was acknowledged, and notes the verdict."""

    def verdict_on(what: str, writers: Writers, of: Cluster = cluster, **how: Any) -> Verdict:
        verdict = of.judge(writers, **how)
        note(what, verdict)
        return verdict

    return verdict_on


VERDICTS = pytest.StashKey[list[tuple[str, Verdict]]]()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What each fault cost: a figure that nobody sees proves nothing."""
    verdicts = config.stash.get(VERDICTS, [])
    if not verdicts:
        return
    width = max(len(what) for what, _ in verdicts)
    terminalreporter.section("what each fault cost")
    terminalreporter.write_line(
        "outage: without an acknowledged write at one of the surviving gateways, and at all; lost: acknowledged writes"
    )
    terminalreporter.write_line(
        f"{'fault':{width}}  outage   at all  leaders  lost without WAIT  lost with WAIT  stalest replica"
    )
    for what, verdict in verdicts:
        terminalreporter.write_line(
            f"{what:{width}}  {verdict.outage:4.2f} s  {verdict.silence:5.2f} s  {len(verdict.leaders):7}  "
            f"{len(verdict.lost_without):17}  {len(verdict.lost_with):14}  {verdict.staleness:13.2f} s"
        )
