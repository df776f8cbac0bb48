"""What first boot says while it cannot go on: with this machine's own apt, and mirrors that are away or lack it."""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from holdfast_node import aws, commands, first_boot, packages
from holdfast_node.identity import Identity

from holdfast.drill.waiting import wait_until
from holdfast.ops import gate, reports, status
from holdfast.ops.reports import Report
from holdfast.topology import Cluster, find_environment, load_environment

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="shows what apt says, where there is apt")

REDIS = "5:7.0.15-1~deb12u6"
CLOSED = "http://127.0.0.1:9"


class GaveUp(Exception):
    """The test has waited often enough."""


class Told:
    """Stands for the progress, without a report and without sleep."""

    def __init__(self, tries: int = 1, after: Callable[[], None] = lambda: None) -> None:
        self.sentences: list[str] = []
        self._left, self._after = tries, after

    def tries(self, sentence: str) -> None:
        self.sentences.append(sentence)

    does = tries

    def waits(self, held: Exception) -> None:
        self.sentences.append(str(held))
        self._left -= 1
        if not self._left:
            raise GaveUp
        self._after()


@contextmanager
def mirror(folder: Path, *versions: str) -> Iterator[str]:
    """A mirror on this machine that has a redis-server of these versions; its URL."""
    folder.mkdir()
    entry = "Package: redis-server\nArchitecture: all\nMaintainer: a test\nDescription: a test\nSize: 1\n"
    entries = [
        f"{entry}Version: {version}\nFilename: {index}.deb\nSHA256: {index:064}\n"
        for index, version in enumerate(versions)
    ]
    (folder / "Packages").write_text("\n".join(entries))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def set_up(folder: Path, monkeypatch: pytest.MonkeyPatch, *mirrors: str) -> None:
    """This machine's apt, with mirrors and an empty machine of its own, that installs nothing for real."""
    for name in ("lists/partial", "archives/partial", "etc"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text("".join(f"deb [trusted=yes] {url} ./\n" for url in mirrors))
    (folder / "apt.conf").write_text(f"""\
Dir::State "{folder}"; Dir::State::status "{folder}/status"; Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}"; Dir::Etc "{folder}/etc"; Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Log "{folder}"; APT::Architecture "amd64"; APT::Sandbox::User "root"; Debug::NoLocking "true";
APT::Get::Simulate "true"; Acquire::http::Proxy "DIRECT"; #clear DPkg::Post-Invoke; #clear APT::Update::Post-Invoke;
""")
    monkeypatch.setenv("APT_CONFIG", str(folder / "apt.conf"))


@needs_apt
def test_pinned_packages_are_installed_in_their_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    with mirror(tmp_path / "mirror", REDIS, "5:7.0.15-1~deb12u5") as url:
        set_up(tmp_path, monkeypatch, url)
        first_boot.install({"redis-server": "5:7.0.15-1~deb12u5"}, told)
        first_boot.install({"redis-server": None}, told)
    assert told.sentences == [
        "asks the package mirrors",
        "installs redis-server=5:7.0.15-1~deb12u5",
        "asks the package mirrors",
        "installs redis-server",
    ]


@needs_apt
@pytest.mark.parametrize(
    ("has", "wanted", "says"),
    [
        ([REDIS], "5:7.0.15-1~deb12u5", f"redis-server 5:7.0.15-1~deb12u5 (they have {REDIS})"),
        ([REDIS, "5:7.0.1-1"], "5:7.0", f"redis-server 5:7.0 (they have {REDIS} and 5:7.0.1-1)"),
        ([], "5:7.0", "redis-server 5:7.0 (they have none)"),
        ([], None, "redis-server (they have none)"),
    ],
)
def test_a_mirror_that_lacks_a_version_is_told_with_what_it_has_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has: list[str], wanted: str, says: str
) -> None:
    told = Told()
    with mirror(tmp_path / "mirror", *has) as url:
        set_up(tmp_path, monkeypatch, url)
        with pytest.raises(GaveUp):
            first_boot.install({"redis-server": wanted}, told)
    remedy = "pin what they have with `holdfast images update ENV`, and deploy"
    assert told.sentences[-1] == f"the package mirrors lack {says}: {remedy}"


@needs_apt
def test_a_mirror_that_is_away_is_told_and_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mirror(tmp_path / "mirror", REDIS) as url:
        set_up(tmp_path, monkeypatch, CLOSED)
        told = Told(tries=2, after=lambda: set_up(tmp_path, monkeypatch, url))
        first_boot.install({"redis-server": REDIS}, told)
    away = told.sentences[1]
    assert away.startswith(f"a package mirror cannot be used: Failed to fetch {CLOSED}/")
    assert "Could not connect to 127.0.0.1:9" in away
    assert told.sentences[-1] == f"installs redis-server={REDIS}"


@needs_apt
def test_where_one_mirror_is_away_nothing_is_taken_from_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is away may be that of security updates, and the others have an older version."""
    told = Told()
    with mirror(tmp_path / "mirror", "5:7.0.15-1~deb12u5") as url:
        set_up(tmp_path, monkeypatch, url, CLOSED)
        with pytest.raises(GaveUp):
            first_boot.install({"redis-server": None}, told)
    assert told.sentences[-1].startswith(f"a package mirror cannot be used: Failed to fetch {CLOSED}/")


class Bucket:
    """What the first boot's report goes to, in place of the cloud."""

    def __init__(self) -> None:
        self.put: list[dict[str, Any]] = []
        self.arrived = threading.Event()

    def put_report(self, report: dict[str, Any]) -> None:
        self.put.append(report)
        self.arrived.set()

    def next(self) -> Report:
        self.arrived.clear()
        assert self.arrived.wait(10)
        return read(self.put[-1])


