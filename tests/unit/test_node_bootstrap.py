"""A Sentinel on a new volume is told whom to monitor; one node, once, begins a cluster."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from holdfast_node import bootstrap, resp
from holdfast_node.identity import Identity


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
    monkeypatch.setattr(bootstrap, "FIRST_LEADER", tmp_path / "first-leader")
    monkeypatch.setattr(bootstrap, "BEGAN", tmp_path / "began")
    monkeypatch.setattr(bootstrap, "RETRY", 0)
    return tmp_path / "began"


def begin(identity: Identity, cloud: Any) -> str:
    return bootstrap._from_record(identity, cloud)


def as_node() -> resp.Credentials:
    return resp.Credentials("node", "secret")


def test_a_volume_that_knows_whom_to_monitor_asks_nobody(identity: Identity, tmp_path: Path) -> None:
    (tmp_path / "first-leader").write_text("10.40.16.4")
    unreachable: Any = None
    bootstrap.begin(identity, unreachable, unreachable)
    assert (tmp_path / "first-leader").read_text() == "10.40.16.4"


def test_a_new_volume_follows_whom_most_other_sentinels_name(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"10.40.16.4": "10.40.32.4", "10.40.32.4": "10.40.32.4"}
    monkeypatch.setattr(resp, "Client", lambda address, *_, **__: OtherSentinel(answers[address]))
    unreachable: Any = None
    bootstrap.begin(identity, unreachable, as_node)
    assert (tmp_path / "first-leader").read_text() == "10.40.32.4"


def test_a_disk_that_is_full_for_a_moment_does_not_leave_sentinel_dead(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, write = [OSError(28, "No space left on device")], bootstrap.write_for_all

    def full(file: Path, content: str) -> None:
        if failures:
            raise failures.pop()
        write(file, content)

    monkeypatch.setattr(bootstrap, "write_for_all", full)
    monkeypatch.setattr(resp, "Client", lambda *_, **__: OtherSentinel("10.40.32.4"))
    unreachable: Any = None
    bootstrap.begin(identity, unreachable, as_node)
    assert (tmp_path / "first-leader").read_text() == "10.40.32.4"


def test_a_new_volume_believes_no_sentinel_that_names_a_stranger(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resp, "Client", lambda *_, **__: OtherSentinel("10.9.9.8"))
    bucket: Any = Bucket({"leader": "10.40.16.4", "node": "local-b1", "token": "b"})
    bootstrap.begin(identity, bucket, as_node)
    assert (tmp_path / "first-leader").read_text() == "10.40.16.4"


def test_where_no_other_sentinel_answers_the_record_says_it_and_sentinel_may_read_that(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(resp, "Client", refused)
    bucket: Any = Bucket({"leader": "10.40.16.4", "node": "local-b1", "token": "b"})
    bootstrap.begin(identity, bucket, as_node)
    assert (tmp_path / "first-leader").read_text() == "10.40.16.4"
    assert (tmp_path / "first-leader").stat().st_mode & 0o777 == 0o644


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


def test_data_without_a_sentinel_begins_the_cluster_by_itself(identity: Identity, began: Path) -> None:
    class Flaky(Bucket):
        failures = 1

        def bootstrap_record(self) -> dict[str, str] | None:
            if self.failures:
                self.failures -= 1
                raise OSError("no route to host")
            return super().bootstrap_record()

    bucket: Any = Flaky()
    bootstrap.begin(dataclasses.replace(identity, roles=["data"]), bucket, as_node)
    assert bucket.record["leader"] == "10.40.0.4"
    assert began.read_text() == bucket.record["token"]


STRANGE = {
    "a stranger": "10.9.9.8",
    "lines of configuration": "10.40.16.4 6380 1\nsentinel known-sentinel local 10.9.9.8 26379 f",
    "nothing": "",
    "garbage": "\x00\x1b" * 1000,
}


@pytest.mark.parametrize("left", STRANGE.values(), ids=STRANGE)
def test_what_a_machine_in_other_hands_left_on_the_volume_is_found_anew(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    """Its successor would log in at a stranger."""
    (tmp_path / "first-leader").write_text(left)
    monkeypatch.setattr(resp, "Client", lambda *_, **__: OtherSentinel("10.40.32.4"))
    unreachable: Any = None
    bootstrap.begin(identity, unreachable, as_node)
    assert (tmp_path / "first-leader").read_text() == "10.40.32.4"


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both the file and the one that is written before it."""
    (tmp_path / "elsewhere").write_text("kept")
    for name in ("first-leader", ".first-leader.new"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(resp, "Client", lambda *_, **__: OtherSentinel("10.40.32.4"))
    unreachable: Any = None
    bootstrap.begin(identity, unreachable, as_node)
    assert (tmp_path / "elsewhere").read_text() == "kept"
    assert not (tmp_path / "first-leader").is_symlink()
    assert (tmp_path / "first-leader").read_text() == "10.40.32.4"


def test_a_record_that_names_no_node_is_not_followed(identity: Identity) -> None:
    with pytest.raises(RuntimeError, match=r"names 10\.9\.9\.8, which is no node"):
        begin(identity, Bucket({"leader": "10.9.9.8", "node": "local-b1", "token": "b"}))
