"""What the attacks of tests/twin try with a node's keys is refused by its policy, and they tell when it is not."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from holdfast.topology import Cluster, Environment, Role, emulation, find_environment, load_environment, names
from holdfast.topology.spec import CloudSpec
from holdfast.twin.api import Api
from stacks.access import Scope, node_policy
from tests.twin import taken
from tests.twin.taken import METADATA, Connect, Taken
from tests.unit.twin_api.cloud import REGION, answering, client
from tests.unit.twin_api.cloud import Cloud as Network


@pytest.fixture
def instant() -> Iterator[Api]:
    with answering(instant=True) as api:
        yield api


@pytest.fixture
def calls(instant: Api) -> Iterator[tuple[str, int]]:
    """Where that cloud answers machines."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = instant.serve_on(listening, lambda address, service: True)
        yield listening.getsockname()
        server.stop()


@pytest.fixture
def environment(instant: Api, calls: tuple[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """`local` in that cloud, with what its nodes are attacked for."""
    emulation.write(tmp_path / "credentials", instant.key)
    monkeypatch.setenv(emulation.VARIABLE, str(tmp_path / "credentials"))
    local = load_environment(find_environment("local"))
    cloud = CloudSpec.model_validate({"endpoint": instant.url, "node_endpoint": "http://{}:{}".format(*calls)})
    environment = local.model_copy(update={"cloud": cloud})
    s3 = client(instant, "s3")
    bucket = names.bucket(environment)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": environment.region})
    s3.put_object(Bucket=bucket, Key=names.BOOTSTRAP_KEY, Body=b"{}")
    network = Network(instant)
    for node, subnet in zip(Cluster.of(environment).nodes[:2], (network.a, network.b), strict=True):
        instance = network.run(network.interface(subnet, str(node.address)))
        for made, more in ((instance, {}), (network.volume(node.zone.letter), {"Volume": "data"})):
            tags = names.tags(environment) | names.node_tags(node) | more
            listed = [{"Key": name, "Value": value} for name, value in tags.items()]
            network.ec2.create_tags(Resources=[made], Tags=listed)
    return environment


@pytest.fixture
def connect(instant: Api, environment: Environment, calls: tuple[str, int]) -> Iterator[Connect]:
    """From the first node: its metadata service, and the cloud's API."""
    role = names.node_role(environment, Cluster.of(environment).nodes[0])
    client(instant, "iam").create_role(RoleName=role, AssumeRolePolicyDocument="{}")
    keys = json.dumps(instant.credentials_for(role))

    class Answers(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self._answer("token")

        def do_GET(self) -> None:
            assert self.headers["X-aws-ec2-metadata-token"] == "token"
            self._answer(role if self.path.endswith("/") else keys)

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self, text: str) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

    metadata = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=metadata.serve_forever, daemon=True).start()
    port = metadata.server_address[1]
    yield lambda address, _, timeout: socket.create_connection(
        ("127.0.0.1", port) if address == METADATA else calls, timeout
    )
    metadata.shutdown()
    metadata.server_close()


def having(
    api: Api, environment: Environment, connect: Connect, roles: frozenset[Role], *more: dict[str, Any]
) -> Taken:
    """The first node with these roles, with their policy and `more` statements."""
    cluster = Cluster.of(environment)
    node = replace(cluster.nodes[0], roles=roles)
    policy = node_policy(Scope(cluster, node, f"arn:aws:kms:{REGION}:{api.account}:key/one", api.account))
    policy["Statement"] += more
    name = names.node_role(environment, node)
    client(api, "iam").put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
    return Taken(environment, node, connect)


def surprises(node: Taken) -> list[tuple[str, str]]:
    """What was tried, and what came of it, where that is not what should have."""
    other = Cluster.of(node.environment).nodes[1]
    return [(what, found) for what, found, expected in taken.attempts(node, other) if found != expected]


ALL = frozenset(Role)


@pytest.mark.parametrize(
    "roles", [ALL, *(frozenset({role}) for role in Role)], ids=lambda roles: "+".join(sorted(roles))
)
def test_a_nodes_policy_refuses_every_attempt(
    instant: Api, environment: Environment, connect: Connect, roles: frozenset[Role]
) -> None:
    assert surprises(having(instant, environment, connect, roles)) == []


@pytest.mark.parametrize(
    ("action", "resource", "noticed"),
    [
        ("s3:PutObject", "arn:aws:s3:::*/reports/*", [("write reports/local-b1.json", "allowed")]),
        ("s3:PutObject", "arn:aws:s3:::*/members.json", [("write members.json", "allowed")]),
        ("s3:PutObject", "arn:aws:s3:::*/bootstrap/*", [("write bootstrap/leader.json", "allowed")]),
        ("ec2:AttachVolume", "*", ["attach another's volume to itself", "attach its own volume to another"]),
        ("secretsmanager:GetSecretValue", "*", ["read holdfast/local/tls/authority", "read holdfast/local/app"]),
        ("secretsmanager:DescribeSecret", "*", ["look at holdfast/local/tls/authority"]),
    ],
    ids=["another's report", "members", "bootstrap record", "volumes", "secrets", "hashes"],
)
def test_a_policy_that_allows_more_is_noticed(
    instant: Api, environment: Environment, connect: Connect, action: str, resource: str, noticed: list[Any]
) -> None:
    more = {"Sid": "More", "Effect": "Allow", "Action": action, "Resource": resource}
    found = surprises(having(instant, environment, connect, ALL, more))
    assert [it for it in noticed if it not in found and it not in [what for what, _ in found]] == []
