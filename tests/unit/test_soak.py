"""Soak runs add up over interruptions, and count for what they were made with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench import soak
from bench.soak import Run
from holdfast.drill.faults import ROWS
from holdfast.errors import HoldfastError
from holdfast.topology import find_environment, load_environment

MADE_WITH = ("abc", "compact, debian-12")
FIRST, SECOND = ROWS[:2]
RUN = Run(FIRST.name, *MADE_WITH, 0.3, (), "2 cores", "2026-11-29T06:00:00")


def test_what_was_run_already_is_not_run_again_and_every_fault_has_as_many(tmp_path: Path) -> None:
    kept = soak.keep(RUN, tmp_path / "soak.json")
    assert kept == soak.load(tmp_path / "soak.json") == [RUN]
    assert soak.missing(kept, [FIRST, SECOND], MADE_WITH, 2) == [SECOND, FIRST, SECOND]
    assert soak.missing(kept, [FIRST], MADE_WITH, 1) == []


def test_runs_of_another_program_do_not_count_and_go(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    soak.keep(replace(RUN, program="old"), file)
    assert len(soak.missing(soak.load(file), [FIRST], MADE_WITH, 1)) == 1
    assert soak.keep(RUN, file) == [RUN]


def test_the_page_says_what_failed(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    soak.keep(RUN, file)
    soak.keep(replace(RUN, outage=None, problems=("not within 60 s: healthy",)), file)
    said = (tmp_path / "soak.md").read_text()
    assert "| leader killed | compact, debian-12 | 2 | 0.30 | 0.30 | 1 | `abc` |" in said
    assert "- 2026-11-29T06:00:00, leader killed: not within 60 s: healthy" in said


def test_a_file_that_is_no_list_of_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "soak.json").write_text('[{"fault": "x"}]')
    with pytest.raises(HoldfastError, match="no list of runs"):
        soak.load(tmp_path / "soak.json")


def test_an_environment_of_another_layout_is_refused_with_what_is_accepted() -> None:
    example = load_environment(find_environment("environments/examples/single.yaml"))
    with pytest.raises(HoldfastError, match="is single of 1 nodes; accepted: compact of 3 nodes"):
        soak.usable(example)
