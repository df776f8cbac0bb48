"""A host in the network, without a password. What it reaches at all: twin/cluster/test_reach.py."""

import socket
import time
from contextlib import ExitStack, closing
from functools import partial

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.ops import cloud
from holdfast.topology import Cluster as Topology
from holdfast.topology import find_environment, load_environment, ports
from holdfast.twin import client, netns
from tests.twin import forgery
from tests.twin.taken import PATIENCE, Metadata

ENVIRONMENT = load_environment(find_environment("local"))
NODES = Topology.of(ENVIRONMENT).nodes
PAIR = [str(it) for it in ENVIRONMENT.floating or ()]
ENDPOINTS = [str(it) for node in NODES for it in (node.leader_endpoint, node.replica_endpoint)]

FORGING = 2.0
"""Seconds: ten adverts of a holder, of which three that are missed end its time."""


@pytest.mark.parametrize(
    "command",
    [
        "PING",
        "HELLO 3",
        "AUTH default default",
        "AUTH app app",
        "INFO",
        "GET key",
        "CONFIG GET *",
        "CLIENT LIST",
        "MONITOR",
        "PSYNC ? -1",
        "SUBSCRIBE __sentinel__:hello",
        "PUBLISH __sentinel__:hello forged",
        "FUNCTION LIST",
    ],
)
def test_an_endpoint_answers_nothing_before_the_password(cluster: Cluster, host: str, command: str) -> None:
    for address in [*ENDPOINTS, *PAIR]:
        with closing(client.connect_from_node(host, address, ports.ENDPOINT, PATIENCE)) as connection:
            connection.sendall(f"{command}\r\n".encode())
            assert connection.recv(100).startswith((b"-NOAUTH", b"-WRONGPASS")), address


def test_the_metadata_service_tells_a_host_of_itself_alone(cluster: Cluster, host: str) -> None:
    metadata = Metadata(partial(client.connect_from_node, host))
    assert metadata.read("meta-data/iam/security-credentials/")[0] == 404
    forwarded = {"X_aws_ec2_metadata_token": metadata.token(), "X_Forwarded_For": str(NODES[0].address)}
    _, found = metadata.ask("/latest/meta-data/instance-id", **forwarded)
    filters = [{"Name": "tag:Name", "Values": [host]}, {"Name": "instance-state-name", "Values": ["running"]}]
    (reserved,) = cloud.client(ENVIRONMENT, "ec2").describe_instances(Filters=filters)["Reservations"]
    assert found == reserved["Instances"][0]["InstanceId"]


def test_who_takes_on_an_address_of_others_gets_none_of_their_sessions(healthy: Cluster, host: str) -> None:
    """By its own kernel, and by telling everybody so: an address is where the cloud says, as on AWS."""
    leads, redis = str(NODES[0].leader_endpoint), str(NODES[0].address)
    wanted = [(leads, ports.ENDPOINT), (redis, ports.REDIS)]
    namespace = _namespace(host)
    device = next(it["ifname"] for it in netns.links(namespace) if it["ifname"] != "lo")
    netns.ip(namespace, [f"address add {address}/32 dev {device}" for address, _ in wanted])
    with ExitStack() as open_:
        open_.callback(
            netns.ip, namespace, [f"address delete {address}/32 dev {device}" for address, _ in wanted], force=True
        )
        listeners = [open_.enter_context(netns.listener_in(namespace, *door)) for door in wanted]
        wire = open_.enter_context(netns.socket_in(namespace, socket.AF_PACKET, socket.SOCK_RAW))
        wire.bind((device, 0))
        for address, _ in wanted:
            wire.send(forgery.announcement(wire.getsockname()[4], address))
        for address, port in wanted:
            # Nodes do not reach endpoints, and clients do not reach Redis.
            connect = (
                partial(client.connect_from_node, NODES[1].name)
                if port == ports.REDIS
                else partial(client.connect_from_vpc, healthy.name)
            )
            with closing(connect(address, port, PATIENCE)) as connection:
                connection.sendall(b"PING\r\n")
                assert connection.recv(100).startswith(b"-NOAUTH"), address
        for listener in listeners:
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()


def test_forged_adverts_reach_no_gateway(healthy: Cluster, host: str) -> None:
    """Neither in its own name, for the group lets in gateways alone, nor in theirs, for it has not their addresses."""
    holder = healthy.status()["floating"]["gateway"]
    namespace = _namespace(host)
    with ExitStack() as open_:
        heard = {node.name: open_.enter_context(_raw(_namespace(node.name), forgery.VRRP)) for node in NODES}
        sender = open_.enter_context(_raw(namespace, socket.IPPROTO_RAW))
        mine = _address(host)
        until = time.monotonic() + FORGING
        found: list[int] = []
        while time.monotonic() < until:
            for node in NODES:
                for source in (mine, *(str(other.address) for other in NODES if other is not node)):
                    sender.sendto(forgery.advert(source, str(node.address), PAIR), (str(node.address), 0))
            time.sleep(0.05)
            found += [priority for listening in heard.values() for priority in forgery.priorities(listening)]
    assert found, "not even the holder's own were heard"
    assert forgery.PRIORITY not in found
    assert healthy.status()["floating"]["gateway"] == holder


def _namespace(machine: str) -> str:
    found: str = _state(machine)["namespace"]
    return found


def _address(machine: str) -> str:
    with closing(client.connect_from_node(machine, ENDPOINTS[0], ports.ENDPOINT, PATIENCE)) as connection:
        found: str = connection.getsockname()[0]
        return found


def _state(machine: str) -> dict[str, str]:
    (found,) = (it for it in client.request("state")["instances"] if it["name"] == machine and it["namespace"])
    return dict(found)


def _raw(namespace: str, protocol: int) -> socket.socket:
    made = netns.call(namespace, lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol))
    made.setblocking(False)
    return made
