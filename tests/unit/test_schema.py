"""The JSON Schema that editors use says the same as the types."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from holdfast.topology import environment_files
from holdfast.topology.schema import json_schema

SCHEMA = Path(__file__).parents[2] / "environments" / "schema.json"


def test_the_committed_schema_is_current() -> None:
    assert SCHEMA.read_text() == json_schema(), "run: .venv/bin/holdfast schema > environments/schema.json"


@pytest.mark.parametrize(
    "file", [*environment_files(), *environment_files(SCHEMA.parent / "examples")], ids=lambda file: file.stem
)
def test_every_environment_in_the_repository_passes_the_schema(file: Path) -> None:
    jsonschema.validate(yaml.safe_load(file.read_text()), json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize("layout", ["huge", {"kind": "single", "nodes": 3}, {"kind": "tiered", "data": 1}])
def test_the_schema_refuses_a_layout_that_there_is_not(layout: object) -> None:
    content = yaml.safe_load((SCHEMA.parent / "prod.yaml").read_text()) | {"layout": layout}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, json.loads(SCHEMA.read_text()))


def test_the_schema_refuses_an_unknown_key() -> None:
    content = yaml.safe_load((SCHEMA.parent / "prod.yaml").read_text()) | {"surprise": 1}
    with pytest.raises(jsonschema.ValidationError, match="surprise"):
        jsonschema.validate(content, json.loads(SCHEMA.read_text()))
