"""Whoever owns a node writes what it likes into its report: that costs this node its report, and others nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import asdict
from io import StringIO
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from rich.text import Text

from holdfast import cli
from holdfast.ops import cloud, failover, gate, renewal, reports
from holdfast.ops.reports import LARGEST, Report, Unreadable
from holdfast.plain import Terminal, plain
from holdfast.topology import Cluster, Environment, names

REPORT: dict[str, Any] = {
    "version": 1,
    "node": "prod-b1",
    "zone": "b",
    "instance_id": "i-0123456789abcdef0",
    "program": "f" * 64,
    "address": "10.60.16.4",
    "reported_at": 1763600000.123,
    "roles": ["data", "gateway", "sentinel"],
    "decision": "follows 10.60.0.4, which a majority names",
    "ready": True,
    "redis": {
        "role": "replica",
        "version": "7.0.15",
        "offset": 1234,
        "leader": "10.60.0.4",
        "link": "up",
        "silent_s": 0.5,
        "aside": {"file": "/var/lib/holdfast/aside/20261125T181402Z.rdb", "bytes": 88214, "at": 1763600000.0},
        "killed": {"at": 1763600000.0, "limit_mib": 1664},
        "replicas": [{"address": "10.60.32.4", "offset": 1230, "state": "online", "lag_s": 0}],
    },
    "sentinel": {"leader": "10.60.0.4", "known": 3, "agreeing": 3, "tilt": False},
    "gateway": {
        "proven_leader": "10.60.0.4",
        "haproxy": True,
        "floating": False,
        "routes": [{"table": "rtb-1", "destination": "10.60.0.0/16", "interface": "eni-1", "instance": "i-1"}],
    },
    "order": {"id": "7d0e4c5a", "done": True, "says": "handed over to 10.60.0.4"},
    "secrets": {"app": ["7d0e"], "node": ["91c2", "44fa"]},
    "certificate": {"version": "5b1f", "ends": "2027-11-26T05:00:00+00:00"},
    "software": {
        "kernel": "6.1.0-28-cloud-amd64",
        "image": "ami-0123456789abcdef0",
        "packages": {"redis-server": "5:7.0.15-1~deb12u1"},
    },
}
"""As in node/README.md."""

HEALTHY_LEADER = REPORT | {
    "node": "prod-a1",
    "address": "10.60.0.4",
    "redis": {"role": "leader", "version": "7.0.15", "offset": 7, "replicas": []},
}

ESC = "\x1b]0;owned\x07\x1b[2J"


def read(content: bytes) -> Report | Unreadable:
    return reports.read(content, node="prod-b1", others={"10.60.0.4": "prod-a1"}, age=1.0)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The report with another value there."""
    content = copy.deepcopy(REPORT)
    *parents, last = path.split(".")
    place: Any = content
    for key in parents:
        place = place[int(key) if isinstance(place, list) else key]
    place[int(last) if isinstance(place, list) else last] = value
    return content


def strings(value: Any, path: str = "") -> Iterator[str]:
    """Where in the report there is text."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from strings(inner, f"{path}.{key}" if path else str(key))


def test_a_node_is_read_at_the_address_that_it_had_before_the_file_gave_it_another() -> None:
    found = read(json.dumps(changed("address", "10.77.16.4")).encode())
    assert isinstance(found, Report)
    assert found.address == "10.77.16.4"


def texts(value: Any) -> Iterator[str]:
    """All text in it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in (*value, *value.values()) if isinstance(value, dict) else value:
            yield from texts(inner)


def test_a_nodes_own_report_is_read_and_unknown_fields_are_ignored() -> None:
    found = read(json.dumps(REPORT | {"new": {"field": 1}}).encode())
    assert isinstance(found, Report)
    assert (found.node, found.role, found.offset, found.named_leader) == ("prod-b1", "replica", 1234, "10.60.0.4")
    assert found.replicas == (reports.Replica("10.60.32.4", 1230, True),)
    assert found.killed == reports.Killed(at=1763600000.0, limit_mib=1664)
    assert found.aside == reports.Aside("/var/lib/holdfast/aside/20261125T181402Z.rdb", bytes=88214, at=1763600000.0)
    assert found.routes == (reports.Route("rtb-1", "10.60.0.0/16", "eni-1", "i-1"),)
    assert found.order == reports.OrderAnswer("7d0e4c5a", True, "handed over to 10.60.0.4")
    assert found.secrets == {"app": ["7d0e"], "node": ["91c2", "44fa"]}
    assert found.certificate == reports.Certificate("5b1f", "2027-11-26T05:00:00+00:00")


