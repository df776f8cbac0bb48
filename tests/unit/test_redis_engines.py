"""The settings of Redis, tried on Redis itself: on this machine's, and on that of each image that the twin has built.

`HOLDFAST_REDIS_SERVERS` names further ones: programs that behave as `redis-server`, with `:` between them.
"""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from holdfast.rendering.files import render_files
from holdfast.topology import Cluster, Environment, load_environment
from holdfast.topology.load import ENVIRONMENTS
from holdfast.topology.redis_settings import SETTINGS, Setting, lines
from holdfast.topology.redis_settings.kinds import size_of
from holdfast.topology.versions import REDIS_VERSIONS
from holdfast.twin.images import IMAGES

CAPTURED = Path(__file__).parent / "redis_config"
PACKAGED = "redis-check-rdb"
"""In the distributions' redis-tools: the same program as redis-server. Which one it is depends on its name."""

Version = tuple[int, int]


@dataclass(frozen=True)
class Engine:
    version: Version
    program: Path
    words: tuple[str, ...]
    """What it is called with, its name first."""

    def run(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self.words, *arguments], executable=self.program, **options)


def _engines() -> dict[Version, Engine]:
    found: dict[Version, Engine] = {}
    here = [os.environ.get("HOLDFAST_REDIS_SERVERS", ""), shutil.which("redis-server"), shutil.which(PACKAGED)]
    programs = [(Path(path), ("redis-server",)) for path in ":".join(filter(None, here)).split(":") if path]
    for image in sorted(IMAGES.glob("[!.]*/usr/bin")):
        for loader in (image.parent / "lib").glob("*-linux-gnu/ld-linux-*.so.*"):
            libraries = ("--library-path", str(loader.parent), "--argv0", "redis-server")
            programs.append((loader, ("ld.so", *libraries, str(image / PACKAGED))))
    for program, words in programs:
        if not Path(words[-1] if len(words) > 1 else program).is_file():
            continue
        said = subprocess.run([*words, "--version"], executable=program, capture_output=True, text=True).stdout
        if match := re.search(r"v=(\d+)\.(\d+)", said):
            version = (int(match[1]), int(match[2]))
            found.setdefault(version, Engine(version, program, words))
    return found


ENGINES = _engines()
VERSIONS = sorted(set(REDIS_VERSIONS.values()))


@pytest.fixture(params=VERSIONS, ids=lambda version: ".".join(map(str, version)))
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param not in ENGINES:
        pytest.skip("no such Redis here: see HOLDFAST_REDIS_SERVERS in tests/README.md")
    return ENGINES[request.param]


@contextmanager
def running(engine: Engine, folder: Path, *arguments: str) -> Iterator[redis.Redis]:
    """It, without a port; fails with its log when it does not start."""
    path, log = folder / "redis.sock", folder / "redis.log"
    with log.open("wb") as output:
        own = ("--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--supervised", "no")
        process = engine.run(*arguments, *own, stdout=output, stderr=output)
    client = redis.Redis(unix_socket_path=str(path), decode_responses=True)
    try:
        deadline = time.monotonic() + 10
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                client.config_get("port")
                break
            except redis.ConnectionError:
                time.sleep(0.01)
        yield client
    finally:
        client.close()
        process.kill()
        process.wait()


def of(version: Version) -> list[Setting]:
    return [setting for setting in SETTINGS.values() if setting.is_in(version)]


def as_told(setting: Setting, value: str) -> set[str]:
    """A value as CONFIG GET has it: sizes in bytes, whatever the order."""
    if setting.name == "notify-keyspace-events":
        every, letters = set("g$lshzxetd"), set(value)
        letters |= every if "A" in letters else set()
        return letters - ({"A", "n"} if every <= letters else set())  # Beside A, Redis does not tell of n.
    words = value.split()
    sizes = [size_of(word) for word in words]
    return {word if size is None else str(size) for word, size in zip(words, sizes, strict=True)}


def told(client: redis.Redis, setting: Setting, version: Version) -> set[str]:
    name = setting.name_in(version)
    value = client.config_get(name)[name]
    if setting.name == "client-output-buffer-limit":
        value = re.sub(r"slave \d+ \d+ \d+", "", value)
    return as_told(setting, value)


def test_redis_has_the_settings_that_were_captured(engine: Engine, tmp_path: Path) -> None:
    text = (CAPTURED / f"{engine.version[0]}.{engine.version[1]}.txt").read_text()
    with running(engine, tmp_path) as client:
        assert set(client.config_get("*")) - {"dir", "port"} == {line.split()[0] for line in text.splitlines()}


