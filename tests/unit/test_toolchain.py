"""What is installed is what is locked and used: bindings for what the stacks import, locks that name no place."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from holdfast.mirror import CHECKSUMS, PROVIDER, PROVIDER_VERSION

REPOSITORY = Path(__file__).resolve().parents[2]
BINDINGS = REPOSITORY / "stacks" / "bindings"


def listed() -> list[str]:
    lines = (BINDINGS / "resources.txt").read_text().splitlines()
    pairs = (line.split() for line in lines if not line.startswith("#"))
    return sorted(("data_aws_" if section == "data" else "") + name.removeprefix("aws_") for section, name in pairs)


def test_the_bindings_are_for_exactly_what_the_stacks_import() -> None:
    text = "\n".join(file.read_text() for file in (REPOSITORY / "stacks").glob("*.py"))
    imported = set(re.findall(r"from stacks\.bindings\.aws\.(\w+) import", text)) - {"provider"}
    assert listed() == sorted(imported)


def test_the_schema_was_cut_after_the_last_change_of_the_list() -> None:
    (schema,) = json.loads((BINDINGS / "aws@5.100.0.json").read_text())["provider_schemas"].values()
    resources = [name.removeprefix("aws_") for name in schema["resource_schemas"]]
    sources = ["data_" + name for name in schema["data_source_schemas"]]
    assert sorted(resources + sources) == listed()


def test_the_provider_is_locked_with_its_checksums_for_every_platform() -> None:
    text = CHECKSUMS.read_text()
    assert f'provider "{PROVIDER}"' in text
    assert re.findall(r'(version|constraints) += "(.+)"', text) == [
        ("version", PROVIDER_VERSION),
        ("constraints", PROVIDER_VERSION),
    ]
    assert len(set(re.findall(r'"zh:[0-9a-f]{64}"', text))) == 15
    assert re.findall(r'"h1:[A-Za-z0-9+/]{43}="', text), "for a mirror of unpacked providers"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-checkov.lock", "requirements-cdktn.lock"])
def test_every_python_package_is_locked_with_hashes_and_no_index_is_named(lock: str) -> None:
    text = (REPOSITORY / lock).read_text()
    packages = re.split(r"\n(?! )", text.strip())
    assert [package for package in packages if not re.match(r"[\w.-]+==\S+ .*\\\n    --hash=sha256:", package)] == []
    assert "://" not in text and "--index" not in text and "--find-links" not in text


def test_the_successor_is_compared_with_the_same_packages_beside_it() -> None:
    ours, its = (
        set(re.findall(r"^([\w.-]+==[^\s;]+)", (REPOSITORY / lock).read_text(), re.MULTILINE))
        for lock in ("requirements.lock", "requirements-cdktn.lock")
    )
    assert its - ours == {"cdktn==0.24.0"}


@pytest.mark.parametrize(
    ("version", "code", "said"),
    [
        ("v22.19.0", 0, ""),
        ("v20.20.2", 0, "found Node 20: it works, without security updates since 2026-10-30; install Node 22"),
        ("v18.20.4", 1, "found Node v18.20.4; Holdfast needs Node 22, with npm: install it"),
        ("v24.1.0", 1, "found Node v24.1.0; Holdfast needs Node 22, with npm: install it"),
    ],
)
def test_node_22_is_the_default_and_20_works(tmp_path: Path, version: str, code: int, said: str) -> None:
    for name, script in (("node", f"echo {version}"), ("npm", "exit 0")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [REPOSITORY / "scripts" / "node.sh"], env={"PATH": path}, text=True, capture_output=True, check=False
    )
    assert done.returncode == code
    assert (done.stdout + done.stderr).startswith(said) and bool(said) == bool(done.stdout + done.stderr)


@pytest.mark.parametrize("lock", ["package-lock.json", "tests/successor/package-lock.json"])
def test_the_npm_lock_has_integrity_and_names_no_registry(lock: str) -> None:
    packages = json.loads((REPOSITORY / lock).read_text())["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
    fetched = {name: package for name, package in packages.items() if name and not package.get("inBundle")}
    assert [name for name, package in fetched.items() if "integrity" not in package] == []
