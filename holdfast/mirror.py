"""Where Terraform gets its provider from: a filesystem mirror when there is one, else the registry.

`python -m holdfast.mirror` prints the shell lines that make Terraform and cdktf use it (see `scripts/env.sh`).
"""

from __future__ import annotations

import os
import platform
import shlex
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from holdfast.errors import HoldfastError

REPOSITORY = Path(__file__).resolve().parents[1]
CLI_CONFIG = REPOSITORY / ".holdfast" / "terraformrc"

PROVIDER = "registry.terraform.io/hashicorp/aws"
PROVIDER_VERSION = "5.100.0"
CHECKSUMS = REPOSITORY / "stacks" / "bindings" / f"aws@{PROVIDER_VERSION}.lock.hcl"
"""By which Terraform knows the provider, wherever it takes it from."""
REGISTRY = "https://registry.terraform.io/.well-known/terraform.json"
REGISTRY_TIMEOUT = 5.0
"""Seconds. The document has 100 bytes; a registry that needs longer does not serve a provider of 650 MB."""

EXPLICIT = "TF_PLUGIN_MIRROR"
PREFIXES = ("/opt", "/usr/local/share", "/usr/share", "~/.terraform.d", "~/.local/share/terraform")
DEPTHS = ("", "*/", "*/*/")
"""A mirror is looked for in a prefix itself and up to two folders below it."""


class NoProvider(HoldfastError):
    """Neither a mirror nor the registry has the provider."""


def find_mirror(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The folder that has `registry.terraform.io/hashicorp/aws` in the pinned version for this machine.

    Raises `NoProvider` when TF_PLUGIN_MIRROR names a folder that does not have it.
    """
    if named := environ.get(EXPLICIT):
        if _has_provider(Path(named)):
            return Path(named)
        raise NoProvider(
            f"{EXPLICIT}={named} has no {PROVIDER} {PROVIDER_VERSION} for {_platform()}: "
            f"expected {_folder(Path(named))} or a packed {_packed(Path(named)).name}"
        )
    return next((mirror for mirror in _candidates() if _has_provider(mirror)), None)


def lock_provider(folder: Path) -> None:
    """Have Terraform take no other provider in `folder` than that of `CHECKSUMS`."""
    (folder / ".terraform.lock.hcl").write_bytes(CHECKSUMS.read_bytes())


def write_cli_config(mirror: Path, file: Path = CLI_CONFIG) -> Path:
    """Write the Terraform CLI configuration that takes the provider from `mirror` and any other from its registry."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = (
        "provider_installation {\n"
        f'  filesystem_mirror {{\n    path    = "{mirror}"\n    include = ["{PROVIDER}"]\n  }}\n'
        f'  direct {{\n    exclude = ["{PROVIDER}"]\n  }}\n'
        "}\n"
    )
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
    return file


def terraform_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`environ` for a process that runs terraform or cdktf.

    A CLI configuration of the user's own that says where providers come from is left in force.
    """
    changed = dict(environ) | {"CHECKPOINT_DISABLE": "1"}
    config = _users_config(environ)
    if not config.is_file():
        changed.pop("TF_CLI_CONFIG_FILE", None)
    if _chooses_providers(config) and EXPLICIT not in environ:
        return changed
    if mirror := find_mirror(environ):
        changed["TF_CLI_CONFIG_FILE"] = str(write_cli_config(mirror))
        changed["CDKTF_SKIP_PROVIDER_LOCK"] = "true"  # `terraform providers lock` asks the registry, never a mirror
        # A mirror is linked to, which needs no cache; two deploys that fill cdktf's cache at once break each other.
        changed["CDKTF_DISABLE_PLUGIN_CACHE_ENV"] = "true"
    return changed


def tool_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`terraform_environment`, in which this repository's own tools come first: what `scripts/env.sh` is to a shell."""
    bins = [REPOSITORY / ".venv" / "bin", REPOSITORY / "node_modules" / ".bin"]
    paths = [*map(str, bins), environ.get("PATH", ""), str(REPOSITORY / ".holdfast" / "bin")]
    return terraform_environment(environ) | {
        "PATH": os.pathsep.join(paths),
        # The provider's schema is most of the work, and most of that is collecting garbage: a quarter less time.
        "GOGC": environ.get("GOGC", "400"),
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
    }


def require_provider(environ: Mapping[str, str] = os.environ) -> None:
    """Raise `NoProvider`, in one line, when Terraform could not get the provider from anywhere."""
    if find_mirror(environ) or _chooses_providers(_users_config(environ)) or _registry_answers():
        return
    raise NoProvider(
        f"no Terraform provider {PROVIDER} {PROVIDER_VERSION}: its registry cannot be reached, and no mirror was "
        f"found in {', '.join(PREFIXES)}; set {EXPLICIT} to a folder that contains {_folder(Path())}"
    )


def _users_config(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("TF_CLI_CONFIG_FILE") or Path.home() / ".terraformrc")


def _candidates() -> Iterator[Path]:
    host = PROVIDER.split("/")[0]
    for prefix in PREFIXES:
        for depth in DEPTHS:
            for found in sorted(Path(prefix).expanduser().glob(depth + host)):
                yield found.parent


def _has_provider(mirror: Path) -> bool:
    folder = _folder(mirror)
    return _packed(mirror).is_file() or (folder.is_dir() and any(folder.glob("terraform-provider-aws_*")))


def _folder(mirror: Path) -> Path:
    return mirror / PROVIDER / PROVIDER_VERSION / _platform()


def _packed(mirror: Path) -> Path:
    return mirror / PROVIDER / f"terraform-provider-aws_{PROVIDER_VERSION}_{_platform()}.zip"


def _platform() -> str:
    machine = platform.machine()
    return "linux_" + {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _chooses_providers(config: Path) -> bool:
    return config.is_file() and config != CLI_CONFIG and "provider_installation" in config.read_text()


def _registry_answers() -> bool:
    try:
        with urllib.request.urlopen(REGISTRY, timeout=REGISTRY_TIMEOUT) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def main(arguments: Sequence[str]) -> int:
    """Print what differs from this process's environment as shell lines; with `--require`, fail without a provider."""
    try:
        if "--require" in arguments:
            require_provider()
        prepared = terraform_environment()
    except NoProvider as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for name in sorted(os.environ.keys() - prepared.keys()):
        print(f"unset {name}")
    for name, value in sorted(prepared.items()):
        if os.environ.get(name) != value:
            print(f"export {name}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
