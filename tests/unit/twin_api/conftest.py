"""The API in this process: with states that a test sets, or `instant` ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import DEBIAN, IMAGE, REGION


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api(port=0, region=REGION)
    api.start()
    api.register_image(IMAGE, "debian-12-amd64-20251101-1", DEBIAN, "x86_64")
    yield api
    api.stop()


@pytest.fixture
def instant() -> Iterator[Api]:
    api = Api(port=0, region=REGION, instant=True)
    api.start()
    api.register_image(IMAGE, "debian-12-amd64-20251101-1", DEBIAN, "x86_64")
    yield api
    api.stop()
