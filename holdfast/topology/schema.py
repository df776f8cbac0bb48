"""The JSON Schema of environment files, generated from the types, so that editors complete and check them."""

from __future__ import annotations

import json

from holdfast.topology.spec import LAYOUTS, Environment, TlsMode


def json_schema() -> str:
    """The schema as text, with a final newline; `environments/schema.json` holds exactly this."""
    schema = Environment.model_json_schema()
    layout = schema["properties"]["layout"]
    # `layout: compact` is short for `layout: {kind: compact}`.
    schema["properties"]["layout"] = {
        "anyOf": [{"enum": list(LAYOUTS)}, *layout["oneOf"]],
        "default": "compact",
        "description": "Which machines run what.",
    }
    # `tls: required` is short for `tls: {mode: required}`, and YAML takes a bare `off` for false.
    schema["properties"]["tls"] = {
        "anyOf": [{"enum": [*TlsMode, False]}, {"$ref": "#/$defs/TlsSpec"}],
        "description": "What is encrypted. Default: `required`; `off` in the layout `single`.",
    }
    # YAML takes a bare `off` for false.
    schema["properties"]["backup"] = {
        "anyOf": [{"enum": ["off", False]}, {"$ref": "#/$defs/BackupSpec"}],
        "description": "Copies of all data. Default: `off`.",
    }
    return json.dumps(schema, indent=2) + "\n"
