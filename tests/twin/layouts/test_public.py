"""Endpoints on the internet: for who is listed, with TLS, at their public addresses, and nothing else for anybody."""

from __future__ import annotations

import ssl
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
import yaml

from holdfast.drill import reach
from holdfast.drill.cluster import Cluster
from holdfast.drill.deploy import deploy
from holdfast.topology import Cluster as Topology
from holdfast.topology import load_environment, ports
from holdfast.twin import client, netns, outside
from tests.twin.conftest import Judge
from tests.twin.environments import OFFICE, Others
from tests.twin.layouts.test_layouts import OUTAGE, lose_leader
from tests.twin.measured import in_time

INSIDE = str(IPv4Network(OFFICE)[3])
BESIDE = str(IPv4Network(OFFICE).broadcast_address + 1)
"""A machine that is next to those which are listed."""

FROM_OFFICE, FROM_BESIDE = (partial(client.connect_from_outside, source) for source in (INSIDE, BESIDE))


def public_addresses(cluster: Cluster) -> list[str]:
    found = cluster.endpoints()
    return [*found["leader"]["public_addresses"], *found["replica"]["public_addresses"]]


def test_who_is_listed_reaches_the_endpoints_with_tls_and_nothing_else(well: Cluster) -> None:
    addresses = public_addresses(well)
    assert len(set(addresses)) == 4
    tried = reach.listening(well)
    assert reach.reached(FROM_OFFICE, addresses, tried) == dict.fromkeys(addresses, {ports.TLS_ENDPOINT})
    assert reach.reached(FROM_BESIDE, addresses, tried) == {}


def test_private_addresses_are_nowhere_on_the_internet(well: Cluster) -> None:
    topology = Topology.of(load_environment(Path(well.environment)))
    private = [str(address) for node in topology.nodes for address in node.addresses]
    assert reach.reached(FROM_OFFICE, private, {ports.TLS_ENDPOINT, ports.REDIS, ports.SENTINEL}) == {}


def test_no_machine_reaches_the_internet_by_it(well: Cluster) -> None:
    """Not even who is listed: what may come may not be called."""
    with netns.listener_in(outside.NAMESPACE, INSIDE, 443):
        topology = Topology.of(load_environment(Path(well.environment)))
        for node in topology.nodes:
            found = reach.reached(partial(client.connect_from_node, node.name), [INSIDE], {443})
            assert found == {}, node.name


def test_a_client_on_the_internet_verifies_writes_and_reads(well: Cluster) -> None:
    for gateway in well.public_gateways(INSIDE):
        with gateway.connect(gateway.leader) as leader, gateway.connect(gateway.replica) as replica:
            assert leader.set("from", "outside")
            assert leader.wait(1, 1000) == 1
            assert replica.get("from") == "outside"


def test_a_client_on_the_internet_needs_a_certificate(well: Cluster) -> None:
    files = well.exported()
    assert files is not None
    without = ssl.create_default_context(cafile=str(files / "ca.pem"))
    for address in public_addresses(well):
        told = reach.refusal(FROM_OFFICE, (address, ports.TLS_ENDPOINT), without)
        assert told is not None
        assert "CERTIFICATE_REQUIRED" in told


@pytest.mark.timed
def test_a_lost_leader_is_replaced_for_the_internet_too(well: Cluster, judge: Judge) -> None:
    verdict = lose_leader(well, judge, "tiered, from the internet", "kill", well.public_gateways(INSIDE))
    assert verdict.problems == ()
    in_time(verdict, OUTAGE, leaders=2)


@pytest.fixture
def published(others: Others, single: Cluster) -> Cluster:
    """`single`, which runs, gets public addresses by a change of its file and a deploy."""
    before = single.wait_healthy()
    assert single.endpoints()["leader"]["public_addresses"] == []
    file = Path(single.environment)
    content = yaml.safe_load(file.read_text())
    content["network"] |= {"public": True, "clients": [content["network"]["cidr"], OFFICE]}
    file.write_text(yaml.safe_dump(content))
    done = deploy(others.environ, "single")
    assert done.returncode == 0, done.stdout + done.stderr
    after = single.wait_healthy()
    assert [node["instance_id"] for node in after["nodes"]] == [node["instance_id"] for node in before["nodes"]]
    return single


def test_public_addresses_come_to_machines_that_run(published: Cluster) -> None:
    """Their certificates too; and the plaintext port of `tls: optional` stays inside of the network."""
    addresses = public_addresses(published)
    assert {IPv4Address(address) in IPv4Network("198.18.0.0/15") for address in addresses} == {True}
    tried = {ports.ENDPOINT, ports.TLS_ENDPOINT}
    assert reach.reached(FROM_OFFICE, addresses, tried) == dict.fromkeys(addresses, {ports.TLS_ENDPOINT})
    (gateway,) = published.public_gateways(INSIDE)
    with gateway.connect(gateway.leader) as leader:
        assert leader.ping()
