"""The pure model: environment file → validated spec → zones, nodes, roles, addresses. No I/O beyond the file."""

from holdfast.topology.cluster import Cluster, Floating, Node, Volume, Zone
from holdfast.topology.load import environment_files, find_environment, load_environment, load_environments
from holdfast.topology.problems import InvalidEnvironment, Problem
from holdfast.topology.spec import Durability, Egress, Environment, Images, Persistence, Role

__all__ = [
    "Cluster",
    "Durability",
    "Egress",
    "Environment",
    "Floating",
    "Images",
    "InvalidEnvironment",
    "Node",
    "Persistence",
    "Problem",
    "Role",
    "Volume",
    "Zone",
    "environment_files",
    "find_environment",
    "load_environment",
    "load_environments",
]
