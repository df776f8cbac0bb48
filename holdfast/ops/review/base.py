"""What another commit synthesises: a worktree of it, beside this one, for as long as it takes."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.mirror import REPOSITORY
from holdfast.ops import terraform
from holdfast.topology.load import FOLDER_VARIABLE

BINDINGS = Path("stacks") / "bindings"
GENERATED = BINDINGS / "aws"
"""In no commit. Those of this checkout serve both, unless the other one has another schema."""


@dataclass(frozen=True)
class Base:
    environments: frozenset[str]
    """Names of those that have a file there."""
    stacks: dict[str, dict[str, Any]]
    """Stack → its configuration; empty when the environment does not exist there."""


def commit(name: str) -> str:
    """The commit that this checkout and `name` have in common.

    Raises:
        HoldfastError: there is no such commit here.
    """
    found = git("merge-base", "HEAD", name)
    if found is None:
        raise HoldfastError(
            f"--base {name}: this checkout has no such commit, or nothing in common with it; accepted: a branch, tag "
            "or commit (in a shallow clone, fetch it first)"
        )
    return found


def synthesise(commit: str, environment: str) -> Base:
    """Synthesise the environment as it is at `commit`.

    Raises:
        HoldfastError: it cannot be.
    """
    with _worktree(commit) as source, tempfile.TemporaryDirectory() as folder:
        files = {file.stem: file for file in (source / "environments").glob("*.yaml")}
        if environment not in files:
            return Base(frozenset(files), {})
        outdir = Path(folder)
        environ = terraform.variables(files[environment], outdir)
        environ.pop(FOLDER_VARIABLE, None)
        terraform.synthesise(environ, source)
        stacks = [path.parent.name for path in sorted(outdir.glob("stacks/*/cdk.tf.json"))]
        return Base(frozenset(files), {stack: terraform.configuration(outdir, stack) for stack in stacks})


def git(*arguments: str) -> str | None:
    """What git answers in this checkout; None when it refuses."""
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, text=True, capture_output=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


@contextmanager
def _worktree(commit: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "base"
        if git("worktree", "add", "--detach", str(source), commit) is None:
            raise HoldfastError(f"{commit}: git cannot check it out beside this checkout; see: git worktree list")
        try:
            _add_bindings(source)
            yield source
        finally:
            git("worktree", "remove", "--force", str(source))


def _add_bindings(source: Path) -> None:
    if _schema(source) == _schema(REPOSITORY):
        (source / GENERATED).symlink_to(REPOSITORY / GENERATED)
        return
    (source / "node_modules").symlink_to(REPOSITORY / "node_modules")
    done = subprocess.run([source / "scripts" / "bindings.sh"], text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise HoldfastError(f"the provider's bindings of the other commit cannot be generated:\n{done.stderr.strip()}")


def _schema(source: Path) -> dict[str, bytes]:
    """What its bindings are generated from, with the provider's version in the name."""
    return {file.name: file.read_bytes() for file in (source / BINDINGS).glob("*@*.json")}