BROKEN = {
    "empty": b"",
    "{}": b"{}",
    "[]": b"[]",
    "null": b"null",
    "not JSON": b"hello",
    "not UTF-8": json.dumps(REPORT).encode().replace(b"follows", b"\xff\xfe"),
    "half a surrogate": json.dumps(changed("decision", "x")).encode().replace(b'"x"', rb'"\ud800"'),
    "deep": b"[" * 30_000,
    "deep in a field": json.dumps(REPORT).encode()[:-1] + b', "more": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "NaN": json.dumps(changed("redis.silent_s", float("nan"))).encode(),
    "infinite": json.dumps(changed("redis.aside.at", float("inf"))).encode(),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_no_report_is_told_as_such(content: bytes) -> None:
    found = read(content)
    assert isinstance(found, Unreadable)
    assert found.says.startswith("its report cannot be read: ")
    assert len(found.says) < 300


REFUSED = {"user": "app", "what": "command", "name": "CLIENT LIST", "count": 3, "at": 1763600000}


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("node", "prod-a1", "node: found prod-a1; accepted: prod-b1"),
        ("address", "10.60.0.4", "address: found 10.60.0.4, which is that of prod-a1"),
        ("address", "10.60.16", "address: found '10.60.16'; accepted: "),
        ("ready", "true", "ready: found 'true'; accepted: a valid boolean"),
        ("redis.offset", "12", "redis.offset: found '12'; accepted: a valid integer"),
        ("redis.offset", 2**63, "redis.offset: found 9223372036854775808; accepted: less than or equal to "),
        ("redis.silent_s", "1", "redis.silent_s: found '1'; accepted: a valid number"),
        ("redis.aside.at", 1e18, "redis.aside.at: found 1e+18; accepted: less than or equal to 4294967296"),
        ("redis.killed.limit_mib", -1, "redis.killed.limit_mib: found -1; accepted: greater than or equal to 0"),
        ("redis.killed.at", 1e18, "redis.killed.at: found 1e+18; accepted: less than or equal to 4294967296"),
        ("redis.aside.bytes", -1, "redis.aside.bytes: found -1; accepted: greater than or equal to 0"),
        ("redis.refused", [REFUSED | {"user": "a b"}], "redis.refused.0.user: found 'a b'; accepted: "),
        ("redis.refused", [REFUSED | {"what": ""}], "redis.refused.0.what: found ''; accepted: "),
        ("redis.refused", [REFUSED | {"name": "x; run: y"}], "redis.refused.0.name: found 'x; run: y'; accepted: "),
        ("redis.refused", [REFUSED | {"count": -1}], "redis.refused.0.count: found -1; accepted: "),
        ("redis.role", "king", "redis.role: found 'king'; accepted: 'leader', 'replica', "),
        ("redis.replicas", {}, "redis.replicas: found {}; accepted: a valid array"),
        ("redis.replicas.0", [], "redis.replicas.0: found []; accepted: "),
        ("sentinel", None, "sentinel: found None; accepted: "),
        ("secrets", {"app": "7d0e"}, "secrets.app: found '7d0e'; accepted: a valid array"),
        ("secrets", {"app": [1]}, "secrets.app.0: found 1; accepted: a valid string"),
        ("certificate.ends", "soon", "certificate.ends: found 'soon'; accepted: "),
        ("certificate.ends", "2027-11-26", "certificate.ends: found '2027-11-26'; accepted: "),
        ("order.done", 1, "order.done: found 1; accepted: a valid boolean"),
    ],
)
def test_a_field_of_another_type_or_out_of_bounds_is_named(path: str, value: Any, says: str) -> None:
    found = read(json.dumps(changed(path, value)).encode())
    assert isinstance(found, Unreadable)
    assert says in found.why


@pytest.mark.parametrize("path", sorted(strings(REPORT)))
def test_no_text_of_a_report_reaches_a_terminal_unescaped(path: str) -> None:
    for unsafe in (ESC, "\x9b2J", "\u202e"):
        found = read(json.dumps(changed(path, f"10.0.0.1{unsafe}")).encode())
        shown = [found.why] if isinstance(found, Unreadable) else list(texts(asdict(found)))
        assert [text for text in shown if plain(text) != text] == []


def test_a_name_of_a_users_password_is_no_way_to_the_terminal_either() -> None:
    found = read(json.dumps(REPORT | {"secrets": {ESC: ["7d0e"]}}).encode())
    assert isinstance(found, Unreadable)
    assert plain(found.why) == found.why


def test_a_sentence_that_is_too_long_is_cut() -> None:
    found = read(json.dumps(changed("decision", "x" * 5000)).encode())
    assert isinstance(found, Report)
    assert found.decision == "x" * 1000


@pytest.fixture
def put(prod: Environment) -> Any:
    """Puts an object into the environment's bucket."""
    s3, bucket = boto3.client("s3", region_name="eu-central-1"), names.bucket(prod)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket=bucket, Key="reports/prod-a1.json", Body=json.dumps(HEALTHY_LEADER))

    def put(content: bytes, key: str = "reports/prod-b1.json") -> None:
        s3.put_object(Bucket=bucket, Key=key, Body=content)

    return put


