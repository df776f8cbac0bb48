"""Which versions of packages the distributions' mirrors have now, by the same indexes that apt reads on a machine."""

from __future__ import annotations

import lzma
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from debian.deb822 import Deb822
from debian.debian_support import Version

from holdfast.errors import HoldfastError
from holdfast.topology.spec import Distribution

TIMEOUT = 60.0
"""Seconds without a byte: the largest index has 14 MB."""

SUITES = {
    Distribution.DEBIAN_12: "bookworm",
    Distribution.DEBIAN_13: "trixie",
    Distribution.UBUNTU_22_04: "jammy",
    Distribution.UBUNTU_24_04: "noble",
}

UBUNTU = {"amd64": "http://archive.ubuntu.com/ubuntu", "arm64": "http://ports.ubuntu.com/ubuntu-ports"}
"""They do not speak HTTPS."""


class MirrorError(HoldfastError):
    """A mirror does not answer, or lacks a package."""


def indexes(image: Distribution, arch: str) -> list[str]:
    """URLs of the package lists that a stock image's apt is set up with: release, updates, security."""
    suite = SUITES[image]
    if image in (Distribution.DEBIAN_12, Distribution.DEBIAN_13):
        debian = "https://deb.debian.org/debian"
        folders = [f"{debian}/dists/{it}/main" for it in (suite, f"{suite}-updates")]
        folders.append(f"{debian}-security/dists/{suite}-security/main")
    else:
        pockets = (suite, f"{suite}-updates", f"{suite}-security")
        folders = [f"{UBUNTU[arch]}/dists/{pocket}/{part}" for pocket in pockets for part in ("main", "universe")]
    return [f"{folder}/binary-{arch}/Packages.xz" for folder in folders]


def newest(image: Distribution, arch: str, packages: Collection[str]) -> dict[str, str]:
    """The version of each package that apt would install.

    Raises:
        MirrorError: a list cannot be had, or one of the packages is in none.
    """
    found = offered(image, arch, packages)
    for package, versions in found.items():
        if not versions:
            raise MirrorError(
                f"{image}: its mirrors have no {package} for {arch}, and nodes need it: try again, or another image"
            )
    return {package: max(versions, key=Version) for package, versions in found.items()}


def offered(image: Distribution, arch: str, packages: Collection[str]) -> Mapping[str, Collection[str]]:
    """Every version that they have of each package.

    Raises:
        MirrorError: a list cannot be had.
    """
    found: dict[str, set[str]] = {package: set() for package in packages}
    urls = indexes(image, arch)
    with ThreadPoolExecutor(len(urls)) as pool:
        for entries in pool.map(lambda url: list(_entries(url, found)), urls):
            for package, version in entries:
                found[package].add(version)
    return found


def _entries(url: str, packages: Collection[str]) -> Iterator[tuple[str, str]]:
    """Package and version of those entries of a list that are of these packages."""
    for entry in _fetch(url).split("\n\n"):
        # The others are not parsed: a list has 60,000.
        name = entry.lstrip("\n").partition("\n")[0].removeprefix("Package: ")
        if name in packages:
            yield name, Deb822(entry)["Version"]


def _fetch(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            return lzma.decompress(answer.read()).decode()
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise MirrorError(
            f"{url}: found {error}; accepted: a mirror's list of packages. Try again, or set HTTPS_PROXY and "
            "HTTP_PROXY where the way out leads through a proxy"
        ) from None
