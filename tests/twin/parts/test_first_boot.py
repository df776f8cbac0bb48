"""First boot of a stock image, by a node's own user-data: with a bucket, and with mirrors that are away.

Needs root. Boots one Debian 12; touches no machine but its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

from holdfast.drill.waiting import wait_until
from holdfast.ops import gate, reports
from holdfast.ops.reports import Report
from holdfast.rendering import user_data
from holdfast.rendering.program import program
from holdfast.topology import Cluster, find_environment, load_environment
from holdfast.topology.spec import Images
from holdfast.twin import images, machines
from tests.twin.parts.machine import running


def test_a_mirror_that_is_away_is_in_the_report_for_the_gate_and_on_the_console(tmp_path: Path) -> None:
    local = load_environment(find_environment("local")).model_copy(update={"images": Images.STOCK})
    cluster = Cluster.of(local)
    node = cluster.node("local-a1")
    (tmp_path / "user-data").write_bytes(user_data(cluster, node))
    file = tmp_path / "report.json"
    (tmp_path / "node.pyz").write_bytes(program().content)
    bucket = [sys.executable, str(Path(__file__).with_name("small_bucket.py")), str(file), str(tmp_path / "node.pyz")]
    with running("14", images.of("debian-12", baked=False), tmp_path / "user-data", *bucket) as machine:

        def said() -> str:
            report = reports.read(file.read_bytes(), node=node.name, others={}, age=1.0) if file.exists() else None
            assert report is None or isinstance(report, Report)
            return "; ".join(gate.waiting_for({node.name: machine.id}, {node.name: report} if report else {}))

        away = f"{node.name} ({machine.id}) is not ready: first boot: a package mirror cannot be used: Failed to fetch "
        wait_until(lambda: said().startswith(away), 120, lambda: f"{away}; last seen: {said()}")
        console = machines.console_log(machine.id).read_text(errors="replace")
        assert "first boot: a package mirror cannot be used: Failed to fetch http" in console
