"""Terraform finds its provider: in a mirror, by the user's own configuration, or a person is told what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast import mirror
from holdfast.mirror import NoProvider, find_mirror, require_provider, terraform_environment, write_cli_config


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mirror in the usual places, no configuration at home, no registry."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(mirror, "PREFIXES", (str(tmp_path / "opt"),))
    monkeypatch.setattr(mirror, "CLI_CONFIG", tmp_path / "terraformrc")
    monkeypatch.setattr(write_cli_config, "__defaults__", (tmp_path / "terraformrc",))
    monkeypatch.setattr(mirror, "_platform", lambda: "linux_amd64")
    monkeypatch.setattr(mirror, "_registry_answers", lambda: False)


def provider_in(folder: Path) -> Path:
    unpacked = folder / "registry.terraform.io/hashicorp/aws/5.100.0/linux_amd64"
    unpacked.mkdir(parents=True)
    (unpacked / "terraform-provider-aws_v5.100.0_x5").touch()
    return folder


@pytest.mark.parametrize("below", ["", "plugins", "terraform/plugins"])
def test_a_mirror_is_found_below_the_usual_prefixes(tmp_path: Path, below: str) -> None:
    made = provider_in(tmp_path / "opt" / below)
    assert find_mirror({}) == made


def test_a_packed_provider_is_a_mirror_too(tmp_path: Path) -> None:
    archive = tmp_path / "opt/registry.terraform.io/hashicorp/aws/terraform-provider-aws_5.100.0_linux_amd64.zip"
    archive.parent.mkdir(parents=True)
    archive.touch()
    assert find_mirror({}) == tmp_path / "opt"


def test_another_version_is_no_mirror(tmp_path: Path) -> None:
    (tmp_path / "opt/registry.terraform.io/hashicorp/aws/5.99.0/linux_amd64").mkdir(parents=True)
    assert find_mirror({}) is None


def test_the_variable_comes_first_and_must_be_right(tmp_path: Path) -> None:
    provider_in(tmp_path / "opt")
    chosen = provider_in(tmp_path / "chosen")
    assert find_mirror({"TF_PLUGIN_MIRROR": str(chosen)}) == chosen
    with pytest.raises(
        NoProvider, match="TF_PLUGIN_MIRROR=/nowhere has no registry.terraform.io/hashicorp/aws 5.100.0"
    ):
        find_mirror({"TF_PLUGIN_MIRROR": "/nowhere"})


def test_terraform_uses_the_mirror_for_this_provider_and_registries_for_any_other(tmp_path: Path) -> None:
    made = provider_in(tmp_path / "opt")
    prepared = terraform_environment({"TF_CLI_CONFIG_FILE": "/does/not/exist", "LANG": "C"})
    assert prepared == {
        "LANG": "C",
        "CHECKPOINT_DISABLE": "1",
        "CDKTF_SKIP_PROVIDER_LOCK": "true",
        "CDKTF_DISABLE_PLUGIN_CACHE_ENV": "true",
        "TF_CLI_CONFIG_FILE": str(tmp_path / "terraformrc"),
    }
    assert (
        Path(prepared["TF_CLI_CONFIG_FILE"]).read_text()
        == f"""\
provider_installation {{
  filesystem_mirror {{
    path    = "{made}"
    include = ["registry.terraform.io/hashicorp/aws"]
  }}
  direct {{
    exclude = ["registry.terraform.io/hashicorp/aws"]
  }}
}}
"""
    )


def test_a_configuration_file_that_does_not_exist_is_no_obstacle() -> None:
    assert terraform_environment({"TF_CLI_CONFIG_FILE": "/does/not/exist"}) == {"CHECKPOINT_DISABLE": "1"}


def test_a_users_own_choice_of_providers_is_left_in_force(tmp_path: Path) -> None:
    provider_in(tmp_path / "opt")
    own = tmp_path / "own.tfrc"
    own.write_text('provider_installation {\n  network_mirror {\n    url = "https://mirror.example/"\n  }\n}\n')
    assert terraform_environment({"TF_CLI_CONFIG_FILE": str(own)})["TF_CLI_CONFIG_FILE"] == str(own)
    require_provider({"TF_CLI_CONFIG_FILE": str(own)})


def test_without_mirror_and_registry_one_line_says_what_to_do() -> None:
    with pytest.raises(NoProvider) as raised:
        require_provider({})
    assert "set TF_PLUGIN_MIRROR to a folder that contains registry.terraform.io/hashicorp/aws/5.100.0" in str(
        raised.value
    )
    assert "\n" not in str(raised.value)
