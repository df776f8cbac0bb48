"""Sentinel's settings are renewed, and what it has learnt is kept."""

from pathlib import Path

import pytest
from holdfast_node import sentinel_config, told
from holdfast_node.identity import Identity

LOGINS = "sentinel auth-pass local correct horse\nsentinel sentinel-pass correct horse\n"

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


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where its files are, on a volume that has none of its own yet."""
    for name, content in {"settings": SETTINGS, "logins": LOGINS, "first_leader": "10.40.32.4"}.items():
        (tmp_path / name).write_text(content)
        monkeypatch.setattr(sentinel_config, name.upper(), tmp_path / name)
    monkeypatch.setattr(sentinel_config, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(told, "FILE", tmp_path / "told.json")
    monkeypatch.setattr(told, "OUTVOTED", tmp_path / "outvoted.json")
    return tmp_path


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


def test_a_sentinel_goes_on_with_the_leader_that_it_remembers(identity: Identity, folder: Path) -> None:
    (folder / "kept").write_text(KEPT)
    (folder / "first_leader").unlink()
    sentinel_config.prepare(identity)
    written = (folder / "kept").read_text()
    assert "sentinel monitor local 10.40.16.4 6380 3\n" in written
    assert "sentinel auth-pass local correct horse\n" in written
    assert "sentinel sentinel-pass correct horse\n" in written
    assert (folder / "kept").stat().st_mode & 0o777 == 0o600


def test_one_that_remembers_nothing_monitors_whom_it_is_told(identity: Identity, folder: Path) -> None:
    sentinel_config.prepare(identity)
    assert "sentinel monitor local 10.40.32.4 6380 3\n" in (folder / "kept").read_text()


NOW = 1_800_000_000
FORGED = 2**64 - 1
GHOST = f"sentinel known-sentinel local 10.9.9.9 26379 {'f' * 40}\n"
B_LEADS = "sentinel monitor local 10.40.16.4 6380 3"


def start(identity: Identity, folder: Path, monkeypatch: pytest.MonkeyPatch, kept: str) -> list[str]:
    """The lines that a Sentinel which had learnt this begins with."""
    monkeypatch.setattr("time.time", lambda: float(NOW))
    (folder / "kept").write_text(kept)
    sentinel_config.prepare(identity)
    return (folder / "kept").read_text().splitlines()


def test_ghosts_are_not_kept(identity: Identity, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_another_port = "sentinel known-sentinel local 10.40.32.4 9999 dddd\nsentinel known-replica local 10.9.9.8 6380\n"
    lines = start(identity, folder, monkeypatch, KEPT + GHOST + at_another_port)
    assert lines == start(identity, folder, monkeypatch, KEPT)


def test_a_forged_epoch_becomes_one_that_every_sentinel_can_count_on_from(
    identity: Identity, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above every true one: a Sentinel that was away must not win with the leader that it remembers."""
    kept = KEPT.replace("current-epoch 5", f"current-epoch {FORGED}").replace(
        "leader-epoch local 5", f"leader-epoch local {FORGED}"
    )
    lines = start(identity, folder, monkeypatch, kept)
    assert [line for line in lines if "epoch" in line] == [
        "sentinel config-epoch local 4",
        f"sentinel current-epoch {NOW}",
    ]
    assert B_LEADS in lines


