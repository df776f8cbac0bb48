"""Versions of packages: what the mirrors have is pinned by a command, and said where nothing is pinned."""

from __future__ import annotations

import json
import lzma
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from holdfast import cli
from holdfast.errors import HoldfastError
from holdfast.ops import images, mirrors
from holdfast.ops.mirrors import MirrorError
from holdfast.ops.preflight import machines
from holdfast.ops.preflight.check import Verdict
from holdfast.rendering.files import PACKAGES, render_files
from holdfast.topology import Cluster, Environment, Images, load_environment, pinned_packages
from holdfast.topology.load import ENVIRONMENTS
from holdfast.topology.pinned_packages import Packages
from holdfast.topology.spec import Distribution

OLD = dict.fromkeys(PACKAGES, "1.0-1") | {"redis-server": "5:7.0.15-1~deb12u9"}
NEW = OLD | {"redis-server": "5:7.0.15-1~deb12u10"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment `prod`, with nothing pinned but its image."""
    for name in ("prod.yaml", "images.lock.json"):
        shutil.copy(ENVIRONMENTS / name, tmp_path)
    monkeypatch.setattr(images, "ENVIRONMENTS", tmp_path)
    return tmp_path


def loaded(folder: Path) -> Environment:
    return load_environment(folder / "prod.yaml", folder)


def pin(folder: Path, versions: Mapping[str, str]) -> None:
    pinned_packages.write("prod", {"debian-12/amd64": Packages(versions, "a test")}, folder)


def listed(folder: Path, **versions: str) -> str:
    """A mirror's list as it is published; its URL."""
    entries = [f"Package: {name}\nSource: any\nVersion: {version}\n" for name, version in versions.items()]
    file = folder / f"{len(list(folder.iterdir()))}.xz"
    file.write_bytes(lzma.compress("\n".join(entries).encode()))
    return file.as_uri()


def wanted(environment: Environment) -> dict[str, str | None]:
    cluster = Cluster.of(environment)
    found: dict[str, str | None] = json.loads(render_files(cluster, cluster.nodes[0])["/etc/holdfast/packages.json"])
    return found


def test_the_newest_version_of_all_lists_is_the_one_that_apt_would_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = [
        listed(tmp_path, redis="5:7.0.15-1~deb12u9", haproxy="2.6.12-1"),
        listed(tmp_path, redis="5:7.0.15-1~deb12u10", rediscovery="9"),
        listed(tmp_path, haproxy="1:1.8"),
    ]
    monkeypatch.setattr(mirrors, "indexes", lambda image, arch: lists)
    found = mirrors.newest(Distribution.DEBIAN_12, "amd64", ["redis", "haproxy"])
    assert found == {"redis": "5:7.0.15-1~deb12u10", "haproxy": "1:1.8"}
    with pytest.raises(MirrorError, match="debian-12: its mirrors have no keepalived for amd64, and nodes need it"):
        mirrors.newest(Distribution.DEBIAN_12, "amd64", ["keepalived"])
    gone = (tmp_path / "gone.xz").as_uri()
    lists.append(gone)
    with pytest.raises(MirrorError, match=f"{gone}: found .*No such file.*; accepted: a mirror's list"):
        mirrors.newest(Distribution.DEBIAN_12, "amd64", ["redis"])


def test_every_distribution_has_its_security_updates_among_the_lists() -> None:
    for image in Distribution:
        for arch in ("amd64", "arm64"):
            urls = mirrors.indexes(image, arch)
            assert any(f"{mirrors.SUITES[image]}-security/" in url for url in urls)
            assert all(url.endswith(f"/binary-{arch}/Packages.xz") for url in urls)


def test_a_command_pins_what_first_boot_installs_and_only_what_is_newer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wanted(loaded(folder)) == dict.fromkeys(PACKAGES)
    has = dict(OLD)
    monkeypatch.setattr(mirrors, "newest", lambda image, arch, packages: {name: has[name] for name in packages})
    assert images.update_packages(loaded(folder)).keys() == {"debian-12/amd64"}
    assert wanted(loaded(folder)) == OLD
    assert images.update_packages(loaded(folder)) == {}
    has = dict(NEW)
    images.update_packages(loaded(folder))
    assert wanted(loaded(folder)) == NEW
    # A mirror that lags, or one that somebody else answers for: of Ubuntu they are asked without TLS.
    has = dict(OLD)
    with pytest.raises(MirrorError, match="redis-server 5:7.0.15-1~deb12u9, which is older than the pinned 5:7"):
        images.update_packages(loaded(folder))
    assert wanted(loaded(folder)) == NEW


def test_what_is_baked_is_not_installed_and_so_not_asked_for(folder: Path) -> None:
    pin(folder, OLD)
    baked = loaded(folder).model_copy(update={"images": Images.BAKED})
    assert images.update_packages(baked) == {}
    assert wanted(baked) == {}


def test_a_lock_file_that_was_edited_by_hand_is_told(folder: Path) -> None:
    pin(folder, OLD | {"haproxy": "1.0; reboot"})
    with pytest.raises(HoldfastError, match=r"packages.lock.json: found no valid versions of packages \(prod.debian"):
        loaded(folder)


def test_validate_says_that_nothing_is_pinned(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", str(ENVIRONMENTS / "prod.yaml")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "No versions of packages are pinned for debian-12/amd64: first boot installs the newest" in said
    assert "holdfast images update prod" in said
    assert cli.main(["validate", "local"]) == 0
    assert "No versions of packages" not in capsys.readouterr().out


def test_preflight_says_before_a_deploy_that_no_machine_could_boot(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has = {name: {version} for name, version in NEW.items()}
    monkeypatch.setattr(mirrors, "offered", lambda image, arch, packages: has)
    update = "holdfast images update prod"
    for pinned, verdict, says in (
        (None, Verdict.WRONG, f"none is pinned, so first boot installs the newest: {update}"),
        (
            OLD,
            Verdict.WRONG,
            "the mirrors have no redis-server 5:7.0.15-1~deb12u9 any more, so no machine could boot: ",
        ),
        (NEW, Verdict.RIGHT, "the mirrors have redis-server 5:7.0.15-1~deb12u10, redis-sentinel 1.0-1, "),
    ):
        if pinned:
            pin(folder, pinned)
        [check] = machines.packages(loaded(folder))
        assert (check.what, check.verdict) == ("packages debian-12/amd64", verdict)
        assert check.says.startswith(says)
