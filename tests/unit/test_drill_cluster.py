"""The drill's view of a cluster, while machines come and go."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.twin import client, machines


def test_a_machine_that_is_off_has_no_sentinel_to_count_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its report, and so its status, may be a few seconds older than its power cut."""

    def off(instance_id: str) -> int:
        raise machines.NotRunning(f"machine {instance_id} is not running")

    monkeypatch.setattr(machines, "leader", off)
    monkeypatch.setattr(client, "_running", lambda node: {"id": "i-1"})
    seen: dict[str, Any] = {"nodes": [{"name": "local-a1", "address": "10.0.0.1", "roles": ["sentinel"]}]}
    assert Cluster().tilted(seen) == ["local-a1"]
