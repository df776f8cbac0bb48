"""TLS everywhere: who may not come in is told why, and certificates change under clients that never see it."""

from __future__ import annotations

import contextlib
import ssl
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import redis

from holdfast.drill import application
from holdfast.drill.cluster import Cluster
from holdfast.drill.reach import Door, refusal
from holdfast.drill.slow import stall_leader
from holdfast.drill.steady import Application, applications
from holdfast.ops import renewal
from holdfast.ops.certs import authority
from holdfast.ops.certs.store import Place, Store, places
from holdfast.topology import Cluster as Topology
from holdfast.topology import Role, certificates, load_environment, ports
from holdfast.twin import client
from tests.twin.measured import nothing

GATEWAY, OTHER_GATEWAY = "tiered-gateway-a1", "tiered-gateway-b1"
SOURCE = GATEWAY
"""Whose machine may reach every port of the others."""
ENTRY = partial(client.connect_from_node, SOURCE)

SERVICES = ("holdfast-redis", "holdfast-haproxy", "holdfast-node", "holdfast-keepalived")
SOON = timedelta(seconds=40)
"""Longer than three machines take to be given one, a second after the other."""


@pytest.fixture(scope="module")
def topology(tiered: Cluster) -> Topology:
    return Topology.of(load_environment(Path(tiered.environment)))


