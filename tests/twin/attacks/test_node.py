"""Who has a node has its role's keys, and no more than that role is for. The roles of `tiered`: twin/layouts."""

import hashlib
import itertools
import socket
from contextlib import closing
from functools import partial

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.ops import cloud
from holdfast.topology import Cluster as Topology
from holdfast.topology import Node, find_environment, load_environment, names, ports, users
from holdfast.twin import client
from tests.twin import taken
from tests.twin.passwords import password
from tests.twin.taken import Taken, lacking

ENVIRONMENT = load_environment(find_environment("local"))
NODES = Topology.of(ENVIRONMENT).nodes
ELSEWHERE = "100.127.0.0/32"
AT_REDIS = ["PING", "INFO", "CONFIG GET *", "REPLICAOF NO ONE", "PSYNC ? -1", "PUBLISH __sentinel__:hello forged"]
AT_SENTINEL = ["PING", "SENTINEL MASTERS", "SENTINEL FAILOVER local", "SENTINEL RESET *", "SENTINEL SET local quorum 1"]


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_the_keys_of_a_node_open_nothing_of_others(cluster: Cluster, node: Node) -> None:
    other = next(it for it in NODES if it is not node)
    tried = list(taken.attempts(_taken(node), other))
    assert len(tried) >= 15
    assert [(what, found) for what, found, expected in tried if found != expected] == []


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_the_keys_of_a_node_read_no_password_of_an_application_or_of_a_person(cluster: Cluster, node: Node) -> None:
    """It has the hashes of these, by which it lets them in, and nothing that it could say elsewhere."""
    secrets, everybody = _taken(node).client("secretsmanager"), [user.name for user in users.of(ENVIRONMENT)]
    came = {user: lacking(secrets.get_secret_value, SecretId=names.secret(ENVIRONMENT, user)) for user in everybody}
    allowed = {user for user, what in came.items() if what == "allowed"}
    assert allowed == {"node", "replication", "sentinel"}
    assert {came[user] for user in {*everybody} - allowed} == {"secretsmanager:GetSecretValue"}
    for user in everybody:
        found = secrets.describe_secret(SecretId=names.secret(ENVIRONMENT, user))
        assert "SecretString" not in found
        hashes = [tag["Value"] for tag in found["Tags"] if tag["Key"].startswith(names.HASH_TAG)]
        assert hashlib.sha256(password(ENVIRONMENT, user).encode()).hexdigest() in hashes


def test_a_gateway_moves_no_route_of_another_environment(cluster: Cluster) -> None:
    ec2 = cloud.client(ENVIRONMENT, "ec2")
    (network,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Environment", "Values": ["local"]}])["Vpcs"]
    table = ec2.create_route_table(VpcId=network["VpcId"])["RouteTable"]["RouteTableId"]
    try:
        node = _taken(NODES[0])
        (mine,) = ec2.describe_network_interfaces(Filters=[{"Name": "tag:Node", "Values": [node.node.name]}])[
            "NetworkInterfaces"
        ]
        route = {
            "RouteTableId": table,
            "DestinationCidrBlock": ELSEWHERE,
            "NetworkInterfaceId": mine["NetworkInterfaceId"],
        }
        ec2.create_route(**route)
        assert lacking(node.client("ec2").replace_route, **route) == "ec2:ReplaceRoute"
    finally:
        ec2.delete_route_table(RouteTableId=table)


@pytest.mark.parametrize(
    ("port", "command"),
    [*((ports.REDIS, it) for it in AT_REDIS), *((ports.SENTINEL, it) for it in AT_SENTINEL)],
    ids=lambda value: str(value),
)
def test_a_process_without_passwords_commands_no_redis_and_no_sentinel(
    cluster: Cluster, port: int, command: str
) -> None:
    """Neither those of its own node nor another one's."""
    for source, target in itertools.product(NODES[:2], repeat=2):
        said = _said(source, target, port, command)
        assert said.startswith(b"-NOAUTH"), f"{source.name} to {target.name}: {said!r}"


@pytest.mark.parametrize("login", ["", "Authorization: Basic bWV0cmljczptZXRyaWNz\r\n"], ids=["none", "guessed"])
def test_the_statistics_of_a_gateway_take_a_password(cluster: Cluster, login: str) -> None:
    for target in NODES[:2]:
        assert _said(NODES[0], target, ports.STATS, f"GET / HTTP/1.0\r\n{login}").split()[1] == b"401"


def _taken(node: Node) -> Taken:
    return Taken(ENVIRONMENT, node, partial(client.connect_from_node, node.name))


def _said(source: Node, target: Node, port: int, command: str) -> bytes:
    """The beginning of the answer to one command."""
    connection: socket.socket = client.connect_from_node(source.name, str(target.address), port, taken.PATIENCE)
    with closing(connection):
        connection.sendall(f"{command}\r\n".encode())
        if port == ports.STATS:
            connection.sendall(b"\r\n")
        return connection.recv(200)