def test_in_place_of_a_leader_that_is_no_node_it_begins_with_the_last_proven_one(
    identity: Identity, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = KEPT.replace("monitor local 10.40.16.4 6380", "monitor local 10.9.9.8 6380")
    kept += "sentinel known-replica local 10.40.16.4 6380\n"
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        """The node program has read the bucket meanwhile."""
        waited.append(seconds)
        told.tell({}, "10.40.16.4")

    monkeypatch.setattr("time.sleep", sleep)
    lines = start(identity, folder, monkeypatch, kept)
    assert len(waited) == 1
    assert B_LEADS in lines
    assert f"sentinel config-epoch local {NOW}" in lines
    assert [line for line in lines if "known-replica" in line] == ["sentinel known-replica local 10.40.0.4 6380"]


def test_a_leader_with_a_forged_epoch_is_not_believed_though_it_is_a_node(
    identity: Identity, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = KEPT.replace("10.40.16.4 6380", "10.40.32.4 6380").replace(
        "config-epoch local 4", f"config-epoch local {FORGED}"
    )
    told.tell({}, "10.40.16.4")
    lines = start(identity, folder, monkeypatch, kept)
    assert B_LEADS in lines
    assert f"sentinel config-epoch local {NOW}" in lines


def test_a_leader_of_a_newer_layout_is_no_forgery(
    identity: Identity, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = KEPT.replace("10.40.16.4 6380", "10.41.0.4 6380")
    told.tell({"local-d1": "10.41.0.4"}, "10.40.16.4")
    lines = start(identity, folder, monkeypatch, kept)
    assert "sentinel monitor local 10.41.0.4 6380 3" in lines
    assert "sentinel config-epoch local 4" in lines


def test_where_nobody_is_known_to_have_led_it_begins_as_on_a_new_volume(
    identity: Identity, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.tell({}, None)
    lines = start(identity, folder, monkeypatch, KEPT.replace("10.40.16.4 6380", "10.9.9.8 6380"))
    assert "sentinel monitor local 10.40.32.4 6380 3" in lines
    assert "sentinel config-epoch local 0" in lines


SENSELESS = {
    "another name": "sentinel monitor other 10.40.16.4 6380 2\nsentinel known-replica other 10.40.0.4 6380",
    "twice": "sentinel monitor local 10.40.16.4 6380 2",
    "another twice": "sentinel known-sentinel local 10.40.32.4 26379 dddd",
    "no number": "sentinel leader-epoch local many",
    "a line that ends": "sentinel monitor local",
    "a word more": "sentinel known-replica local 10.40.0.4 6380 x",
}


@pytest.mark.parametrize("line", SENSELESS.values(), ids=SENSELESS)
def test_what_a_sentinel_would_not_start_with_is_not_kept(
    identity: Identity, folder: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """A machine in other hands left it there for its successor."""
    lines = start(identity, folder, monkeypatch, KEPT)
    assert start(identity, folder, monkeypatch, f"{KEPT}{line}\n") == lines


def test_garbage_in_place_of_what_it_learnt_is_as_nothing(
    identity: Identity, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "kept").write_bytes(b"\xff\xfe\x00sentinel monitor\n" * 100)
    sentinel_config.prepare(identity)
    assert "sentinel monitor local 10.40.32.4 6380 3\n" in (folder / "kept").read_text()


@pytest.mark.parametrize(
    ("outvoted", "leader", "epoch"),
    [
        (told.Outvoted("10.40.16.4", 4, "10.40.0.4"), "10.40.0.4", 4),
        (told.Outvoted("10.40.16.4", 3, "10.40.0.4"), "10.40.16.4", 4),
        (told.Outvoted("10.40.32.4", 4, "10.40.0.4"), "10.40.16.4", 4),
    ],
    ids=["as it is told", "named anew since", "it names another"],
)
def test_one_that_was_outvoted_in_the_same_epoch_begins_with_the_leader_of_the_majority(
    identity: Identity, folder: Path, outvoted: told.Outvoted, leader: str, epoch: int
) -> None:
    """Since the same epoch: with a lower one it would adopt the leader of another one that dissents. That it has voted
    it does not forget."""
    told.tell_outvoted(outvoted)
    (folder / "kept").write_text(KEPT)
    sentinel_config.prepare(identity)
    lines = (folder / "kept").read_text().splitlines()
    assert [line for line in lines if line.startswith("sentinel monitor")] == [
        f"sentinel monitor local {leader} 6380 3"
    ]
    assert [line for line in lines if line.startswith("sentinel config-epoch")] == [
        f"sentinel config-epoch local {epoch}"
    ]
    assert {"sentinel leader-epoch local 5", "sentinel current-epoch 5"} <= set(lines)
    replicas = [line.split()[3] for line in lines if line.startswith("sentinel known-replica")]
    assert replicas == ["10.40.0.4" if leader == "10.40.16.4" else "10.40.16.4"]