def read(content: dict[str, Any]) -> Report:
    """As an operator reads it."""
    report = reports.read(json.dumps(content).encode(), node="local-a1", others={}, age=1.0)
    assert isinstance(report, Report)
    return report


def test_the_gate_and_the_status_say_what_first_boot_waits_for_and_since_when(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = Bucket()
    monkeypatch.setattr(first_boot, "REPORT", 0.01)
    monkeypatch.setattr(first_boot, "RETRY", 0.0)
    monkeypatch.setattr(first_boot, "Cloud", lambda me: bucket)
    monkeypatch.setattr(aws, "instance_id", lambda: "i-1")
    with first_boot.Progress(identity) as progress:
        progress.tries("asks the package mirrors")
        bucket.next()
        assert bucket.next().decision.startswith("first boot: asks the package mirrors (since ")
        progress.waits(first_boot.Held("a package mirror cannot be used", "Err:1 http://mirror\n"))
        bucket.next()
        report, since = bucket.next(), bucket.put[-1]["decision"].partition(" (")[2]
        [sentence] = gate.waiting_for({"local-a1": "i-1"}, {"local-a1": report})
        assert sentence == f"local-a1 (i-1) is not ready: first boot: a package mirror cannot be used ({since}"
        assert since.startswith("since ") and since.endswith(" UTC)")
        cluster = Cluster.of(load_environment(find_environment("local")))
        shown = status.work_out(cluster, {"local-a1": report}).nodes[0]
        assert (shown.role, shown.healthy, shown.says) == ("down", False, report.decision)
        # Else the problem is shown in every other moment only.
        progress.tries("asks the package mirrors")
        assert "a package mirror cannot be used" in bucket.next().decision
        # Of a mirror with many addresses apt names another one each time.
        progress.waits(first_boot.Held("a package mirror cannot be used: [IP: 192.0.2.2]"))
        bucket.next()
        assert bucket.next().decision == f"first boot: a package mirror cannot be used: [IP: 192.0.2.2] ({since}"
        progress.does("starts the node program")
    assert bucket.put[-1]["decision"].startswith("first boot: starts the node program (since ")
    bucket.arrived.clear()
    assert not bucket.arrived.wait(0.1), "the node program writes the report now"
    assert capsys.readouterr().err == (
        "first boot: asks the package mirrors\nErr:1 http://mirror\nfirst boot: a package mirror cannot be used\n"
        "first boot: a package mirror cannot be used: [IP: 192.0.2.2]\n"
        "first boot: starts the node program\n"
    )


@pytest.mark.parametrize("roles", [["data"], ["gateway"], ["sentinel"], ["data", "gateway", "sentinel"]])
def test_the_report_of_a_first_boot_is_one_that_other_nodes_and_operators_read(
    identity: Identity, roles: list[str]
) -> None:
    content = first_boot.Progress(dataclasses.replace(identity, roles=roles)).report("i-1")
    report = read(content)
    assert (report.ready, report.role) == (False, "down" if "data" in roles else roles[0])
    # As the gateways ask before they take the floating pair (floating.py).
    assert "gateway" not in roles or content["gateway"] == {"floating": False}


def test_a_baked_image_installs_nothing(identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_boot, "FILE", tmp_path / "packages.json")
    monkeypatch.setattr(commands.identity, "load", lambda: identity)
    (tmp_path / "packages.json").write_text("{}")
    monkeypatch.setattr(first_boot, "install", lambda packages, progress: pytest.fail("there is nothing to install"))
    assert commands.main(["install"]) == 0


def test_a_baked_image_that_is_not_the_pinned_one_is_told_and_not_begun(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in (("packages.json", {}), ("baked.json", {"redis-server": REDIS, "haproxy": "2.6-1"})):
        (tmp_path / name).write_text(json.dumps(content))
    monkeypatch.setattr(first_boot, "FILE", tmp_path / "packages.json")
    monkeypatch.setattr(first_boot, "BAKED", tmp_path / "baked.json")
    monkeypatch.setattr(first_boot, "RETRY", 0.0)
    monkeypatch.setattr(aws, "instance_id", lambda: "i-1")
    has = [{"redis-server": REDIS}, {"redis-server": REDIS, "haproxy": "2.6-1"}]
    monkeypatch.setattr(packages, "installed", lambda names: has[0])
    bucket = Bucket()
    monkeypatch.setattr(first_boot, "Cloud", lambda me: bucket)
    booting = threading.Thread(target=first_boot.run, args=(identity,), daemon=True)
    booting.start()
    wait_until(lambda: "another one" in str(bucket.put[-1:]), 10, lambda: str(bucket.put))
    told = "first boot: the image is another one than was pinned: haproxy is not installed, expected 2.6-1 (since "
    assert read(bucket.put[-1]).decision.startswith(told)
    assert booting.is_alive()
    has.pop(0)
    booting.join(10)
    assert not booting.is_alive()
    # One that is as pinned begins without a word: it waits for nothing.
    said = len(bucket.put)
    first_boot.run(identity)
    assert len(bucket.put) == said


@needs_apt
def test_what_is_installed_is_what_dpkg_says() -> None:
    assert packages.installed(["dpkg", "no-such-package"]).keys() == {"dpkg"}
    [wrong] = packages.differing({"dpkg": "0", **packages.installed(["dpkg"]), "dpkg-none": "1"})
    assert wrong == "dpkg-none is not installed, expected 1"