@pytest.mark.parametrize("content", [*BROKEN.values(), b" " * (LARGEST + 1)], ids=[*BROKEN, "huge"])
def test_one_bad_report_is_shown_and_stops_nothing(
    prod: Environment, put: Any, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    put(content)
    assert cli.main(["status", "prod"]) == 1
    shown = capsys.readouterr().out
    assert "prod-b1: its report cannot be read: " in shown
    assert "prod-a1: follows 10.60.0.4, which a majority names" in shown, "the others are shown as before"
    assert cli.main(["status", "prod", "--json"]) == 1
    of_b = json.loads(capsys.readouterr().out)["nodes"][1]
    assert (of_b["name"], of_b["role"], of_b["healthy"]) == ("prod-b1", "unknown", False)
    assert of_b["says"].startswith("its report cannot be read: ")


def test_what_cannot_be_read_is_no_report_wherever_safety_matters(prod: Environment, put: Any) -> None:
    put(b"{}")
    cluster, seen = Cluster.of(prod), reports.fetch(prod)
    (reason,) = gate.waiting_for({"prod-b1": "i-0123456789abcdef0"}, seen)
    assert reason.startswith("prod-b1 (i-0123456789abcdef0): its report cannot be read: ")
    with pytest.raises(renewal.NotTaken, match="prod-b1: unknown, its report cannot be read: "):
        renewal.wait_healthy(cluster, renewal.PASSWORD)
    with pytest.raises(failover.NotPossible):
        failover.plan(cluster, seen, "prod-b1")


def test_a_gate_stays_closed_and_says_why(prod: Environment, put: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(b"null")
    monkeypatch.setattr(gate, "POLL", 0.01)
    with pytest.raises(gate.GateClosed, match="its report cannot be read: the whole: found None"):
        gate.hold(prod, {"prod-b1": "i-1"}, 0.05, lambda _: None)
    with pytest.raises(gate.GateClosed, match="its report cannot be read"):
        gate.hold_whole(prod, 0.05, lambda _: None)


def test_a_report_speaks_for_the_node_of_its_key_alone(prod: Environment, put: Any) -> None:
    put(json.dumps(HEALTHY_LEADER | {"decision": "forged"}).encode())
    put(b"{}", "reports/\x1b[2J.json")
    found = reports.fetch(prod)
    assert isinstance(found["prod-a1"], Report)
    assert found["prod-a1"].decision != "forged"
    assert isinstance(found["prod-b1"], Unreadable)
    assert set(found) == {"prod-a1", "prod-b1"}


@pytest.fixture
def refuse(prod: Environment, put: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has S3 answer with an error where a key contains something."""
    put(json.dumps(REPORT).encode())
    s3 = cloud.client(prod, "s3")
    get = s3.get_object

    def refuse(code: str, where: str) -> None:
        def answer(**asked: Any) -> Any:
            if where in asked["Key"]:
                raise ClientError({"Error": {"Code": code, "Message": "says S3"}}, "GetObject")
            return get(**asked)

        monkeypatch.setattr(s3, "get_object", answer)
        monkeypatch.setattr(cloud, "client", lambda *_: s3)

    return refuse


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidRequest", "KMS.DisabledException"])
def test_an_object_that_nobody_else_can_read_stops_nobody(prod: Environment, refuse: Any, code: str) -> None:
    refuse(code, "b1")
    found = reports.fetch(prod)
    assert isinstance(found["prod-a1"], Report)
    assert isinstance(found["prod-b1"], Unreadable)
    assert code in found["prod-b1"].why


def test_a_report_that_has_gone_meanwhile_is_none(prod: Environment, refuse: Any) -> None:
    refuse("NoSuchKey", "b1")
    assert list(reports.fetch(prod)) == ["prod-a1"]


@pytest.mark.parametrize(
    ("code", "where", "says"),
    [
        ("AccessDenied", "", "failed for all of them: .*AccessDenied.*; it takes s3:GetObject in holdfast-prod-"),
        ("SlowDown", "b1", "reading the nodes' reports failed at AWS in eu-central-1: .*SlowDown"),
        ("ExpiredToken", "b1", "ExpiredToken"),
    ],
)
def test_what_ails_the_reader_is_no_nodes_fault(
    prod: Environment, refuse: Any, code: str, where: str, says: str
) -> None:
    refuse(code, where)
    with pytest.raises(cloud.CloudError, match=says):
        reports.fetch(prod)


@pytest.mark.parametrize(
    "unsafe", ["\x00", "\x1b[31m", "\x9b31m", "\x7f", "\u202e", "\u2066", "\u200f", "\u2028", "\r"]
)
def test_what_a_terminal_would_obey_is_shown_instead(unsafe: str) -> None:
    assert plain(f"a{unsafe}b") == "a" + unsafe[0].encode("unicode_escape").decode() + unsafe[1:] + "b"
    console = Terminal(file=StringIO(), force_terminal=True, width=200)
    console.print(Text(f"a{unsafe}b"), f"c{unsafe}d\ne", markup=False)
    assert isinstance(console.file, StringIO)
    assert unsafe not in console.file.getvalue()
    assert "d\ne" in console.file.getvalue()


def test_a_terminals_own_colours_stay() -> None:
    console = Terminal(file=StringIO(), force_terminal=True, color_system="standard", width=200)
    console.print("bad", style="red")
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue() == "\x1b[31mbad\x1b[0m\n"


def test_text_in_any_language_is_shown_as_it_is() -> None:
    assert plain("Zürich → 東京 – ⚠️ “ok”") == "Zürich → 東京 – ⚠️ “ok”"
