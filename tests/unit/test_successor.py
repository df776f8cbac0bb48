"""The step from CDKTF to its successor: imports alone, and all of them. What comes of it: tests/successor."""

from __future__ import annotations

import re
from pathlib import Path

from scripts import successor

REPOSITORY = Path(__file__).resolve().parents[2]


def test_imports_change_and_nothing_else() -> None:
    source = '''\
"""What `from cdktf import App` brings."""
from cdktf import (
    App,
)
from cdktf.testing import Testing
from cdktf_provider import aws
from holdfast.ops.teststacks import cdktf
if True:
    from cdktf import Fn
TAGS = {"ManagedBy": "cdktf"}
'''
    assert successor.translated(source) == '''\
"""What `from cdktf import App` brings."""
from cdktn import (
    App,
)
from cdktn.testing import Testing
from cdktf_provider import aws
from holdfast.ops.teststacks import cdktf
if True:
    from cdktn import Fn
TAGS = {"ManagedBy": "cdktf"}
'''  # fmt: skip


def test_no_source_imports_cdktf_in_a_way_that_stays() -> None:
    sources = [file for file in successor.files() if file.suffix == ".py" and file.name != "test_successor.py"]
    assert Path("main.py") in sources and Path("stacks/base.py") in sources
    left = re.compile(r"^\s*(from|import) cdktf\b", re.MULTILINE)
    assert [it for it in sources if left.search(successor.translated((REPOSITORY / it).read_text()))] == []
