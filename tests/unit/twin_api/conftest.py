"""The API in this process: with states that a test sets, or `instant` ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import answering


@pytest.fixture
def api() -> Iterator[Api]:
    with answering(instant=False) as api:
        yield api


@pytest.fixture
def instant() -> Iterator[Api]:
    with answering(instant=True) as api:
        yield api
