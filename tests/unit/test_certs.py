"""Certificates are for whom they say, made when it is time, and taken node by node."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from holdfast import cli
from holdfast.ops import renewal, reports, vault
from holdfast.ops.certs import authority, rotation
from holdfast.ops.certs.authority import Authority, Pair
from holdfast.ops.certs.store import Store, places
from holdfast.ops.reports import Certificate, Report
from holdfast.topology import Cluster, Environment, certificates, load_environment, names
from holdfast.topology.certificates import DUE, LASTS
from holdfast.topology.load import ENVIRONMENTS
from tests.unit.test_failover import report

NOW = datetime.now(UTC)
NO_GRACE = timedelta(0)


@pytest.fixture
def signer() -> Pair:
    return authority.found("prod", NOW)


@pytest.fixture
def subject(prod: Environment) -> certificates.Subject:
    cluster = Cluster.of(prod)
    return certificates.of_node(cluster, cluster.nodes[0])


def test_a_gateways_certificate_is_for_all_that_its_clients_say(subject: certificates.Subject) -> None:
    domain = "prod.holdfast.internal"
    labels = ("prod-a1", "leader", "replica", "floating-leader", "floating-replica")
    assert subject.dns == ("prod-a1", *(f"{label}.{domain}" for label in labels))
    assert [str(address) for address in subject.addresses[:4]] == ["10.60.0.4", "10.60.0.5", "10.60.0.6", "127.0.0.1"]
    assert len(subject.addresses) == 6


def test_one_without_endpoints_is_for_its_own_name_alone() -> None:
    cluster = Cluster.of(load_environment(ENVIRONMENTS / "examples" / "tiered.yaml"))
    data = certificates.of_node(cluster, cluster.node("tiered-data-a1"))
    assert data.dns == ("tiered-data-a1", "tiered-data-a1.tiered.holdfast.internal")
    assert len(data.addresses) == 2


def test_what_is_issued_is_of_the_authority_and_signs_nothing_itself(
    signer: Pair, subject: certificates.Subject
) -> None:
    made = authority.issue(signer, subject, NOW)
    made.parsed.verify_directly_issued_by(signer.parsed)
    with pytest.raises((ValueError, InvalidSignature)):
        made.parsed.verify_directly_issued_by(authority.found("prod", NOW).parsed)
    constraints = made.parsed.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca
    assert made.ends - NOW.replace(microsecond=0) == LASTS


def test_an_applications_certificate_serves_nobody(signer: Pair) -> None:
    made = authority.issue(signer, certificates.of_application("app"), NOW, serves=False)
    uses = made.parsed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [use.dotted_string for use in uses] == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string]
    with pytest.raises(x509.ExtensionNotFound):
        made.parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_one_is_made_anew_when_it_is_time_of_another_authority_or_for_other_names(
    signer: Pair, subject: certificates.Subject
) -> None:
    made = authority.issue(signer, subject, NOW)
    assert authority.why_anew(made, signer, subject, NOW) is None
    assert authority.why_anew(made, signer, subject, NOW + LASTS - DUE - timedelta(days=1)) is None
    late = authority.why_anew(made, signer, subject, NOW + LASTS - DUE + timedelta(days=1))
    assert late == f"ends on {NOW + LASTS:%Y-%m-%d}"
    assert authority.why_anew(made, authority.found("prod", NOW), subject, NOW) == "of another authority"
    moved = certificates.Subject(subject.name, ("elsewhere",), subject.addresses)
    assert authority.why_anew(made, signer, moved, NOW) == "for other names or addresses"


# From here on: the commands, against a cloud with a place for each secret and nodes that obey.


def boto(service: str) -> Any:
    return boto3.client(service, region_name="eu-central-1")


@pytest.fixture
def file(prod: Environment, tmp_path: Path) -> Path:
    """`prod`, with TLS for whoever has a certificate."""
    written = tmp_path / "prod.yaml"
    text = (ENVIRONMENTS / "prod.yaml").read_text()
    written.write_text(text.replace("tls: required", "tls: {mode: required, mutual: true}"))
    return written


@pytest.fixture
def cluster(file: Path) -> Cluster:
    environment = load_environment(file)
    found = Cluster.of(environment)
    for name in (names.authority(environment), *(place.secret for place in places(found))):
        boto("secretsmanager").create_secret(Name=name)
    region = {"LocationConstraint": "eu-central-1"}
    boto("s3").create_bucket(Bucket=names.bucket(environment), CreateBucketConfiguration=region)
    return found


class Nodes:
    """Machines that take their certificate when they are told to."""

    def __init__(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cluster, self.store = cluster, Store(cluster.environment)
        self.secrets = {place.subject.name: place for place in places(cluster) if place.node}
        self.known = {name: self.current(name) for name in self.secrets}
        self.deaf, self.told = set[str](), list[str]()
        self.ended = list[str]()
        monkeypatch.setattr(reports, "fetch", self.fetch)
        monkeypatch.setattr(
            renewal.status, "work_out", lambda *_: SimpleNamespace(ailing=self.ailing, ended=self.ended)
        )
        monkeypatch.setattr(renewal, "POLL", 0)
        self.ailing = list[str]()

    def current(self, name: str) -> str:
        return self.store.version(self.secrets[name]) or ""

    def fetch(self, environment: Environment) -> dict[str, Report]:
        listed = boto("s3").list_objects_v2(Bucket=names.bucket(environment), Prefix="orders/")
        for one in listed.get("Contents", []):
            order = json.load(boto("s3").get_object(Bucket=names.bucket(environment), Key=one["Key"])["Body"])
            if order["node"] not in self.deaf:
                self.told.append(order["node"])
                self.known[order["node"]] = self.current(order["node"])
        return {name: self.report(name) for name in self.known}

    def report(self, name: str) -> Report:
        made = report(name, str(self.cluster.node(name).address), "replica")
        return Report(**{**vars(made), "certificate": Certificate(self.known[name], NOW.isoformat())})


@pytest.fixture
def nodes(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    rotation.ensure(cluster)
    return Nodes(cluster, monkeypatch)


def test_everybody_gets_one_of_the_same_authority_once(cluster: Cluster) -> None:
    made = rotation.ensure(cluster)
    assert made == dict.fromkeys(("prod-a1", "prod-b1", "prod-c1", "app"), "there was none")
    store = Store(cluster.environment)
    ours = store.authority()
    assert ours is not None
    for place in places(cluster):
        there = store.read(place)
        assert there is not None
        there.pair.parsed.verify_directly_issued_by(ours.signer.parsed)
    assert rotation.ensure(cluster) == {}
    assert store.authority() == ours


def test_a_node_gets_no_key_but_its_own(cluster: Cluster) -> None:
    rotation.ensure(cluster)
    ours = Store(cluster.environment).authority()
    assert ours is not None
    for place in places(cluster):
        content = boto("secretsmanager").get_secret_value(SecretId=place.secret)["SecretString"]
        assert ours.signer.key.splitlines()[1] not in content
        assert set(json.loads(content)) == {"certificate", "key", "ca", "ends"}


def test_without_the_stack_that_makes_the_places_it_is_named(file: Path) -> None:
    with pytest.raises(vault.NoSecret, match=r"no secret holdfast/prod/tls/authority; it comes with the stack prod-id"):
        rotation.ensure(Cluster.of(load_environment(file)))


def test_all_are_made_anew_and_each_node_is_told_once(cluster: Cluster, nodes: Nodes) -> None:
    said = list[str]()
    before = dict(nodes.known)
    made = rotation.rotate(cluster, said.append, due=False)
    assert set(made.values()) == {"asked for"}
    assert nodes.told == ["prod-a1", "prod-b1", "prod-c1"]
    assert said == [f"{name} has a new certificate" for name in nodes.told]
    assert all(nodes.known[name] == nodes.current(name) != before[name] for name in before)


def test_what_is_due_alone_is_made_and_an_interrupted_renewal_goes_on(cluster: Cluster, nodes: Nodes) -> None:
    assert rotation.rotate(cluster, lambda _: None, due=True) == {}
    assert nodes.told == []
    place, ours = nodes.secrets["prod-b1"], nodes.store.authority()
    assert ours is not None
    nodes.store.put(place, authority.issue(ours.signer, place.subject, NOW, lasts=timedelta(days=30)), ours)
    # As if the command had ended between making one and telling the node.
    newer = nodes.secrets["prod-c1"]
    nodes.store.put(newer, authority.issue(ours.signer, newer.subject, NOW), ours)
    made = rotation.rotate(cluster, lambda _: None, due=True)
    assert list(made) == ["prod-b1"]
    assert nodes.told == ["prod-b1", "prod-c1"]


@pytest.mark.usefixtures("seconds_fly")
def test_a_node_that_takes_none_stops_it(cluster: Cluster, nodes: Nodes) -> None:
    nodes.deaf.add("prod-b1")
    with pytest.raises(renewal.NotTaken, match="prod-b1 did not take a new certificate within 60 s; its journal says"):
        rotation.rotate(cluster, lambda _: None, due=False)
    assert nodes.told == ["prod-a1"]


@pytest.mark.usefixtures("seconds_fly")
def test_where_certificates_have_ended_one_lost_node_does_not_hold_up_the_others(
    cluster: Cluster, nodes: Nodes
) -> None:
    nodes.deaf.add("prod-a1")
    nodes.ended = ["prod-a1", "prod-b1", "prod-c1"]
    with pytest.raises(renewal.NotTaken, match="prod-a1 did not take a new certificate"):
        rotation.rotate(cluster, lambda _: None, due=False)
    assert nodes.told == ["prod-b1", "prod-c1"]


def test_no_authority_is_founded_where_one_was_lost(cluster: Cluster, nodes: Nodes) -> None:
    name = names.authority(cluster.environment)
    boto("secretsmanager").delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    boto("secretsmanager").create_secret(Name=name)
    told = f"prod: prod-a1 has a certificate, and the authority that signed it is gone; bring it back: .* {name}"
    with pytest.raises(rotation.NoAuthority, match=told):
        rotation.ensure(cluster)


def test_an_authority_that_ends_is_said_and_nothing_lasts_longer_than_it(
    cluster: Cluster, nodes: Nodes, subject: certificates.Subject
) -> None:
    long_ago = NOW - authority.AUTHORITY_LASTS + timedelta(days=50)
    signer = authority.found("prod", long_ago)
    made = authority.issue(signer, subject, NOW)
    assert made.ends == signer.ends
    assert authority.why_anew(made, signer, subject, NOW) is None
    nodes.store.change(Authority(signer))
    said = list[str]()
    rotation.rotate(cluster, said.append, due=True)
    assert f"the authority ends on {signer.ends:%Y-%m-%d}; replace it: holdfast certs rotate prod --authority" in said


def test_a_cluster_that_is_not_healthy_changes_nothing_unless_certificates_have_ended(
    cluster: Cluster, nodes: Nodes
) -> None:
    nodes.ailing = ["no leader"]
    with pytest.raises(renewal.NotTaken, match="prod is not healthy, so no certificate changes now: no leader"):
        rotation.rotate(cluster, lambda _: None, due=False)
    assert nodes.told == []
    nodes.ended = ["prod-a1"]
    said = list[str]()
    rotation.rotate(cluster, said.append, due=False)
    assert said[0] == "certificates have ended: no node waits for the others now"
    assert nodes.told == ["prod-a1", "prod-b1", "prod-c1"]


def believers(nodes: Nodes) -> dict[str, set[str]]:
    """Node → the certificates of whom it believes."""
    found = {}
    for name, place in nodes.secrets.items():
        kept = nodes.store.read(place)
        assert kept is not None
        found[name] = set(kept.trusted.split("-----BEGIN CERTIFICATE-----\n")[1:])
    return found


@pytest.mark.parametrize("interrupted_after", [0, 2, 4, 7, None])
def test_another_authority_signs_only_when_everybody_believes_it(
    cluster: Cluster, nodes: Nodes, interrupted_after: int | None
) -> None:
    """Whatever a node shows at any moment, all others believe: also when the command ends in the middle."""
    old = nodes.store.authority()
    assert old is not None
    fetch = nodes.fetch

    def checked(environment: Environment) -> dict[str, Report]:
        found = fetch(environment)
        for believed in believers(nodes).values():
            for place in nodes.secrets.values():
                kept = nodes.store.read(place)
                assert kept is not None
                assert any(_signed(kept.pair, pem) for pem in believed)
        if interrupted_after is not None and len(nodes.told) > interrupted_after:
            raise KeyboardInterrupt
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reports, "fetch", checked)
        if interrupted_after is None:
            rotation.replace_authority(cluster, NO_GRACE, lambda _: None)
        else:
            with pytest.raises(KeyboardInterrupt):
                rotation.replace_authority(cluster, NO_GRACE, lambda _: None)
    if interrupted_after is not None:
        said = list[str]()
        rotation.replace_authority(cluster, NO_GRACE, said.append)
        assert "goes on with another authority, which was interrupted" in said
    new = nodes.store.authority()
    assert new is not None
    assert (new.following, new.last) == (None, None)
    assert new.signer != old.signer
    assert all(len(believed) == 1 for believed in believers(nodes).values())
    assert all(nodes.known[name] == nodes.current(name) for name in nodes.known)


def _signed(pair: Pair, pem: str) -> bool:
    try:
        pair.parsed.verify_directly_issued_by(Pair(f"-----BEGIN CERTIFICATE-----\n{pem}", "").parsed)
    except (ValueError, InvalidSignature):
        return False
    return True


def test_both_graces_are_given_and_said(cluster: Cluster, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    waited, said = list[float](), list[str]()
    monkeypatch.setattr(rotation.time, "sleep", waited.append)
    rotation.replace_authority(cluster, timedelta(minutes=3), said.append)
    assert [seconds for seconds in waited if seconds > 1] == [180.0, 180.0]
    assert sum("clients believe in the new authority by then" in sentence for sentence in said) == 1


def test_a_client_gets_its_files_readable_by_nobody_else(
    cluster: Cluster, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "folder"
    assert cli.main(["certs", "export", str(file), str(folder)]) == 1
    assert "app has no certificate yet; make it: holdfast certs ensure prod" in capsys.readouterr().err
    rotation.ensure(cluster)
    folder.mkdir(parents=True)
    (folder / "client-key.pem").touch(0o644)
    assert cli.main(["certs", "export", str(file), str(folder)]) == 0
    assert {one.name: one.stat().st_mode & 0o777 for one in folder.iterdir()} == {
        "ca.pem": 0o600,
        "client.pem": 0o600,
        "client-key.pem": 0o600,
    }
    signer = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    x509.load_pem_x509_certificate((folder / "client.pem").read_bytes()).verify_directly_issued_by(signer)
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    assert cli.main(["certs", "export", str(file), str(in_the_way)]) == 1
    assert f"{in_the_way} cannot be written: File exists; name another folder" in capsys.readouterr().err


def test_the_list_says_when_each_ends_and_never_a_key(
    cluster: Cluster, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["certs", "list", str(file)]) == 0
    assert capsys.readouterr().out.count("there is none yet") == 5
    rotation.ensure(cluster)
    capsys.readouterr()
    assert cli.main(["certs", "list", str(file)]) == 0
    shown = capsys.readouterr().out
    assert shown.count(f"{NOW + LASTS:%Y-%m-%d}") == 4
    assert "PRIVATE" not in shown
    assert cli.main(["certs", "list", str(file), "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["the authority", "prod-a1", "prod-b1", "prod-c1", "app"]


def test_an_environment_without_tls_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["certs", "ensure", "local"]) == 2
    assert (
        "local has no certificates; accepted: an environment with tls: optional or required" in capsys.readouterr().err
    )
