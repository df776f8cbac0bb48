"""The user-data of a machine of which an image is taken: the packages of a node, and none of its settings."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping

from holdfast.rendering.files import TEMPLATES, templates
from holdfast.rendering.program import SOURCES
from holdfast.rendering.user_data import cloud_config

UNITS = ("redis-server.service", "redis-sentinel.service", "haproxy.service", "keepalived.service")
"""The distribution's own, which cloud-init masks before they are installed."""

FOLDER = "/usr/local/lib/holdfast"


def bake_user_data(image: str, packages: Mapping[str, str], marker: str, patience: float) -> bytes:
    """The gzip'd cloud-config.

    Args:
        image: name of the image to be.
        packages: package → version.
        marker: how the line on its console begins that ends in `done` or `failed: …`.
        patience: seconds for which it tries again while a mirror is away.
    """
    wanted = {"marker": marker, "packages": dict(packages), "units": UNITS, "patience": patience}
    rendered = {
        # As nodes have them: nothing else may install anything, and nothing restarts.
        "/etc/apt/apt.conf.d/zz-holdfast": "apt.conf",
        "/etc/needrestart/conf.d/holdfast.conf": "needrestart.conf",
    }
    copied = {
        "/etc/systemd/system/holdfast-bake.service": TEMPLATES / "bake" / "holdfast-bake.service",
        "/usr/local/sbin/holdfast-bake": TEMPLATES / "bake" / "bake.py",
        f"{FOLDER}/packages.py": SOURCES / "holdfast_node" / "packages.py",
    }
    files = {path: templates.get_template(name).render() for path, name in rendered.items()}
    files |= {path: source.read_text(encoding="utf-8") for path, source in copied.items()}
    files[f"{FOLDER}/bake.json"] = json.dumps(wanted, indent=1) + "\n"
    return gzip.compress(cloud_config("bake.yaml.j2", image=image, files=files).encode(), compresslevel=9, mtime=0)