@pytest.fixture(scope="module")
def doors(topology: Topology) -> dict[str, Door]:
    """What listens → where, of one machine of each role."""
    gateway = topology.node(GATEWAY)
    (data, *_), (sentinel, *_) = topology.having(Role.DATA), topology.having(Role.SENTINEL)
    return {
        "leader endpoint": (str(gateway.leader_endpoint), ports.TLS_ENDPOINT),
        "replica endpoint": (str(gateway.replica_endpoint), ports.TLS_ENDPOINT),
        "Redis": (str(data.address), ports.REDIS),
        "Sentinel": (str(sentinel.address), ports.SENTINEL),
        "statistics": (str(topology.node(OTHER_GATEWAY).address), ports.STATS),
    }


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority of somebody else, and what it signed for a client."""
    folder, now = tmp_path_factory.mktemp("stranger"), datetime.now(UTC)
    signer = authority.found("tiered", now)
    pair = authority.issue(signer, certificates.of_application("app"), now, serves=False)
    (folder / "ca.pem").write_text(signer.certificate)
    (folder / "client.pem").write_text(pair.certificate + pair.key)
    return folder


EVERY = ("leader endpoint", "replica endpoint", "Redis", "Sentinel", "statistics")
MUTUAL = EVERY[:-1]


@pytest.mark.parametrize("what", EVERY)
def test_with_the_environments_certificates_everybody_answers(
    tiered: Cluster, doors: dict[str, Door], what: str
) -> None:
    context = tiered.tls()
    assert context is not None
    context.set_alpn_protocols(["redis"])
    assert refusal(ENTRY, doors[what], context) is None


@pytest.mark.parametrize("what", EVERY)
def test_nobody_answers_in_plaintext(tiered: Cluster, doors: dict[str, Door], what: str) -> None:
    address, port = doors[what]
    with client.connect_from_node(SOURCE, address, port, 2) as connection:
        connection.sendall(b"PING\r\n")
        with contextlib.suppress(ConnectionResetError):
            # An alert of TLS at most: 21 is its type.
            assert connection.recv(100)[:1] in (b"", b"\x15")


@pytest.mark.parametrize("what", EVERY)
def test_who_believes_another_authority_is_told_so(
    tiered: Cluster, doors: dict[str, Door], stranger: Path, what: str
) -> None:
    told = refusal(ENTRY, doors[what], ssl.create_default_context(cafile=str(stranger / "ca.pem")))
    assert told is not None
    assert "CERTIFICATE_VERIFY_FAILED" in told


@pytest.mark.parametrize("what", EVERY)
def test_who_expects_another_name_is_told_so(tiered: Cluster, doors: dict[str, Door], what: str) -> None:
    context = tiered.tls()
    assert context is not None
    told = refusal(ENTRY, doors[what], context, name="elsewhere.example")
    assert told is not None
    assert "Hostname mismatch, certificate is not valid for 'elsewhere.example'" in told


@pytest.mark.parametrize("what", EVERY)
def test_an_old_protocol_is_refused(tiered: Cluster, doors: dict[str, Door], what: str) -> None:
    context = tiered.tls()
    assert context is not None
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        # Those are deprecated, which is why they are refused.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    told = refusal(ENTRY, doors[what], context)
    assert told is not None
    assert "PROTOCOL_VERSION" in told


@pytest.mark.parametrize("what", MUTUAL)
def test_a_client_without_a_certificate_is_told_that_it_needs_one(
    tiered: Cluster, doors: dict[str, Door], what: str
) -> None:
    files = tiered.exported()
    assert files is not None
    told = refusal(ENTRY, doors[what], ssl.create_default_context(cafile=str(files / "ca.pem")))
    assert told is not None
    assert "CERTIFICATE_REQUIRED" in told


@pytest.mark.parametrize("what", MUTUAL)
def test_a_client_of_another_authority_is_told_that_it_is_not_believed(
    tiered: Cluster, doors: dict[str, Door], stranger: Path, what: str
) -> None:
    files = tiered.exported()
    assert files is not None
    context = ssl.create_default_context(cafile=str(files / "ca.pem"))
    context.load_cert_chain(stranger / "client.pem")
    told = refusal(ENTRY, doors[what], context)
    assert told is not None
    assert "UNKNOWN_CA" in told


def test_keys_are_where_services_read_them_and_nowhere_else(well: Cluster, topology: Topology) -> None:
    for node in topology.nodes:
        found = well.exec(node.name, "grep", "-rlE", "BEGIN (EC )?PRIVATE KEY", "/run", "/etc/holdfast", "/var/lib")
        owners = {"node": "holdfast"}
        owners |= {"redis": "redis"} if node.roles & {Role.DATA, Role.SENTINEL} else {}
        owners |= {"haproxy": "haproxy"} if Role.GATEWAY in node.roles else {}
        assert set(found.split()) == {f"/run/holdfast/{name}.pem" for name in owners}
        for name, owner in owners.items():
            assert (
                well.exec(node.name, "stat", "--format", "%U %a", f"/run/holdfast/{name}.pem").strip() == f"{owner} 600"
            )
    folder = Path(well.environment).parent
    written = [file for file in folder.rglob("*") if file.is_file()]
    assert any(file.suffix == ".tfstate" for file in written)
    assert [file for file in written if b"PRIVATE KEY" in file.read_bytes()] == []


def serials(topology: Topology) -> dict[Door, int]:
    """Of the certificate that each port of each machine shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    found = {}
    for node in topology.nodes:
        shown = {Role.DATA: ports.REDIS, Role.SENTINEL: ports.SENTINEL, Role.GATEWAY: ports.STATS}
        for role in node.roles:
            door = str(node.address), shown[role]
            source = SOURCE if node.name != SOURCE else OTHER_GATEWAY
            with (
                client.connect_from_node(source, *door, 2) as plain,
                context.wrap_socket(plain) as connection,
            ):
                pem = ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True) or b"")
                found[door] = authority.Pair(pem, "").parsed.serial_number
    return found


def processes(cluster: Cluster) -> dict[str, str]:
    """Node → the main process of each service that need not restart."""
    return {
        node: cluster.exec(node, "systemctl", "show", "--property=Id,MainPID", *SERVICES)
        for node in cluster.instances()
    }


def test_all_certificates_change_under_writers(well: Cluster, topology: Topology) -> None:
    before, ran, leader = serials(topology), processes(well), well.status()["leader"]
    with applications([Application(gateway) for gateway in well.gateways()]) as running:
        time.sleep(1)
        said = well.holdfast("certs", "rotate", well.environment)
        time.sleep(1)
    assert [one.failures for one in running] == [[], []]
    assert all(one.writes > 50 for one in running)
    assert said.stderr.count("has a new certificate") == len(topology.nodes)
    after = serials(topology)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert processes(well) == ran
    assert well.wait_healthy()["leader"] == leader
    assert "no certificate is due" in well.holdfast("certs", "rotate", well.environment, "--due").stdout