def test_redis_takes_every_setting_at_its_default_its_lowest_and_its_highest(engine: Engine, tmp_path: Path) -> None:
    with running(engine, tmp_path) as client:
        for setting in of(engine.version):
            name = setting.name_in(engine.version)
            assert told(client, setting, engine.version) == as_told(setting, setting.redis), name
            for value in (setting.kind.lowest, setting.kind.highest, setting.redis):
                if setting.while_running and setting.kind.needs(value) <= engine.version:
                    client.config_set(name, value)
                    assert told(client, setting, engine.version) == as_told(setting, value), f"{name} {value}"


def test_redis_refuses_to_change_while_it_runs_what_takes_a_start(engine: Engine, tmp_path: Path) -> None:
    with running(engine, tmp_path) as client:
        for setting in of(engine.version):
            if not setting.while_running:
                with pytest.raises(redis.ResponseError):
                    client.config_set(setting.name, setting.kind.highest)


def test_the_redis_of_distributions_cannot_defragment(engine: Engine, tmp_path: Path) -> None:
    with running(engine, tmp_path) as client, pytest.raises(redis.ResponseError, match="modified Jemalloc"):
        client.config_set("activedefrag", "yes")


def environment(version: Version, given: dict[str, str], memory: str = "4GB") -> Environment:
    """The environment `prod` on a distribution with that Redis, without TLS, with some settings."""
    image = next(image for image, its in REDIS_VERSIONS.items() if its == version)
    prod = load_environment(ENVIRONMENTS / "prod.yaml")
    content = prod.model_dump(mode="json") | {"tls": "off"}
    content["machines"]["node"]["image"] = image
    content["redis"] |= {"memory": memory, "settings": given, "eviction": "allkeys-lru", "durability": "available"}
    return Environment.model_validate(content)


def configured(cluster: Cluster, folder: Path) -> str:
    """The path of redis.conf of its first node, with places of this machine."""
    node = cluster.nodes[0]
    text = render_files(cluster, node)["/etc/holdfast/redis.conf"]
    places = {"/run/holdfast": folder, "/var/lib/holdfast/redis": folder, node.address: "127.0.0.1"}
    for there, here in places.items():
        text = text.replace(str(there), str(here))
    (folder / "redis.conf").write_text(text)
    (folder / "users.acl").write_text("user default on nopass ~* +@all\n")
    (folder / "redis-auth.conf").write_text("")
    return str(folder / "redis.conf")


@pytest.mark.parametrize("which", ["defaults", "lowest", "highest"])
def test_redis_starts_with_what_is_rendered_and_has_it(engine: Engine, tmp_path: Path, which: str) -> None:
    values = {setting.name: getattr(setting.kind, which, "") for setting in of(engine.version)}
    # The highest of an older Redis: it does not know all letters.
    fits = {name: value for name, value in values.items() if SETTINGS[name].kind.needs(value) <= engine.version}
    cluster = Cluster.of(environment(engine.version, {} if which == "defaults" else fits))
    own = cluster.environment.redis
    expected = {line.name: line.value.strip('"') for line in lines(own.settings, own.memory, engine.version)}
    with running(engine, tmp_path, configured(cluster, tmp_path)) as client:
        for setting in of(engine.version):
            name = setting.name_in(engine.version)
            if name in expected and setting.name != "client-output-buffer-limit":
                assert told(client, setting, engine.version) == as_told(setting, expected[name]), name
        limits = client.config_get("client-output-buffer-limit")["client-output-buffer-limit"]
        unread = {"defaults": own.memory // 8 * 2**20, "lowest": 2**20, "highest": 4 * 2**30}[which]
        assert limits.startswith(f"normal {unread} ")


def test_clients_that_ask_and_do_not_read_are_closed_before_a_key_is_evicted(engine: Engine, tmp_path: Path) -> None:
    """Each stays below what one may leave unread, and together they would fill most of the memory."""
    if engine.version < (7, 0):
        pytest.skip("Redis 6.0 limits one client, and not all together")
    cluster = Cluster.of(environment(engine.version, {}, memory="256MB"))
    with running(engine, tmp_path, configured(cluster, tmp_path)) as client:
        client.execute_command("REPLICAOF", "NO", "ONE")
        client.set("large", b"x" * 2**20)
        mine = client.client_id()
        idle = []
        for _ in range(4):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(tmp_path / "redis.sock"))
            connection.sendall(b"GET large\r\n" * 50)
            idle.append(connection)
        deadline = time.monotonic() + 10
        while not (seen := client.info("stats"))["evicted_clients"]:
            assert time.monotonic() < deadline, seen
            time.sleep(0.01)
        assert seen["evicted_keys"] == 0
        assert client.client_id() == mine
        for connection in idle:
            connection.close()
