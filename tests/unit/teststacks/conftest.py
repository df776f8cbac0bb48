"""An account, as the corrected API shows it, and a folder of environment files, with one environment in it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.drill.emulated import emulated
from holdfast.ops.teststacks import clouds, files
from holdfast.ops.teststacks.clouds import Cloud
from holdfast.topology import Environment, environment_files, find_environment, load_environment, names, pins
from holdfast.twin.api import Api

SHOP = """\
name: shop
region: eu-central-1
zones: [a, b, c]
network: {{cidr: 10.40.0.0/16, domain: none}}
images: baked
machines: {{node: {{type: t3.small}}}}
redis: {{memory: 256MB}}
tls: off
cloud: {{endpoint: "{endpoint}", node_endpoint: "{endpoint}", suffix: shop1}}
protected: false
"""

IMAGE = "ami-0a1b2c3d4e5f60718"

FOLDERS = (find_environment, environment_files, files.stored, files.path, files.write, files.remove)


def at(url: str, folder: Path) -> Cloud:
    """The cloud behind that API, in which `shop` is."""
    file = folder / "shop.yaml"
    file.write_text(SHOP.format(endpoint=url))
    shop = load_environment(file)
    return Cloud({shop.region: shop})


@pytest.fixture
def api() -> Iterator[Api]:
    with emulated() as api:
        yield api


@pytest.fixture
def folder(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of environment files; every function that knows such a folder takes this one for the default."""
    folder = tmp_path / "environments"
    folder.mkdir()
    (folder / "shop.yaml").write_text(SHOP.format(endpoint=api.url))
    (folder / clouds.ACCOUNTS).write_text(f"{api.account}  # the twin's\n")
    for function in (*FOLDERS, clouds.require_listed, pins.read, pins.image_id, pins.write):
        has_default = [it for it in inspect.signature(function).parameters.values() if it.default is not it.empty]
        assert [it.name for it in has_default] == ["folder"]
        monkeypatch.setattr(function, "__defaults__", (folder,))
    monkeypatch.setattr(names, "LOCAL_STATE", tmp_path / "state")
    names.LOCAL_STATE.mkdir()
    return folder


@pytest.fixture
def shop(folder: Path) -> Environment:
    return load_environment(folder / "shop.yaml")


@pytest.fixture
def cloud(shop: Environment) -> Cloud:
    return Cloud({shop.region: shop})
