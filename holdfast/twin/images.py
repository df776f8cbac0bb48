"""The twin's machine images: a catalogue, and root file systems built with mmdebstrap and kept by recipe."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.twin import recipes
from holdfast.twin.run import CACHE, STATE, CommandFailed, remove_tree, require_root, run

IMAGES = CACHE / "images"
"""`<image name>-<recipe key>/`: a complete root file system. Names that start with a dot are unfinished."""

DEBIAN_OWNER = "136693071363"
"""The AWS account that publishes Debian's images."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR, SECURITY_MIRROR = "http://deb.debian.org/debian", "http://deb.debian.org/debian-security"

HOST_APT_SETTINGS = (
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
)
"""How this host reaches its mirror also holds for images; a frozen mirror's index has expired."""

ISOLATED = ("setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child")
"""A build in namespaces of its own: killed with whoever builds, and its mounts are gone then."""

BUILD_TIMEOUT = 900.0
DATA_SOURCE = "usr/lib/python3/dist-packages/cloudinit/sources/DataSourceEc2.py"


@dataclass(frozen=True)
class Image:
    """One entry of the catalogue. Its id and name do not change with its recipe, so that pinned ids stay valid."""

    distribution: str
    """As environment files say it: `debian-12`."""
    suite: str
    baked: bool

    @property
    def key(self) -> str:
        """As people and logs name it: `debian-12-stock`."""
        return f"{self.distribution}-{'baked' if self.baked else 'stock'}"

    @property
    def name(self) -> str:
        """What EC2 calls it; the newest by name and by date."""
        return f"holdfast-{self.distribution}-amd64-1" if self.baked else f"{self.distribution}-amd64-20251006-2257"

    @property
    def id(self) -> str:
        return "ami-" + hashlib.sha256(self.name.encode()).hexdigest()[:17]

    @property
    def owner(self) -> str | None:
        """Account id of the publisher; None: the twin's own account (`self`)."""
        return None if self.baked else DEBIAN_OWNER

    @property
    def created(self) -> str:
        return "2025-10-07T00:00:00.000Z"

    @property
    def recipe(self) -> recipes.Recipe:
        return recipes.baked(self.suite) if self.baked else recipes.stock(self.suite)

    @property
    def path(self) -> Path:
        """Where its root file system lies once it is built."""
        return IMAGES / f"{self.key}-{self.recipe.key}"


CATALOGUE: tuple[Image, ...] = tuple(
    Image(distribution, suite, baked)
    for distribution, suite in (("debian-12", "bookworm"), ("debian-13", "trixie"))
    for baked in (False, True)
)


def of(distribution: str, *, baked: bool) -> Image:
    """The image that an environment file means.

    Raises:
        HoldfastError: the twin has none.
    """
    for image in CATALOGUE:
        if (image.distribution, image.baked) == (distribution, baked):
            return image
    have = ", ".join(sorted({image.distribution for image in CATALOGUE}))
    raise HoldfastError(f"the twin has no image of {distribution}; it has {have}")


def by_id(image_id: str) -> Image:
    """The image with an AMI id.

    Raises:
        HoldfastError: the twin has none.
    """
    for image in CATALOGUE:
        if image.id == image_id:
            return image
    have = ", ".join(f"{image.id} ({image.key})" for image in CATALOGUE)
    raise HoldfastError(f"the twin has no image {image_id}; it has {have}")


def ensure(image: Image, progress: Callable[[str], None] = lambda _: None) -> Path:
    """The image's root file system, built when it is not there yet (about 40 s).

    Safe to call from several processes at once, and after a build was killed.
    """
    if image.path.is_dir():
        return image.path
    require_root()
    with _lock():
        if not image.path.is_dir():
            _sweep()
            _build(image, progress)
    return image.path


def drop() -> None:
    """Delete every built image. No machine may be left."""
    if CACHE.is_dir():
        remove_tree(CACHE)


def mirror() -> tuple[str, str]:
    """The package archive and its security archive: this host's own when it is a Debian, else Debian's."""
    try:
        lines = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"])
    except CommandFailed:
        return MIRROR, SECURITY_MIRROR
    configured = {release: uri.rstrip("/") for uri, _, release in (line.partition(" ") for line in lines.splitlines())}
    for suite in {image.suite for image in CATALOGUE}:
        if suite in configured:
            return configured[suite], configured.get(f"{suite}-security", SECURITY_MIRROR)
    return MIRROR, SECURITY_MIRROR


