"""A machine's user-data: byte for byte what EC2 gets, and whether it fits."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Any

import jinja2

from holdfast.rendering.files import render_files
from holdfast.topology import Cluster, Node, Problem

CLOUD_INIT = Path(__file__).resolve().parents[2] / "cloud-init"

LIMIT = 16_384
"""Bytes of user-data that EC2 takes, before base64."""

_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(CLOUD_INIT),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def user_data(cluster: Cluster, node: Node) -> bytes:
    """The gzip'd cloud-config of `node`."""
    files = render_files(cluster, node)
    text = cloud_config("user-data.yaml.j2", environment=cluster.environment, node=node, files=files)
    # mtime 0: the time of day must not look like a change in every plan.
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def cloud_config(template: str, **values: Any) -> str:
    """One of `cloud-init/`, with these values in it."""
    return _templates.get_template(template).render(values)


def user_data_base64(cluster: Cluster, node: Node) -> str:
    return base64.b64encode(user_data(cluster, node)).decode()


def check_user_data(cluster: Cluster) -> list[Problem]:
    """One problem for each node whose user-data EC2 would refuse."""
    sizes = {node.name: len(user_data(cluster, node)) for node in cluster.nodes}
    return [
        Problem("", f"user-data of {name} with {size:,} bytes", f"at most {LIMIT:,} bytes; shorter templates")
        for name, size in sizes.items()
        if size > LIMIT
    ]
