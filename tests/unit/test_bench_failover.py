"""The benchmark's pure parts: what the peers' machines get, what is kept of every run, and what is made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import peers
from bench.failover import page, picture, runs
from bench.failover.__main__ import arguments
from bench.failover.runs import Run
from bench.idle import percentages
from holdfast.errors import HoldfastError
from holdfast.topology import Cluster, find_environment, load_environment

PAIR = ["gateway", "leader-and-gateway"]

RUN = Run("quiq", "frozen", 7.6, True, 900, 3, 0, 0, "2 cores, Linux", "2026-11-25T18:00:00")

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def cluster() -> Cluster:
    return Cluster.of(load_environment(find_environment("local")))


def files(cluster: Cluster, peer: str, node: int = 1) -> dict[str, str]:
    """File name → text, on the given node of a cluster that the first one leads."""
    found = next(one for one in peers.PEERS if one.name == peer)
    rendered = peers.render(found, cluster, cluster.nodes[node], cluster.nodes[0])
    return {Path(path).name: text for path, text in rendered.items()}


@pytest.mark.parametrize(
    ("peer", "down_after", "failover_timeout", "parallel_syncs"),
    [
        ("tutorial", 15000, 30000, 1),
        ("quiq", 5000, 180000, 2),
        ("redis-ha", 10000, 180000, 5),
        ("railway", 5000, 30000, 1),
    ],
)
def test_each_peer_has_its_own_time_outs(
    cluster: Cluster, peer: str, down_after: int, failover_timeout: int, parallel_syncs: int
) -> None:
    lines = files(cluster, peer)["sentinel.conf"].splitlines()
    assert "sentinel monitor local 10.40.0.4 6380 2" in lines
    assert f"sentinel down-after-milliseconds local {down_after}" in lines
    assert f"sentinel failover-timeout local {failover_timeout}" in lines
    assert f"sentinel parallel-syncs local {parallel_syncs}" in lines


@pytest.mark.parametrize(
    ("peer", "checks"),
    [
        ("tutorial", ["    server local-c1 10.40.32.4:6380 check inter 1s"]),
        (
            "quiq",
            [
                "    default-server inter 500 rise 1 fall 1 on-marked-down shutdown-sessions",
                "    server local-c1 10.40.16.4:6380 check addr 10.40.32.4 port 26379",
                "    use_backend local-b1 if local-a1-is-down local-c1-is-down",
            ],
        ),
        (
            "redis-ha",
            [
                "    server local-c1 10.40.32.4:6380 check inter 1s fall 1 rise 1",
                "    use-server local-c1 if { srv_is_up(local-c1) } { nbsrv(named-local-c1) ge 2 }",
            ],
        ),
        (
            "railway",
            [
                "    default-server fall 2 rise 2 on-marked-down shutdown-sessions",
                "    server 10.40.32.4 10.40.32.4:6380 check inter 3s fastinter 500ms downinter 500ms",
            ],
        ),
    ],
)
def test_each_peer_has_its_own_checks_at_the_same_endpoint(cluster: Cluster, peer: str, checks: list[str]) -> None:
    lines = files(cluster, peer)["haproxy.cfg"].splitlines()
    assert "    bind 10.40.16.5:6379" in lines
    assert set(checks) <= set(lines)


def test_no_peer_asks_for_more_connections_than_a_machine_has_files_for(cluster: Cluster) -> None:
    # HAProxy opens two for each, and does not start with more than the 20000 that a machine of the twin may open.
    asked = {peer.name: files(cluster, peer.name)["haproxy.cfg"] for peer in peers.PEERS}
    found = {name: [line.strip() for line in text.splitlines() if "maxconn" in line] for name, text in asked.items()}
    assert found == {
        "tutorial": ["maxconn 8000"],
        "quiq": ["maxconn 8000"],
        "redis-ha": [],
        "railway": ["maxconn 8000"],
    }


@pytest.mark.parametrize("peer", ["quiq", "redis-ha", "railway"])
def test_those_who_ask_for_a_replica_do(cluster: Cluster, peer: str) -> None:
    assert {"min-replicas-to-write 1", "min-replicas-max-lag 5"} <= set(files(cluster, peer)["redis.conf"].splitlines())
    assert "min-replicas" not in files(cluster, "tutorial")["redis.conf"]


@pytest.mark.parametrize(
    ("peer", "leader", "replica"),
    [
        ("tutorial", [], ["replicaof 10.40.0.4 6380"]),
        ("railway", [], ["replicaof 10.40.0.4 6380"]),
        # Follows itself, whoever it is.
        ("quiq", ["replicaof 127.0.0.1 1"], ["replicaof 127.0.0.1 1"]),
    ],
)
def test_a_redis_that_restarts_has_the_role_of_its_file(
    cluster: Cluster, peer: str, leader: list[str], replica: list[str]
) -> None:
    for node, expected in ((0, leader), (1, replica)):
        lines = files(cluster, peer, node)["redis.conf"].splitlines()
        assert [line for line in lines if line.startswith("replicaof")] == expected


def test_every_peer_restarts_its_redis_in_its_own_time(cluster: Cluster) -> None:
    found = {
        peer.name: [line for line in files(cluster, peer.name)["peer-redis.service"].splitlines() if "Restart" in line]
        for peer in peers.PEERS
    }
    assert found == {
        "tutorial": ["Restart=always", "RestartSec=100ms"],
        "quiq": ["Restart=always", "RestartSec=100ms"],
        "redis-ha": ["Restart=always", "RestartSec=1s"],
        "railway": ["Restart=always", "RestartSec=1s"],
    }


def test_a_run_is_kept_at_once_and_stays_when_the_next_one_is_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "failover.json"
    runs.keep(RUN, file)
    # What a run leaves that was killed while it wrote.
    file.with_suffix(".new").write_text("[{")
    assert runs.load(file) == [RUN]
    assert runs.keep(replace(RUN, seconds=8.0), file) == [RUN, replace(RUN, seconds=8.0)]
    assert len(file.read_text().splitlines()) == 4


def test_of_one_fault_with_one_settings_the_newest_twenty_stay(tmp_path: Path) -> None:
    file = tmp_path / "failover.json"
    runs.keep(replace(RUN, fault="killed"), file)
    for number in range(22):
        runs.keep(replace(RUN, seconds=float(number)), file)
    kept = runs.load(file)
    assert [run.seconds for run in kept if run.fault == "frozen"] == [float(number) for number in range(2, 22)]
    assert [run.fault for run in kept][0] == "killed"


@pytest.mark.parametrize("content", ["{", '[{"settings": "quiq"}]', "[3]"])
def test_a_file_that_is_no_list_of_runs_is_refused_by_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "failover.json"
    file.write_text(content)
    with pytest.raises(HoldfastError, match=r"failover\.json: no list of runs"):
        runs.load(file)


def test_of_twenty_runs_the_99th_percentile_is_the_worst_and_the_counts_are_the_worst() -> None:
    some = [replace(RUN, seconds=float(number), lost=number % 7) for number in range(20, 0, -1)]
    found = runs.outcome([*some, replace(RUN, fault="killed", seconds=99)], "quiq", "frozen")
    assert found == runs.Outcome(runs=20, p50=10.0, p99=20.0, ended=True, lost=6, lost_with_wait=0, doubled=0)
    assert runs.outcome(some, "railway", "frozen") is None


def test_the_page_shows_seconds_losses_and_how_many_runs_they_are_of() -> None:
    text = page.text([RUN, replace(RUN, seconds=121.5, ended=False, lost=0, lost_with_wait=2, doubled=40)])
    rows = [line for line in text.splitlines() if line.startswith("| Quiq")]
    assert rows == [
        "| Quiq's HA Redis | – | – | 7.60 / > 121.50 (2) | – | – | – |",
        "| Quiq's HA Redis | – | – | 3 / 2 / 40 | – | – | – |",
    ]
    assert text.endswith("\nMeasured on 2 cores, Linux, 2026-11-25.\n")


def test_the_page_shows_what_the_loss_of_the_floating_pairs_gateway_cost() -> None:
    text = page.text([replace(RUN, settings="holdfast", fault="gateway", seconds=1.25, lost=1)] * 20)
    assert "| floating pair's gateway lost | 1.25 / 1.25 | 2 | 1 / 0 |\n" in text
    assert "| leader and the floating pair's gateway lost together | – | 2.5 | – |\n" in text


def test_the_page_counts_no_runs_where_all_twenty_are_there() -> None:
    assert "| Quiq's HA Redis | – | – | 7.60 / 7.60 | – | – | – |" in page.text([RUN] * 20)


def test_the_scale_is_logarithmic_from_a_tenth_of_a_second_to_a_hundred() -> None:
    positions = [picture.position(seconds) for seconds in (0.01, 0.1, 1, 10, 100, 1000)]
    assert positions == [210.0, 210.0, 403.3, 596.7, 790.0, 790.0]


def test_the_picture_has_a_row_for_each_of_the_settings_under_each_fault() -> None:
    drawn = ElementTree.fromstring(picture.svg([RUN, replace(RUN, seconds=10.0)]))
    rows = drawn.findall(f"{SVG}g")
    assert [row.get("class") for row in rows] == ["ours", "theirs", "theirs", "theirs", "theirs"] * 6
    # The third of the third fault.
    row = rows[12]
    assert [text.text for text in row.iter(f"{SVG}text")] == ["Quiq's HA Redis", "7.60 / 10.00 s, lost 3"]
    assert [dot.get("cx") for dot in row.iter(f"{SVG}circle")] == ["573.6"]
    assert [line.get("x2") for line in row.iter(f"{SVG}line")] == ["596.7", "596.7"]
    assert sum("not measured" in (text.text or "") for text in drawn.iter(f"{SVG}text")) == 29


def test_page_and_picture_are_made_of_what_is_kept() -> None:
    kept = runs.load()
    assert (runs.DOCS / "failover.md").read_text() == page.text(kept)
    assert (runs.DOCS / "failover.svg").read_text() == picture.svg(kept)


def test_all_of_it_is_measured_twenty_times_unless_somebody_chooses() -> None:
    everything = arguments([])
    assert everything.settings == ["holdfast", "tutorial", "quiq", "redis-ha", "railway"]
    assert everything.faults == ["killed", "dead", "frozen", "power-cut", "isolated", "planned", *PAIR]
    assert everything.runs == 20
    chosen = arguments(["--settings", "quiq", "--faults", "killed", "frozen", "--runs", "3"])
    assert (chosen.settings, chosen.faults, chosen.runs) == (["quiq"], ["killed", "frozen"], 3)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--runs", "0"], "'0': accepted is 1 to 20"),
        (["--runs", "many"], "'many': accepted is 1 to 20"),
        (["--settings", "redis"], "invalid choice: 'redis'"),
        (["--faults", "kill"], "invalid choice: 'kill'"),
    ],
)
def test_what_cannot_be_measured_is_refused(given: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        arguments(given)
    assert stopped.value.code == 2
    assert says in capsys.readouterr().err


def test_what_an_idle_node_spends_is_the_share_of_one_core_by_part() -> None:
    before = {"holdfast-sentinel.service": 1_000_000, "holdfast-node.service": 5_000_000}
    after = {"holdfast-sentinel.service": 1_300_000, "holdfast-node.service": 5_600_000}
    assert percentages(before, after, 60) == {"Sentinel": 0.5, "node program": 1.0}


@pytest.mark.parametrize("after", [{}, {"holdfast-node.service": 10}], ids=["stopped", "restarted"])
def test_a_node_whose_parts_restart_is_not_idle(after: dict[str, int]) -> None:
    with pytest.raises(HoldfastError, match=r"holdfast-node\.service: started, stopped or restarted meanwhile"):
        percentages({"holdfast-node.service": 20}, after, 60)