@contextmanager
def _lock() -> Iterator[None]:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (IMAGES / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sweep() -> None:
    """Remove unfinished builds, and what older recipes made unless a machine still stands on it."""
    keep = {image.path for image in CATALOGUE} | {link.resolve() for link in STATE.glob("machines/*/image")}
    for path in IMAGES.iterdir():
        if path.is_dir() and path not in keep:
            remove_tree(path)


def _build(image: Image, progress: Callable[[str], None]) -> None:
    target = IMAGES / f".building-{image.key}"
    if image.recipe.base is None:
        progress(f"building image {image.key} from {mirror()[0]}")
        _bootstrap(image.recipe, target)
    else:
        stock = of(image.distribution, baked=False)
        if not stock.path.is_dir():
            _build(stock, progress)
        progress(f"building image {image.key} on {stock.key}")
        run(["cp", "--archive", "--reflink=auto", stock.path, target], timeout=BUILD_TIMEOUT)
        _install(image.recipe, target)
    _dress(image.recipe, target)
    target.rename(image.path)


def _bootstrap(recipe: recipes.Recipe, target: Path) -> None:
    archive, security = mirror()
    options = ["--mode=root", "--variant=minbase", "--format=directory", f"--keyring={KEYRING}"]
    options += [f"--include={','.join(recipe.packages)}", "--dpkgopt=force-unsafe-io"]
    options += [f"--aptopt={setting}" for setting in ['Apt::Install-Recommends "false"', *_host_apt_settings()]]
    options += [f"--dpkgopt=path-exclude={pattern}" for pattern in recipes.EXCLUDED]
    sources = [
        f"deb {archive} {recipe.suite} main",
        f"deb {archive} {recipe.suite}-updates main",
        f"deb {security} {recipe.suite}-security main",
    ]
    run(
        [*ISOLATED, "mmdebstrap", *options, recipe.suite, target, *sources],
        timeout=BUILD_TIMEOUT,
    )


def _install(recipe: recipes.Recipe, target: Path) -> None:
    """Add packages to a root file system that is not running, from this host's network."""
    (target / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    (target / "usr/sbin/policy-rc.d").chmod(0o755)
    options = [
        part for setting in _host_apt_settings() for part in ("-o", setting.replace(" ", "=", 1).replace('"', ""))
    ]
    if not any(option.startswith("Acquire::http::Proxy") for option in options):
        # The image's own proxy exists only inside the twin.
        options += ["-o", "Acquire::http::Proxy=false"]
    apt = ["apt-get", "-qq", "-o", "Dpkg::Options::=--force-unsafe-io", *options]
    script = (
        'root=$1; shift; mount -t proc proc "$root/proc"; mount --bind /etc/resolv.conf "$root/etc/resolv.conf"; '
        'exec chroot "$root" "$@"'
    )
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *recipe.packages]):
        run(
            [*ISOLATED, "sh", "-ec", script, "sh", target, *apt, *words],
            timeout=BUILD_TIMEOUT,
            extra={"DEBIAN_FRONTEND": "noninteractive"},
        )
    (target / "usr/sbin/policy-rc.d").unlink()


def _host_apt_settings() -> list[str]:
    """`HOST_APT_SETTINGS` as far as this host has them, as lines of apt.conf without the semicolon."""
    try:
        lines = run(["apt-config", "dump"]).splitlines()
    except CommandFailed:
        return []
    return [line.rstrip(";") for line in lines if line.partition(" ")[0] in HOST_APT_SETTINGS]


def _dress(recipe: recipes.Recipe, root: Path) -> None:
    """What makes a file tree an image: nothing of the host that built it, nothing that is of one machine only."""
    for name, text in recipe.files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")
    (root / "etc/hostname").unlink(missing_ok=True)
    run(["systemctl", f"--root={root}", "mask", *recipe.disabled])
    source = root / DATA_SOURCE
    text = source.read_text(encoding="utf-8").replace("/sys/hypervisor/uuid", "/etc/hypervisor/uuid")
    if "/etc/hypervisor/uuid" not in text:
        raise HoldfastError(f"{source}: found no /sys/hypervisor/uuid: cloud-init recognises EC2 in another way now")
    source.write_text(text, encoding="utf-8")
    for leftover in ("var/lib/apt/lists", "var/cache/apt/archives"):
        shutil.rmtree(root / leftover, ignore_errors=True)
        (root / leftover / "partial").mkdir(parents=True)
    for cache in ("pkgcache.bin", "srcpkgcache.bin"):
        (root / "var/cache/apt" / cache).unlink(missing_ok=True)
