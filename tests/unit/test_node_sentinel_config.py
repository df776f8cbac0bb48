"""Sentinel's settings are renewed and what it has learnt is kept; one node, once, begins a cluster."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from holdfast_node import resp, sentinel_config
from holdfast_node.identity import Identity

AS_SENTINEL, AS_NODE = resp.Credentials("sentinel", "correct horse"), resp.Credentials("node", "secret")

SETTINGS = """\
# Settings of the Sentinel of local-a1.
quorum 3

port 26379
sentinel myid aaaa
sentinel down-after-milliseconds local 600
sentinel auth-user local sentinel
sentinel auth-pass local new
"""

KEPT = """\
port 26379
sentinel myid bbbb
sentinel monitor local 10.40.16.4 6380 2
sentinel down-after-milliseconds local 9000
sentinel auth-pass local old
sentinel config-epoch local 4
sentinel leader-epoch local 5
sentinel current-epoch 5
sentinel known-replica local 10.40.0.4 6380
sentinel known-sentinel local 10.40.32.4 26379 cccc
user default on nopass sanitize-payload ~* &* +@all
"""


class Bucket:
    """The bootstrap record as the bucket keeps it: the first write wins."""

    def __init__(self, record: dict[str, str] | None = None) -> None:
        self.record = record

    def bootstrap_record(self) -> dict[str, str] | None:
        return self.record

    def claim_bootstrap(self, record: dict[str, str]) -> bool:
        if self.record is not None:
            return False
        self.record = record
        return True


@pytest.fixture(autouse=True)
def began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sentinel_config, "SETTINGS", tmp_path / "settings")
    monkeypatch.setattr(sentinel_config, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(sentinel_config, "BEGAN", tmp_path / "began")
    return tmp_path / "began"


def begin(identity: Identity, cloud: Any) -> str:
    return sentinel_config._from_record(identity, cloud)


def test_settings_are_renewed_and_what_was_learnt_is_kept_in_an_order_that_sentinel_can_read() -> None:
    assert sentinel_config.merge(SETTINGS, KEPT).splitlines() == [
        "# Settings of the Sentinel of local-a1.",
        "",
        "port 26379",
        "sentinel myid aaaa",
        "sentinel monitor local 10.40.16.4 6380 3",
        "sentinel down-after-milliseconds local 600",
        "sentinel auth-user local sentinel",
        "sentinel auth-pass local new",
        "sentinel config-epoch local 4",
        "sentinel leader-epoch local 5",
        "sentinel current-epoch 5",
        "sentinel known-replica local 10.40.0.4 6380",
        "sentinel known-sentinel local 10.40.32.4 26379 cccc",
    ]


def test_merging_again_changes_nothing() -> None:
    once = sentinel_config.merge(SETTINGS, KEPT)
    assert sentinel_config.merge(SETTINGS, once) == once


def test_a_sentinel_that_remembers_its_leader_asks_nobody(identity: Identity, tmp_path: Path) -> None:
    (tmp_path / "settings").write_text(SETTINGS)
    (tmp_path / "kept").write_text(KEPT)
    unreachable: Any = None
    sentinel_config.prepare(identity, unreachable, AS_SENTINEL, AS_NODE)
    written = (tmp_path / "kept").read_text()
    assert "sentinel monitor local 10.40.16.4 6380 3\n" in written
    assert "sentinel auth-pass local correct horse\n" in written
    assert "sentinel sentinel-user sentinel\nsentinel sentinel-pass correct horse\n" in written
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o600


def test_redis_6_0_knows_one_password_at_sentinels_and_no_users(identity: Identity, tmp_path: Path) -> None:
    (tmp_path / "settings").write_text(SETTINGS)
    (tmp_path / "kept").write_text(KEPT)
    old = dataclasses.replace(identity, since_6_2=False)
    unreachable: Any = None
    sentinel_config.prepare(old, unreachable, AS_SENTINEL, resp.Credentials("default", "battery"))
    written = (tmp_path / "kept").read_text()
    assert "sentinel auth-pass local correct horse\n" in written
    assert "requirepass battery\n" in written
    assert "sentinel-user" not in written


def test_a_new_volume_follows_whom_most_other_sentinels_name(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings").write_text(SETTINGS)
    answers = {"10.40.16.4": "10.40.32.4", "10.40.32.4": "10.40.32.4"}
    monkeypatch.setattr(resp, "Client", lambda address, *_, **__: OtherSentinel(answers[address]))
    unreachable: Any = None
    sentinel_config.prepare(identity, unreachable, AS_SENTINEL, AS_NODE)
    assert "sentinel monitor local 10.40.32.4 6380 3\n" in (tmp_path / "kept").read_text()


def test_a_new_volume_believes_no_sentinel_that_names_a_stranger(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings").write_text(SETTINGS)
    monkeypatch.setattr(resp, "Client", lambda *_, **__: OtherSentinel("10.9.9.8"))
    bucket: Any = Bucket({"leader": "10.40.16.4", "node": "local-b1", "token": "b"})
    sentinel_config.prepare(identity, bucket, AS_SENTINEL, AS_NODE)
    assert "sentinel monitor local 10.40.16.4 6380 3\n" in (tmp_path / "kept").read_text()


NOW = 1_800_000_000
FORGED = 2**64 - 1
GHOST = f"sentinel known-sentinel local 10.9.9.9 26379 {'f' * 40}\n"
B_LEADS = "sentinel monitor local 10.40.16.4 6380 3"


def start(identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str, cloud: Any) -> list[str]:
    """The lines that a Sentinel which had learnt this begins with."""
    monkeypatch.setattr(sentinel_config, "RETRY", 0)
    monkeypatch.setattr("time.time", lambda: float(NOW))
    (tmp_path / "settings").write_text(SETTINGS)
    (tmp_path / "kept").write_text(kept)
    sentinel_config.prepare(identity, cloud, AS_SENTINEL, AS_NODE)
    return (tmp_path / "kept").read_text().splitlines()


class Record:
    """What else the bucket knows: nobody else may be asked."""

    def __init__(self, leader: str | None = None, members: dict[str, str] | None = None, failures: int = 0) -> None:
        self.leader, self.there, self.failures = leader, members or {}, failures

    def last_leader(self) -> str | None:
        return self.leader

    def members(self) -> dict[str, str]:
        if self.failures:
            self.failures -= 1
            raise OSError("no route to host")
        return self.there


def test_ghosts_are_not_kept(identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_another_port = "sentinel known-sentinel local 10.40.32.4 9999 dddd\nsentinel known-replica local 10.9.9.8 6380\n"
    lines = start(identity, tmp_path, monkeypatch, KEPT + GHOST + at_another_port, None)
    assert lines == start(identity, tmp_path, monkeypatch, KEPT, None)


def test_a_forged_epoch_becomes_one_that_every_sentinel_can_count_on_from(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above every true one: a Sentinel that was away must not win with the leader that it remembers."""
    kept = KEPT.replace("current-epoch 5", f"current-epoch {FORGED}").replace(
        "leader-epoch local 5", f"leader-epoch local {FORGED}"
    )
    lines = start(identity, tmp_path, monkeypatch, kept, None)
    assert [line for line in lines if "epoch" in line] == [
        "sentinel config-epoch local 4",
        f"sentinel current-epoch {NOW}",
    ]
    assert B_LEADS in lines


