"""What a node says of its software, and the document that is made of what all say."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from holdfast_node import software

from holdfast import cli
from holdfast.ops import reports, sbom
from holdfast.ops.reports import Report, Software, Unreadable
from holdfast.topology import Cluster, Environment

RECORD = """\
Package: redis-server
Status: install ok installed
Version: 5:7.0.15-1~deb12u1
Description: a server
 with Package: nonsense in
 its text

Package: haproxy
Status: deinstall ok config-files
Version: 2.6.12-1

Package: vim
Status: install ok installed
Version: 2:9.0
"""


def test_a_node_reads_what_is_installed_and_sees_an_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "status"
    monkeypatch.setattr(software, "DPKG", record)
    record.write_text(RECORD)
    assert software.installed("ami-1") == {
        "kernel": os.uname().release,
        "image": "ami-1",
        "packages": {"redis-server": "5:7.0.15-1~deb12u1"},
    }
    record.write_text(RECORD.replace("deinstall ok config-files", "install ok installed").replace("u1", "u2"))
    os.utime(record, (1, 1))
    assert software.installed(None)["packages"] == {"haproxy": "2.6.12-1", "redis-server": "5:7.0.15-1~deb12u2"}
    record.unlink()
    assert software.installed(None)["packages"] == {}


def report(node: str, kernel: str = "6.1.0-28-cloud-amd64", **more: Any) -> Report:
    packages = {"redis-server": "5:7.0.15-1~deb12u1", "haproxy": "2.6.12-1+deb12u1"}
    values: dict[str, Any] = {
        "node": node,
        "instance_id": "i-1",
        "age": 1.0,
        "ready": True,
        "decision": "leads",
        "address": "10.60.0.4",
        "role": "leader",
        "version": "7.0.15",
        "offset": 1,
        "replicas": (),
        "named_leader": None,
        "program": "f" * 64,
        "software": Software(kernel, "ami-0123456789abcdef0", packages),
    }
    return Report(**(values | more))


def test_each_component_stands_once_with_the_nodes_that_have_it(prod: Environment) -> None:
    seen = {
        "prod-a1": report("prod-a1"),
        "prod-b1": report("prod-b1", kernel="6.1.0-29-cloud-amd64"),
        "prod-c1": report("prod-c1"),
    }
    made = sbom.document(Cluster.of(prod), seen)
    nodes = {it["bom-ref"]: [of["value"] for of in it["properties"]] for it in made["components"]}
    everywhere = ["prod-a1", "prod-b1", "prod-c1"]
    assert nodes == {
        "debian-12@ami-0123456789abcdef0": everywhere,
        f"holdfast-node@{'f' * 64}": everywhere,
        "linux@6.1.0-28-cloud-amd64": ["prod-a1", "prod-c1"],
        "linux@6.1.0-29-cloud-amd64": ["prod-b1"],
        "pkg:deb/debian/haproxy@2.6.12-1%2Bdeb12u1?distro=debian-12": everywhere,
        "pkg:deb/debian/redis-server@5%3A7.0.15-1~deb12u1?distro=debian-12": everywhere,
    }
    assert (made["bomFormat"], made["specVersion"], sbom.unknown(made)) == ("CycloneDX", "1.6", [])
    (program,) = (it for it in made["components"] if it["name"] == "holdfast-node")
    assert program["hashes"] == [{"alg": "SHA-256", "content": "f" * 64}]
    assert made == sbom.document(Cluster.of(prod), seen), "the same software gives the same document"


def test_who_says_nothing_is_named_and_not_left_out(
    prod: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = {
        "prod-a1": report("prod-a1"),
        "prod-b1": Unreadable("nonsense"),
        "prod-c1": report("prod-c1", software=None),
    }
    monkeypatch.setattr(reports, "fetch", lambda _: seen)
    assert cli.main(["sbom", "prod"]) == 1
    said = capsys.readouterr()
    assert sbom.unknown(json.loads(said.out)) == ["prod-b1", "prod-c1"]
    assert "prod: nothing is known of prod-b1, prod-c1" in said.err
