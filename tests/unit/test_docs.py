"""The documents say what the code does: every key of the environment file is explained, with its default."""

import re
from pathlib import Path

from pydantic import BaseModel

from holdfast.topology import ports
from holdfast.topology.spec import Environment

DOCS = Path(__file__).parents[2] / "docs"


def keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= keys(kind, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def test_every_key_of_the_environment_file_is_documented_and_no_other() -> None:
    text = (DOCS / "environment.md").read_text().split("## Addresses")[0]
    assert set(re.findall(r"^\| `([a-z_.]+)` \|", text, re.MULTILINE)) == keys(Environment)


def test_every_port_is_documented() -> None:
    text = (DOCS / "environment.md").read_text().split("## Ports")[1]
    listed = {int(port) for port in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert listed == {ports.ENDPOINT, ports.REDIS, ports.SENTINEL, ports.STATS, ports.LEASE}
