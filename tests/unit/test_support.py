"""What was proven of each combination: one list, held against the environments that tests deploy, and told to users."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast import cli
from holdfast.topology import Environment, find_environment, load_environment, support
from holdfast.topology.spec import Distribution
from holdfast.topology.support import RUN_BY_HAND, RUN_IN_CI, Combination, combinations
from scripts import docs
from tests.twin import environments
from tests.twin.cluster import test_rollout

NETWORK = {"cidr": "10.43.0.0/16", "domain": "none"}


def deployed(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """The environments of the tests on the twin; `guest` without the network that a team would have made for it."""
    monkeypatch.setattr(environments, "team", lambda: type("Team", (), {"network": lambda _: dict(NETWORK)})())
    local: dict[str, Any] = yaml.safe_load(find_environment("local").read_text())
    found = {"local": local, "guest": environments._guest(), **environments._contents()}
    assert found.keys() == {planned.name for planned in environments.PLAN}
    return found


def test_what_is_said_to_run_in_ci_is_what_the_tests_deploy(monkeypatch: pytest.MonkeyPatch) -> None:
    files = deployed(monkeypatch)
    upgraded = {**files["local"], "machines": {"node": {**files["local"]["machines"]["node"], "image": "debian-13"}}}
    loaded = [Environment.model_validate(it) for it in (*files.values(), upgraded)]
    assert {it for environment in loaded for it in combinations(environment)} == RUN_IN_CI
    assert '("image: debian-12", "image: debian-13")' in Path(test_rollout.__file__).read_text()


def test_both_releases_of_debian_run_in_ci() -> None:
    assert {it.distribution for it in RUN_IN_CI} == {Distribution.DEBIAN_12, Distribution.DEBIAN_13}


def test_no_combination_is_claimed_twice() -> None:
    assert RUN_IN_CI.isdisjoint(RUN_BY_HAND)


def test_the_matrix_of_the_readme_is_the_list() -> None:
    text = docs.README.read_text()
    assert docs.readme(text) == text, "README.md is old: make docs"
    assert "| Ubuntu 24.04 | 7.0 | `compact` | rendered only | rendered only | rendered only | rendered only |" in text
    assert "| Debian 12 | 7.0 | `compact` | run in CI | rendered only | run in CI | run by hand |" in text


def test_a_readme_without_a_place_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match="has no `<!-- support: make docs -->`"):
        docs.readme("# Holdfast\n")


def file_with(folder: Path, image: str, tls: str) -> Path:
    content = yaml.safe_load(find_environment("prod").read_text())
    content["machines"] = {"node": {"type": "m6i.large", "image": image}}
    content["tls"] = tls
    file = folder / "prod.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.mark.parametrize(
    ("image", "tls", "expected"),
    [
        ("debian-12", "required", None),
        ("debian-13", "required", "Debian 13 with layout compact and TLS required was only rendered, and never booted"),
        ("ubuntu-24.04", "off", "Ubuntu 24.04 with layout compact and TLS off was only rendered, and never booted"),
    ],
)
def test_validate_says_what_no_test_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], image: str, tls: str, expected: str | None
) -> None:
    file = file_with(tmp_path, image, tls)
    assert cli.main(["validate", str(file)]) == 0
    said = capsys.readouterr().out
    assert (expected in said) if expected else ("rendered" not in said)
    assert cli.main(["validate", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["support"] == {image: "rendered only" if expected else "run in CI"}


def test_the_weakest_proof_of_its_machines_is_told() -> None:
    mutual = load_environment(find_environment("local")).model_copy(
        update={"tls": support.TlsSpec(mode="required", mutual=True)}
    )
    assert combinations(mutual) == [Combination(Distribution.DEBIAN_12, "compact", "mutual")]
    assert support.caution(mutual) == (
        "Debian 12 with layout compact and TLS mutual ran on the twin by hand, and in no regular test "
        "(README.md, Support)."
    )
