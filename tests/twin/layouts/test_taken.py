"""Who has a machine of one role has less than who has a node of all three."""

from functools import partial
from pathlib import Path

import pytest

from holdfast.drill.cluster import Cluster
from holdfast.topology import Cluster as Topology
from holdfast.topology import Role, load_environment
from holdfast.twin import client
from tests.twin import taken
from tests.twin.taken import Taken


@pytest.mark.parametrize(("role", "secrets"), [(Role.DATA, 8), (Role.GATEWAY, 9), (Role.SENTINEL, 8)])
def test_the_keys_of_a_machine_open_what_its_role_is_for(well: Cluster, role: Role, secrets: int) -> None:
    environment = load_environment(Path(well.environment))
    nodes = Topology.of(environment).nodes
    node = next(it for it in nodes if role in it.roles)
    other = next(it for it in nodes if Role.DATA in it.roles and it is not node)
    keys = Taken(environment, node, partial(client.connect_from_node, node.name))
    tried = list(taken.attempts(keys, other))
    assert sum(expected == "secretsmanager:GetSecretValue" for _, _, expected in tried) == secrets
    assert [(what, found) for what, found, expected in tried if found != expected] == []
