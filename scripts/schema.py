"""Cuts the AWS provider's schema down to what `stacks/bindings/resources.txt` lists: the input of the bindings.

Run by `make bindings`. Needs terraform and the provider; the result is committed, so that generating bindings needs
neither.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.mirror import PROVIDER, PROVIDER_VERSION, lock_provider, require_provider, terraform_environment

BINDINGS = Path(__file__).resolve().parents[1] / "stacks" / "bindings"
RESOURCES = BINDINGS / "resources.txt"
SCHEMA = BINDINGS / f"aws@{PROVIDER_VERSION}.json"
"""The name under which `cdktf get` looks for a cached schema."""

SECTIONS = {"resource": "resource_schemas", "data": "data_source_schemas"}


def whole_schema() -> dict[str, Any]:
    """What the provider says about itself."""
    with tempfile.TemporaryDirectory() as folder:
        requirement = {"aws": {"source": PROVIDER, "version": PROVIDER_VERSION}}
        Path(folder, "main.tf.json").write_text(json.dumps({"terraform": {"required_providers": requirement}}))
        lock_provider(Path(folder))
        _terraform(folder, "init", "-input=false")
        schemas: dict[str, Any] = json.loads(_terraform(folder, "providers", "schema", "-json"))
    return schemas


def cut(schemas: dict[str, Any], listed: list[tuple[str, str]]) -> dict[str, Any]:
    """Only what is `listed`, as pairs of section (`resource`, `data`) and Terraform name."""
    provider = schemas["provider_schemas"][PROVIDER]
    kept: dict[str, Any] = {"provider": provider["provider"], "resource_schemas": {}, "data_source_schemas": {}}
    # 250 endpoints make every synth slower; stacks/base.py sets the few that it needs by an override.
    kept["provider"]["block"]["block_types"].pop("endpoints")
    for section, name in listed:
        found = provider[SECTIONS[section]].get(name)
        if found is None:
            raise HoldfastError(f"{RESOURCES}: {section} {name}: not in {PROVIDER} {PROVIDER_VERSION}")
        kept[SECTIONS[section]][name] = found
    return {"format_version": schemas["format_version"], "provider_schemas": {PROVIDER: kept}}


def read_list(text: str) -> list[tuple[str, str]]:
    """The pairs that `resources.txt` lists, in its order."""
    pairs: list[tuple[str, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        match line.split("#")[0].split():
            case []:
                continue
            case [("resource" | "data") as section, name]:
                pairs.append((section, name))
            case _:
                raise HoldfastError(f"{RESOURCES}:{number}: found {line!r}, expected `resource NAME` or `data NAME`")
    return pairs


def _terraform(folder: str, *arguments: str) -> str:
    done = subprocess.run(
        ["terraform", *arguments], cwd=folder, env=terraform_environment(), capture_output=True, text=True
    )
    if done.returncode != 0:
        raise HoldfastError(f"terraform {arguments[0]} failed:\n{done.stderr.strip()}")
    return done.stdout


def main() -> int:
    try:
        require_provider()
        schema = cut(whole_schema(), read_list(RESOURCES.read_text()))
    except HoldfastError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    SCHEMA.write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n")
    print(f"{SCHEMA.name}: {SCHEMA.stat().st_size // 1024} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
