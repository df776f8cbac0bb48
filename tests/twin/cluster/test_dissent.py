"""Sentinels that learnt of two leaders in the same epoch agree again, without another failover."""

from __future__ import annotations

import pytest

from holdfast.drill.cluster import Cluster

CONFIG = "/var/lib/holdfast/sentinel/sentinel.conf"

AGREE_WITHIN = 60.0
"""Seconds: six for which one must dissent, up to ten until its Sentinel may be restarted, and what that takes."""


@pytest.mark.timed
def test_one_that_names_another_leader_in_the_same_epoch_is_set_right(healthy: Cluster) -> None:
    before = healthy.status()
    leader = before["leader"]
    addresses = {node["name"]: node["address"] for node in before["nodes"]}
    other, dissenting = (name for name in addresses if name != leader)
    said = (f"sentinel monitor local {addresses[leader]} ", f"sentinel monitor local {addresses[other]} ")
    known = (f"known-replica local {addresses[other]} ", f"known-replica local {addresses[leader]} ")
    swap = " ".join(f"-e 's/{old}/{new}/'" for old, new in (said, known))
    stop, start = "systemctl stop holdfast-sentinel", "systemctl start holdfast-sentinel"
    healthy.exec(dissenting, "sh", "-c", f"{stop} && sed -i {swap} {CONFIG}; {start}")
    healthy.wait("one Sentinel names another", lambda seen: seen["sentinels"] == {"agreeing": 2, "total": 3}, 10, 3)
    healthy.wait("all agree", lambda seen: seen["sentinels"] == {"agreeing": 3, "total": 3}, AGREE_WITHIN, 5)
    after = healthy.status()
    assert (after["leader"], after["healthy"]) == (leader, True)
    journal = healthy.exec(dissenting, "journalctl", "-b", "-o", "cat", "-u", "holdfast-sentinel")
    assert f"named {addresses[other]}, and a majority {addresses[leader]}: begins with that one" in journal
