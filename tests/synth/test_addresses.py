"""Resource addresses are a contract: one that changes destroys what it stood for and creates it anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parent / "golden"
WRITE = "HOLDFAST_WRITE_GOLDEN"


@pytest.mark.parametrize("environment", ["local", "staging", "prod", "single", "tiered", "existing-vpc", "encrypted"])
def test_every_resource_address_is_known(stacks: dict[str, dict[str, Any]], environment: str) -> None:
    found = "".join(
        f"{stack} {kind}.{name}\n"
        for stack, content in stacks.items()
        if stack.startswith(f"{environment}-")
        for kind, resources in sorted(content["resource"].items())
        for name in sorted(resources)
    )
    file = GOLDEN / f"{environment}.txt"
    if os.environ.get(WRITE):
        file.write_text(found)
    assert found == file.read_text(), f"if this is meant, and what it destroys is known: {WRITE}=1 pytest {__file__}"