def test_in_place_of_a_leader_that_is_no_node_it_begins_with_the_last_proven_one(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = KEPT.replace("monitor local 10.40.16.4 6380", "monitor local 10.9.9.8 6380")
    kept += "sentinel known-replica local 10.40.16.4 6380\n"
    lines = start(identity, tmp_path, monkeypatch, kept, Record("10.40.16.4", failures=2))
    assert B_LEADS in lines
    assert f"sentinel config-epoch local {NOW}" in lines
    assert [line for line in lines if "known-replica" in line] == ["sentinel known-replica local 10.40.0.4 6380"]


def test_a_leader_with_a_forged_epoch_is_not_believed_though_it_is_a_node(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = KEPT.replace("10.40.16.4 6380", "10.40.32.4 6380").replace(
        "config-epoch local 4", f"config-epoch local {FORGED}"
    )
    lines = start(identity, tmp_path, monkeypatch, kept, Record("10.40.16.4"))
    assert B_LEADS in lines
    assert f"sentinel config-epoch local {NOW}" in lines


def test_a_leader_of_a_newer_layout_is_no_forgery(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = KEPT.replace("10.40.16.4 6380", "10.41.0.4 6380")
    lines = start(identity, tmp_path, monkeypatch, kept, Record("10.40.16.4", {"local-d1": "10.41.0.4"}))
    assert "sentinel monitor local 10.41.0.4 6380 3" in lines
    assert "sentinel config-epoch local 4" in lines


class OtherSentinel:
    def __init__(self, leader: str) -> None:
        self.leader = leader

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def call(self, *command: str) -> list[str]:
        assert command == ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "local")
        return [self.leader, "6380"]


def test_the_first_node_begins_the_cluster(identity: Identity, began: Path) -> None:
    bucket = Bucket()
    assert begin(identity, bucket) == "10.40.0.4"
    assert bucket.record is not None
    assert (bucket.record["leader"], bucket.record["node"]) == ("10.40.0.4", "local-a1")
    assert began.read_text() == bucket.record["token"]


def test_the_second_node_follows_the_first_and_did_not_begin(identity: Identity, began: Path) -> None:
    bucket = Bucket({"leader": "10.40.16.4", "node": "local-b1", "token": "b"})
    assert begin(identity, bucket) == "10.40.16.4"
    assert not began.exists()


def test_the_loser_of_a_race_did_not_begin(identity: Identity, began: Path) -> None:
    class Race(Bucket):
        def claim_bootstrap(self, record: dict[str, str]) -> bool:
            self.record = {"leader": "10.40.16.4", "node": "local-b1", "token": "b"}
            return False

    assert begin(identity, Race()) == "10.40.16.4"
    assert not began.exists()


def test_a_crash_between_claim_and_answer_leaves_it_the_one_that_began(identity: Identity, began: Path) -> None:
    class Crash(Bucket):
        def claim_bootstrap(self, record: dict[str, str]) -> bool:
            self.record = record
            raise TimeoutError

    bucket = Crash()
    with pytest.raises(TimeoutError):
        begin(identity, bucket)
    assert begin(identity, bucket) == "10.40.0.4"
    assert bucket.record is not None
    assert began.read_text() == bucket.record["token"]


def test_a_crash_before_the_claim_leaves_the_cluster_to_whoever_is_first(identity: Identity, began: Path) -> None:
    began.write_text("of a claim that was never made")
    assert begin(identity, Bucket({"leader": "10.40.16.4", "node": "local-b1", "token": "b"})) == "10.40.16.4"
    assert not began.exists()


def test_a_lost_volume_did_not_begin_the_cluster_though_its_node_did(identity: Identity, began: Path) -> None:
    bucket = Bucket({"leader": "10.40.0.4", "node": "local-a1", "token": "of the lost volume"})
    assert begin(identity, bucket) == "10.40.0.4"
    assert not began.exists()


def test_a_refused_claim_without_a_record_to_read_begins_nothing(identity: Identity) -> None:
    class Conflict(Bucket):
        """S3 answers 409 while another write is under way."""

        def claim_bootstrap(self, record: dict[str, str]) -> bool:
            return False

    with pytest.raises(RuntimeError, match="another node is just writing it"):
        begin(identity, Conflict())


def test_a_sentinel_without_data_waits_for_a_node_with_data_to_begin(identity: Identity, began: Path) -> None:
    bucket = Bucket()
    alone = dataclasses.replace(identity, roles=["sentinel"])
    with pytest.raises(RuntimeError, match="a node with data does"):
        begin(alone, bucket)
    assert bucket.record is None
    bucket.record = {"leader": "10.40.16.4", "node": "local-b1", "token": "b"}
    assert begin(alone, bucket) == "10.40.16.4"


def test_data_without_a_sentinel_begins_the_cluster_by_itself(
    identity: Identity, began: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Flaky(Bucket):
        failures = 1

        def bootstrap_record(self) -> dict[str, str] | None:
            if self.failures:
                self.failures -= 1
                raise OSError("no route to host")
            return super().bootstrap_record()

    monkeypatch.setattr(sentinel_config, "RETRY", 0)
    bucket: Any = Flaky()
    sentinel_config.begin(dataclasses.replace(identity, roles=["data"]), bucket)
    assert bucket.record["leader"] == "10.40.0.4"
    assert began.read_text() == bucket.record["token"]