@pytest.fixture
def store(topology: Topology) -> Store:
    return Store(topology.environment)


@pytest.mark.timed
def test_a_slow_command_ends_nobodys_session_here_either(well: Cluster) -> None:
    """Nor does it begin a storm of handshakes, each of which would take Redis' one thread as well."""
    leader, failures = stall_leader(well, 0.5)
    nothing(failures)
    assert well.status()["leader"] == leader


def place_of(topology: Topology, node: str) -> Place:
    return next(place for place in places(topology) if place.subject.name == node)


@pytest.fixture
def renewed_after(well: Cluster) -> Iterator[Cluster]:
    yield well
    well.holdfast("certs", "rotate", well.environment, "--due")
    well.wait_healthy()


def take(topology: Topology, store: Store, node: str, pair: authority.Pair) -> None:
    """Have a node use that certificate."""
    ours, place = store.authority(), place_of(topology, node)
    assert ours is not None
    store.put(place, pair, ours)
    version = store.version(place)
    has = partial(lambda version, report: report.certificate.version == version, version)
    assert renewal.renew(topology, topology.node(node), has, renewal.CERTIFICATE)


def test_those_that_have_ended_are_refused_shown_and_renewed(
    renewed_after: Cluster, topology: Topology, store: Store, doors: dict[str, Door]
) -> None:
    """Of a machine of each role, the leader's among them."""
    well, ours = renewed_after, store.authority()
    assert ours is not None
    ended = (GATEWAY, well.status()["leader"], "tiered-sentinel-a1")
    for node in ended:
        subject = place_of(topology, node).subject
        take(topology, store, node, authority.issue(ours.signer, subject, datetime.now(UTC), lasts=SOON))
    well.wait("the last one ends", lambda status: status["ended"] == sorted(ended), seconds=2 * SOON.total_seconds())
    context = well.tls()
    assert context is not None
    for what in ("leader endpoint", "Sentinel"):
        told = refusal(ENTRY, doors[what], context)
        assert told is not None
        assert "certificate has expired" in told
    status = well.holdfast("status", well.environment, check=False)
    assert status.returncode == 1
    done = well.holdfast("certs", "rotate", well.environment, "--due")
    for node in ended:
        assert f"{node}: its certificate ended at " in status.stdout
        assert f"made one for {node}: ends on " in done.stdout
    assert "no node waits for the others now" in done.stderr
    well.wait_healthy()
    assert refusal(ENTRY, doors["leader endpoint"], context) is None


def test_a_redis_under_another_name_gets_no_session(
    renewed_after: Cluster, topology: Topology, store: Store, doors: dict[str, Door]
) -> None:
    """HAProxy knows which machine it means; that the certificate is of the same authority is not enough."""
    leader, ours = renewed_after.status()["leader"], store.authority()
    assert ours is not None
    right = place_of(topology, leader).subject
    wrong = certificates.Subject(OTHER_GATEWAY, (OTHER_GATEWAY,), right.addresses)
    take(topology, store, leader, authority.issue(ours.signer, wrong, datetime.now(UTC)))
    context = renewed_after.tls()
    assert context is not None
    assert refusal(ENTRY, doors["leader endpoint"], context) == "closed"
    done = renewed_after.holdfast("certs", "rotate", renewed_after.environment, "--due")
    assert f"made one for {leader}: for other names or addresses" in done.stdout
    assert refusal(ENTRY, doors["leader endpoint"], context) is None


def test_another_authority_takes_over(single: Cluster) -> None:
    single.wait_healthy()
    with application.running(single.environment) as machine:
        of_old = single.pair(machine)
        single.holdfast("certs", "rotate", single.environment, "--authority", "--grace", "0s")
        single.wait_healthy()
        with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            of_old.connect(of_old.leader).ping()
        single.forget_exported()
        assert single.pair(machine).connect(of_old.leader).ping()
