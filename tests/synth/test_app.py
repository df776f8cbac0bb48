"""What holds for every stack: state, provider, tags; and what `main.py` says of a file that it cannot use."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Stacks = dict[str, dict[str, Any]]

REPOSITORY = Path(__file__).resolve().parents[2]


def test_state_of_aws_lies_in_s3_with_a_lock_file(stacks: Stacks) -> None:
    backend = stacks["prod-zone-a"]["terraform"]["backend"]["s3"]
    bucket = stacks["prod-identity"]["resource"]["aws_s3_bucket"]["bucket"]["bucket"]
    assert backend == {
        "bucket": f"{bucket}-state",
        "key": "prod-zone-a.tfstate",
        "region": "eu-central-1",
        "use_lockfile": True,
    }


def test_the_account_of_the_file_is_the_only_one_for_state_and_resources(synth: Callable[..., Stacks]) -> None:
    stacks = synth(cloud={"account": "012345678901"})
    for stack in stacks.values():
        assert stack["terraform"]["backend"]["s3"]["allowed_account_ids"] == ["012345678901"]
        assert stack["provider"]["aws"][0]["allowed_account_ids"] == ["012345678901"]


def test_state_of_an_emulated_cloud_lies_in_the_repository(stacks: Stacks, outdir: Path) -> None:
    path = stacks["local-network"]["terraform"]["backend"]["local"]["path"]
    assert (outdir.resolve() / "stacks" / "local-network" / path).resolve() == (
        REPOSITORY / ".holdfast" / "state" / "local-network.tfstate"
    )


def test_an_emulated_cloud_differs_in_where_the_provider_calls(stacks: Stacks) -> None:
    (aws,) = stacks["prod-network"]["provider"]["aws"]
    assert set(aws) == {"region", "default_tags", "ignore_tags"}
    (local,) = stacks["local-network"]["provider"]["aws"]
    (endpoints,) = local["endpoints"]
    assert set(endpoints.values()) == {"http://127.0.0.1:5599"}
    assert local["shared_credentials_files"] == ["/run/holdfast-twin.credentials"]
    assert not {"access_key", "secret_key"} & local.keys()


def test_every_stack_tags_everything_and_leaves_run_time_tags_alone(stacks: Stacks) -> None:
    for name, stack in stacks.items():
        (aws,) = stack["provider"]["aws"]
        environment = re.split("-(network|identity|backups|zone|names|watch)", name)[0]
        own = {"Project": "holdfast", "Environment": environment, "ManagedBy": "cdktf"}
        team = {"CostCentre": "4711", "Team": "shop"} if environment == "existing-vpc" else {}
        assert aws["default_tags"] == [{"tags": own | team}]
        assert aws["ignore_tags"] == [{"key_prefixes": ["holdfast:"]}]


def test_the_output_names_no_place_on_this_machine(synth: Callable[..., Stacks], tmp_path: Path) -> None:
    written = json.dumps(synth())
    assert str(tmp_path) not in written
    assert str(Path.home()) not in written


def test_the_same_environment_gives_the_same_output(synth: Callable[..., Stacks]) -> None:
    assert synth() == synth()


def run_main(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = os.environ | {"HOLDFAST_ENVIRONMENTS_DIR": str(folder), "CDKTF_OUTDIR": str(folder / "out")}
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "main.py")],
        cwd=REPOSITORY,
        env=variables | environment,
        text=True,
        capture_output=True,
        check=False,
    )


def test_a_bad_environment_file_stops_the_synth_with_its_problems_and_no_traceback(tmp_path: Path) -> None:
    local = (REPOSITORY / "environments" / "local.yaml").read_text()
    (tmp_path / "local.yaml").write_text(local.replace("zones: [a, b, c]", "zones: [a, a, b]"))
    result = run_main(tmp_path)
    assert result.returncode == 2
    assert "zones[1]: found a again; accepted: each zone once" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_environment_can_be_synthesised_beside_one_that_is_broken(tmp_path: Path) -> None:
    environments = REPOSITORY / "environments"
    for name in ("local.yaml", "images.lock.json"):
        (tmp_path / name).write_text((environments / name).read_text())
    (tmp_path / "broken.yaml").write_text("name: broken\n")
    result = run_main(tmp_path, HOLDFAST_ENVIRONMENTS="local")
    assert result.returncode == 0, result.stderr
    stacks = list(tmp_path.glob("out/stacks/local-*"))
    assert len(stacks) == 7
    checksums = (REPOSITORY / "stacks" / "bindings" / "aws@5.100.0.lock.hcl").read_text()
    assert {(stack / ".terraform.lock.hcl").read_text() for stack in stacks} == {checksums}
