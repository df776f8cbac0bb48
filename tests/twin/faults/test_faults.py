"""Whatever breaks: one leader at a time, nothing lost that WAIT acknowledged, and healthy again by itself."""

from __future__ import annotations

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.drill.faults import ROWS, Row, endure
from tests.twin.conftest import Note
from tests.twin.measured import nothing

pytestmark = pytest.mark.timed


@pytest.mark.parametrize("row", [pytest.param(row, marks=[pytest.mark.alone] * row.alone, id=row.name) for row in ROWS])
def test_one_leader_at_a_time_nothing_lost_and_healthy_by_itself(healthy: Cluster, row: Row, note: Note) -> None:
    trial = endure(row, healthy)
    note(row.name, trial.verdict)
    assert trial.verdict.problems == ()
    nothing(trial.objections)
