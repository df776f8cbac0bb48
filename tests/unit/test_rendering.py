"""What a machine gets: it fits, it is the same every time, it holds no secret, and it suits its Redis."""

import base64
import gzip
import importlib
import itertools
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.rendering import check_user_data, program, render_files, user_data, user_data_base64
from holdfast.topology import Cluster, Environment, environment_files, load_environment
from holdfast.topology.spec import Distribution, Role

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = {file.stem: load_environment(file) for file in environment_files(ROOT / "environments")}

REDIS, SENTINEL = "/etc/holdfast/redis.conf", "/etc/holdfast/sentinel.conf"
HAPROXY = "/etc/holdfast/haproxy.cfg"


def changed(environment: Environment, **sections: Any) -> Environment:
    """As if the file of `environment` said something else in some keys of its sections."""
    content = environment.model_dump(mode="json")
    # Written as people do; the model keeps MiB.
    content["redis"]["memory"] = f"{environment.redis.memory}MB"
    for section, value in sections.items():
        content[section] = content[section] | value if isinstance(value, dict) else value
    return Environment.model_validate(content)


def on(environment: Environment, distribution: str) -> Environment:
    return changed(environment, machines={"node": {"type": environment.machines["node"].type, "image": distribution}})


def first(environment: Environment) -> dict[str, str]:
    """The files of an environment's first node."""
    cluster = Cluster.of(environment)
    return render_files(cluster, cluster.nodes[0])


def settings(content: str) -> list[str]:
    """The lines of a configuration without comments."""
    return [line.strip() for line in content.splitlines() if line.strip() and not line.strip().startswith("#")]


PROD = changed(ENVIRONMENTS["prod"], tls="off")
EVERY = [
    pytest.param(changed(on(environment, image), images=images, layout={"kind": "compact", "nodes": nodes}), id=case)
    for (name, environment), image, images, nodes in itertools.product(
        ENVIRONMENTS.items(), Distribution, ("stock", "baked"), (3, 5)
    )
    for case in [f"{name}-{image}-{images}-{nodes}"]
]


@pytest.mark.parametrize("environment", EVERY)
def test_user_data_fits_repeats_and_unpacks_to_the_files(environment: Environment) -> None:
    cluster, again = Cluster.of(environment), Cluster.of(environment)
    assert check_user_data(cluster) == []
    for node, same in zip(cluster.nodes, again.nodes, strict=True):
        data = user_data(cluster, node)
        assert len(data) < 16_384
        assert data == user_data(again, same)
        assert data[4:8] == bytes(4), "gzip's header holds the time of day"
        assert base64.b64decode(user_data_base64(cluster, node)) == data
        text = gzip.decompress(data).decode()
        assert text.startswith("#cloud-config\n")
        content = yaml.safe_load(text)
        assert {entry["path"]: entry["content"] for entry in content["write_files"]} == render_files(cluster, node)
        modes = {entry["path"]: entry["permissions"] for entry in content["write_files"]}
        assert {path for path, mode in modes.items() if mode == "0755"} == {
            "/usr/local/sbin/holdfast-fetch",
            "/usr/local/sbin/holdfast-first-boot",
        }
        assert set(modes.values()) == {"0755", "0644"}
        assert content["runcmd"][-1] == ["systemctl", "enable", "--now", "--no-block", "holdfast-first-boot.service"]


@pytest.mark.parametrize("environment", EVERY)
def test_user_data_holds_no_secret(environment: Environment) -> None:
    cluster = Cluster.of(environment)
    text = gzip.decompress(user_data(cluster, cluster.nodes[0])).decode()
    assert not re.search(r"requirepass|masterauth|auth-pass|AKIA|aws_secret|PRIVATE KEY", text)
    spoken_of = re.sub(r"\$\{HOLDFAST_[A-Z]+_PASSWORD\}", "", text).lower().count("password")
    in_comments = re.findall(r"(?im)^.*(?:#|Description=).*passwords?", text)
    assert spoken_of == len(in_comments), "passwords are only spoken of in comments"


def test_user_data_that_does_not_fit_names_its_node_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("holdfast.rendering.user_data")
    monkeypatch.setattr(module, "LIMIT", 100)
    problems = check_user_data(Cluster.of(PROD))
    assert len(problems) == 3
    assert re.fullmatch(r"user-data of prod-a1 with \d+,\d{3} bytes", problems[0].found)


def test_stock_images_install_packages_and_baked_ones_have_them() -> None:
    def files(images: str) -> dict[str, str]:
        return first(changed(PROD, images=images))

    stock, baked = files("stock"), files("baked")
    packages = "/etc/holdfast/packages.json"
    newest = dict.fromkeys(["redis-server", "redis-sentinel", "redis-tools", "haproxy", "keepalived"])
    assert (json.loads(stock[packages]), json.loads(baked[packages])) == (newest, {})
    # Nothing else differs: a machine of either image boots by the same program.
    assert {path for path in stock if stock[path] != baked[path]} == {packages}


def test_what_first_boot_says_is_on_the_console_too() -> None:
    unit = first(PROD)["/etc/systemd/system/holdfast-first-boot.service"]
    assert {"StandardOutput=journal+console", "StandardError=journal+console"} <= set(unit.splitlines())


@pytest.mark.parametrize(
    ("image", "since_6_2", "since_7_0"),
    [
        ("ubuntu-22.04", False, False),
        ("debian-12", True, True),
        ("ubuntu-24.04", True, True),
        ("debian-13", True, True),
    ],
)
def test_a_redis_gets_only_settings_that_it_knows(image: str, since_6_2: bool, since_7_0: bool) -> None:
    files = first(on(PROD, image))
    identity = json.loads(files["/etc/holdfast/node.json"])
    assert (identity["since_6_2"], identity["since_7_0"]) == (since_6_2, since_7_0)
    assert ("shutdown-timeout 5" in settings(files[REDIS])) is since_7_0
    assert ("oom-score-adj relative" in settings(files[REDIS])) is since_6_2
    reboot = "sentinel master-reboot-down-after-period prod 600"
    assert (reboot in settings(files[SENTINEL])) is since_7_0
    # Redis 6.0 would never be ready: it tells systemd so only once it follows a leader.
    unit_type = "Type=notify" if since_7_0 else "Type=exec"
    assert unit_type in settings(files["/etc/systemd/system/holdfast-redis.service"])
    down_after = 600 if since_7_0 else 2500
    assert f"sentinel down-after-milliseconds prod {down_after}" in settings(files[SENTINEL])


@pytest.mark.parametrize("image", Distribution)
def test_whoever_speaks_to_another_node_is_known_by_its_own_address(image: str) -> None:
    """An image's kernel prefers an endpoint: it is configured first. Redis 6.0 speaks from what it binds first."""
    files = first(on(PROD, image))
    redis, sentinel = settings(files[REDIS]), settings(files[SENTINEL])
    assert "replica-announce-ip 10.60.0.4" in redis
    assert "sentinel announce-ip 10.60.0.4" in sentinel
    for lines in (redis, sentinel):
        assert ("bind-source-addr 10.60.0.4" in lines) is (image is not Distribution.UBUNTU_22_04)
        assert "bind 10.60.0.4 127.0.0.1" in lines
    assert "source 10.60.0.4" in settings(files[HAPROXY].partition("\nfrontend ")[0])
    assert "unicast_src_ip 10.60.0.4" in settings(files["/etc/holdfast/keepalived.conf"])


@pytest.mark.skipif(shutil.which("apt-config") is None, reason="shows what apt makes of it, where there is apt")
@pytest.mark.parametrize("image", Distribution)
@pytest.mark.parametrize("images", ["stock", "baked"])
def test_on_a_machine_that_runs_no_timer_changes_packages(image: str, images: str, tmp_path: Path) -> None:
    files = first(changed(on(PROD, image), images=images))
    ours = {Path(path).name: content for path, content in files.items() if path.startswith("/etc/apt/apt.conf.d/")}
    of_images = {
        "10periodic": 'APT::Periodic::Enable "1";\n',
        "20auto-upgrades": 'APT::Periodic::Update-Package-Lists "1";\nAPT::Periodic::Unattended-Upgrade "1";\n',
        "50unattended-upgrades": "",
        "99needrestart": "",
    }
    parts = tmp_path / "apt.conf.d"
    parts.mkdir()
    for name, content in (of_images | ours).items():
        (parts / name).write_text(content)
    (tmp_path / "apt.conf").write_text(f'Dir::Etc::parts "{parts}";\n')
    said = subprocess.run(
        ["apt-config", "shell", "ENABLED", "APT::Periodic::Enable"],
        env=os.environ | {"APT_CONFIG": str(tmp_path / "apt.conf")},
        capture_output=True,
        text=True,
        check=True,
    )
    # The first thing that apt.systemd.daily asks, of both timers: it ends if so.
    assert said.stdout == "ENABLED='0'\n"


def test_needrestart_restarts_nothing_that_a_leader_hands_over_for() -> None:
    content = first(PROD)["/etc/needrestart/conf.d/holdfast.conf"]
    found = re.findall(r"^\$nrconf\{override_rc\}\{qr\((.+)\)\} = 0;$", content, re.MULTILINE)
    units = [unit.name for unit in (ROOT / "templates" / "systemd").iterdir() if unit.suffix == ".service"]
    assert len(found) == 1
    assert [unit for unit in units if not re.search(found[0], unit)] == []


def test_a_redis_has_room_for_all_that_its_gateways_let_in() -> None:
    """Of all slots, so that a gateway more changes nothing for the others."""
    files = first(PROD)
    leader, replica = frontends(PROD)
    for frontend in (leader, replica):
        assert "tcp-request connection reject if { fe_conn gt 4000 }" in frontend
    # Nobody else leads to replicas; to the leader both do.
    assert "tcp-request content reject if { be_conn(leader) ge 4000 }" in leader
    assert "tcp-request content reject if { nbsrv(replicas) eq 0 } { be_conn(leader) ge 4000 }" in replica
    assert "maxconn 8100" in settings(files[HAPROXY])
    assert "maxclients 21000" in settings(files[REDIS])
    assert "LimitNOFILE=65536" in settings(files["/etc/systemd/system/holdfast-redis.service"])


def frontends(environment: Environment) -> list[list[str]]:
    """The lines of both endpoints."""
    sections = first(environment)[HAPROXY].split("\nfrontend ")
    return [settings(section.partition("\n\n")[0])[1:] for section in sections[1:3]]


@pytest.mark.parametrize("environment", [PROD, changed(PROD, tls="required")], ids=["plaintext", "TLS"])
def test_who_says_nothing_has_ten_seconds_and_who_has_spoken_has_a_day(environment: Environment) -> None:
    for frontend in frontends(environment):
        # By this one a handshake ends too.
        assert "timeout client 10s" in frontend
        # Redis ends who does not log in; who stays connected to HAProxy nevertheless is ended here.
        assert "timeout client-fin 10s" in frontend
        assert "tcp-request inspect-delay 10s" in frontend
        assert frontend.index("tcp-request content accept if { req.len gt 0 }") + 1 == frontend.index(
            "tcp-request content reject"
        )
    assert "timeout tunnel 24h" in settings(first(environment)[HAPROXY])


def test_two_leaders_at_once_are_noticed_when_a_client_speaks_and_not_only_when_it_connects() -> None:
    for frontend in frontends(PROD):
        two = frontend.index("tcp-request content reject if { nbsrv(leader) gt 1 }")
        assert two < frontend.index("tcp-request content accept if { req.len gt 0 }")


@pytest.mark.parametrize(("network", "most"), [({}, 2000), ({"sessions_per_address": 4000}, 4000)])
def test_one_address_may_have_so_many_sessions_at_an_endpoint(network: dict[str, int], most: int) -> None:
    for frontend in frontends(changed(PROD, network=network)):
        counted = frontend.index("tcp-request connection track-sc0 src")
        assert frontend[counted - 1 : counted + 3] == [
            "stick-table type ip size 10k expire 1m store conn_cur,conn_rate(10s)",
            "tcp-request connection track-sc0 src",
            f"tcp-request connection reject if {{ sc0_conn_cur gt {most} }}",
            f"tcp-request connection reject if {{ sc0_conn_rate gt {4 * most} }}",
        ]


@pytest.mark.parametrize("tls", ["required", "optional", "off"])
def test_who_comes_again_and_again_while_nobody_leads_is_not_counted_and_costs_no_handshake(tls: str) -> None:
    leader, replicas = frontends(changed(PROD, tls=tls))
    for frontend, by in ((leader, ""), (replicas, "{ nbsrv(replicas) eq 0 } ")):
        closed = frontend.index(f"tcp-request connection reject if {by}{{ nbsrv(leader) eq 0 }}")
        assert closed < frontend.index("tcp-request connection track-sc0 src")


@pytest.mark.parametrize(("memory", "unread"), [("256MB", "64mb"), ("4GB", "512mb")])
def test_answers_that_nobody_reads_do_not_fill_the_memory(memory: str, unread: str) -> None:
    lines = settings(first(changed(PROD, redis={"memory": memory}))[REDIS])
    assert f"client-output-buffer-limit normal {unread} 0 0" in lines


@pytest.mark.parametrize(("machine", "most"), [("t3.small", 2048 - 384), ("r6i.xlarge", 32768 - 384)])
def test_where_memory_runs_out_redis_is_killed_and_none_of_those_who_replace_it(machine: str, most: int) -> None:
    machines = {"node": {"type": machine, "image": "debian-12"}}
    files = first(changed(PROD, machines=machines, redis={"memory": "512MB"}))
    units = {name.rpartition("/")[2]: settings(text) for name, text in files.items() if name.endswith(".service")}
    redis = units.pop("holdfast-redis.service")
    # systemd's default would stop Redis where a child of it that saves was killed.
    assert [line for line in redis if line.startswith(("Memory", "OOM"))] == [
        f"MemoryMax={most}M",
        "OOMScoreAdjust=500",
        "OOMPolicy=continue",
    ]
    assert "oom-score-adj-values 0 0 300" in settings(files[REDIS])
    scores = {name: line for name, lines in units.items() for line in lines if line.startswith("OOMScoreAdjust=")}
    assert scores == {
        "holdfast-haproxy.service": "OOMScoreAdjust=-700",
        "holdfast-keepalived.service": "OOMScoreAdjust=-700",
        "holdfast-node.service": "OOMScoreAdjust=-800",
        "holdfast-restore.service": "OOMScoreAdjust=900",
        "holdfast-sentinel.service": "OOMScoreAdjust=-800",
    }


@pytest.mark.parametrize(
    ("machine", "image", "tls", "haproxy", "redis"),
    [
        ("m6i.large", "debian-12", "off", 1, 1),
        ("m6i.xlarge", "debian-12", "off", 1, 2),
        ("m6i.2xlarge", "debian-12", "off", 3, 4),
        ("m6i.4xlarge", "debian-12", "off", 7, 8),
        ("m6i.32xlarge", "debian-12", "off", 8, 8),
        # Redis 7 has no use for them with TLS, Redis 8 has.
        ("m6i.2xlarge", "debian-12", "required", 6, 1),
        ("m6i.2xlarge", "debian-13", "required", 3, 4),
        ("t3.2xlarge", "debian-12", "off", 6, 1),
    ],
)
def test_threads_follow_the_vcpus_and_leave_one_to_those_who_decide(
    machine: str, image: str, tls: str, haproxy: int, redis: int
) -> None:
    files = first(changed(PROD, machines={"node": {"type": machine, "image": image}}, tls=tls))
    assert f"nbthread {haproxy}" in settings(files[HAPROXY])
    assert [line for line in settings(files[REDIS]) if line.startswith("io-threads")] == (
        [f"io-threads {redis}"] if redis > 1 else []
    )


def test_threads_that_the_file_asks_for_are_taken_and_haproxy_has_the_rest() -> None:
    machines = {"node": {"type": "m6i.2xlarge", "image": "debian-12"}}
    files = first(changed(PROD, machines=machines, tls="off", redis={"memory": "4GB", "settings": {"io-threads": 6}}))
    assert [line for line in settings(files[REDIS]) if line.startswith("io-threads")] == ["io-threads 6"]
    assert "nbthread 1" in settings(files[HAPROXY])


def test_a_machine_of_one_role_has_all_threads_but_one_for_it() -> None:
    machines = {
        "data": {"type": "m6i.2xlarge"},
        "gateway": {"type": "m6i.xlarge"},
        "sentinel": {"type": "t3.small"},
    }
    content = PROD.model_dump(mode="json") | {"layout": "tiered", "machines": machines, "redis": {"memory": "4GB"}}
    cluster = Cluster.of(Environment.model_validate(content))
    files = {node.name: render_files(cluster, node) for node in cluster.nodes}
    threads = {
        (role, line)
        for node in cluster.nodes
        for role, path in (("data", REDIS), ("gateway", HAPROXY))
        for line in settings(files[node.name].get(path, ""))
        if line.startswith(("io-threads", "nbthread"))
    }
    assert threads == {("data", "io-threads 7"), ("gateway", "nbthread 3")}


@pytest.mark.parametrize(
    ("memory", "machine", "failover", "milliseconds"),
    [
        ("4GB", "r6i.xlarge", {}, 600),
        ("8GB", "r6i.xlarge", {}, 600),
        ("16GB", "r6i.2xlarge", {}, 800),
        ("100GB", "r6i.8xlarge", {}, 2900),
        ("4GB", "r6i.xlarge", {"detection": "5s"}, 5000),
        ("100GB", "r6i.8xlarge", {"detection": "600ms"}, 600),
    ],
)
def test_a_leader_has_time_for_its_fork_or_what_the_file_gives_it(
    memory: str, machine: str, failover: dict[str, str], milliseconds: int
) -> None:
    machines = {"node": {"type": machine, "image": "debian-12"}}
    files = first(changed(PROD, machines=machines, redis={"memory": memory}, failover=failover))
    assert f"sentinel down-after-milliseconds prod {milliseconds}" in settings(files[SENTINEL])
    assert json.loads(files["/etc/holdfast/node.json"])["detection"] == milliseconds / 1000


def test_growing_from_three_nodes_to_five_changes_nothing_for_the_first_three() -> None:
    three = Cluster.of(changed(PROD, layout={"nodes": 3}))
    five = Cluster.of(changed(PROD, layout={"nodes": 5}))
    assert [node.name for node in five.nodes] == ["prod-a1", "prod-b1", "prod-c1", "prod-a2", "prod-b2"]
    for before, after in zip(three.nodes, five.nodes, strict=False):
        assert user_data(three, before) == user_data(five, after)


def test_every_gateway_knows_every_slot_deployed_or_not() -> None:
    content = first(PROD)["/etc/holdfast/haproxy.cfg"]
    servers = [
        "server prod-a1 10.60.0.4:6380",
        "server prod-b1 10.60.16.4:6380",
        "server prod-c1 10.60.32.4:6380",
        "server prod-a2 10.60.0.7:6380",
        "server prod-b2 10.60.16.7:6380",
    ]
    assert [line for line in settings(content) if line.startswith("server ")] == servers * 2
    assert "bind 10.60.0.5:6379 tcp-ut 2m" in settings(content)
    assert "bind 10.60.0.6:6379 tcp-ut 2m" in settings(content)
    identity = json.loads(first(PROD)["/etc/holdfast/node.json"])
    for role in ("data", "sentinels", "gateways"):
        assert list(identity[role]) == ["prod-a1", "prod-b1", "prod-c1", "prod-a2", "prod-b2"]


def test_a_writer_whose_leader_refuses_is_not_held_for_a_second_try() -> None:
    content = first(PROD)["/etc/holdfast/haproxy.cfg"]
    leader = content.partition("\nbackend leader\n")[2].partition("\nbackend ")[0]
    assert "retries 0" in settings(leader)


@pytest.mark.parametrize(
    ("redis", "lines"),
    [
        ({"persistence": "aof"}, ["appendonly yes", "appendfsync everysec", 'save ""']),
        ({"persistence": "rdb"}, ["appendonly no", "appendfsync everysec", "save 3600 1 300 100 60 10000"]),
        ({"persistence": "none"}, ["appendonly no", "appendfsync everysec", 'save ""']),
        ({"durability": "strict"}, ["appendonly yes", "appendfsync always", "min-replicas-to-write 1"]),
        ({"durability": "replicated"}, ["appendfsync everysec", "min-replicas-to-write 1"]),
        ({"durability": "available"}, ["appendfsync everysec", "min-replicas-to-write 0"]),
        ({"memory": "4GB"}, ["maxmemory 4096mb", "repl-backlog-size 409mb"]),
        ({"memory": "256MB"}, ["maxmemory 256mb", "repl-backlog-size 64mb"]),
        ({"eviction": "allkeys-lfu"}, ["maxmemory-policy allkeys-lfu"]),
    ],
    ids=str,
)
def test_what_the_environment_says_of_redis_reaches_its_configuration(redis: dict[str, str], lines: list[str]) -> None:
    found = settings(first(changed(PROD, redis=redis))[REDIS])
    assert [line for line in lines if line not in found] == []
    names = [line.split()[0] for line in found]
    assert len(names) == len(set(names)), "a setting stands twice"


EVERY_OTHER = "&_ &__ &[^_]* &_[^_]* &__[^s]*"
"""Every channel but those that begin with `__s`, as Sentinel's does."""


OWN = "+client|caching +client|getname +client|getredir +client|help +client|id +client|reply +client|setname"
"""What Redis 6.0 has no category for: of CLIENT, what is about one's own connection."""


@pytest.mark.parametrize(
    ("application", "old", "new"),
    [
        (
            {},
            f"~* +@all -@admin -@dangerous +info +role {OWN} +sort -publish +client|tracking",
            f"~* {EVERY_OTHER} +@all -@admin -@dangerous +info +role +sort +sort_ro (+psubscribe &*)",
        ),
        (
            {"channels": ["news:*", "*"], "commands": ["string", "pubsub"]},
            f"~* +@string +@pubsub +@connection -@admin -@dangerous +info +role {OWN} +select -publish "
            "+client|tracking",
            f"~* &news:* {EVERY_OTHER} +@string +@pubsub +@connection -@admin -@dangerous +info +role (+psubscribe &*)",
        ),
        (
            {"commands": ["string"]},
            f"~* +@string +@connection -@admin -@dangerous +info +role {OWN} +select -publish +client|tracking",
            f"~* {EVERY_OTHER} +@string +@connection -@admin -@dangerous +info +role",
        ),
        (
            {"keys": ["orders:*", "carts:*"], "channels": [], "commands": ["read", "pubsub"]},
            f"~orders:* ~carts:* +@read +@pubsub +@connection -@admin -@dangerous +info +role {OWN} +select -publish "
            "-randomkey",
            "~orders:* ~carts:* +@read +@pubsub +@connection -@admin -@dangerous +info +role -randomkey "
            "-client|tracking -pubsub|channels -pubsub|shardchannels",
        ),
        (
            {"keys": ["orders:*"], "channels": []},
            f"~orders:* +@all -@admin -@dangerous +info +role {OWN} -publish -randomkey",
            "~orders:* +@all -@admin -@dangerous +info +role +sort +sort_ro -randomkey -client|tracking "
            "-pubsub|channels -pubsub|shardchannels",
        ),
        (
            {"keys": [], "channels": ["news:*"], "commands": ["pubsub"]},
            f"+@pubsub +@connection -@admin -@dangerous +info +role {OWN} +select -publish -randomkey",
            "&news:* +@pubsub +@connection -@admin -@dangerous +info +role -randomkey -client|tracking "
            "-pubsub|channels -pubsub|shardchannels",
        ),
        (
            {"functions": False, "channels": []},
            f"~* +@all -@admin -@dangerous +info +role {OWN} +sort -publish +client|tracking "
            "-script +script|load +script|exists",
            "~* +@all -@admin -@dangerous +info +role +sort +sort_ro -pubsub|channels -pubsub|shardchannels "
            "-script -function +script|load +script|exists +function|list",
        ),
        (
            # In another order, and twice.
            {"presets": ["list-clients", "list-keys", "flush-database", "list-keys"]},
            f"~* +@all -@admin -@dangerous +info +role {OWN} +sort -publish +client|tracking "
            "+keys +flushdb +client|list",
            f"~* {EVERY_OTHER} +@all -@admin -@dangerous +info +role +sort +sort_ro +keys +flushdb +client|list "
            "(+psubscribe &*)",
        ),
        (
            {"keys": ["a:*", "b:?"], "channels": [], "commands": ["keyspace"], "presets": ["list-keys"]},
            f"~a:* ~b:? +@keyspace +@connection -@admin -@dangerous +info +role {OWN} +select -publish -randomkey "
            "+keys|a:* +keys|b:?",
            "~a:* ~b:? +@keyspace +@connection -@admin -@dangerous +info +role -randomkey -client|tracking "
            "-pubsub|channels -pubsub|shardchannels +keys|a:* +keys|b:?",
        ),
    ],
    ids=[
        *("default", "channels twice", "no channels' commands", "some keys", "sorts", "channels only", "no functions"),
        *("presets", "presets of some keys"),
    ],
)
def test_an_application_may_do_what_the_file_says_and_never_administer(
    application: dict[str, Any], old: str, new: str
) -> None:
    for image, rules in (("ubuntu-22.04", old), ("debian-12", new), ("debian-13", new)):
        files = first(with_applications(image, shop=application))
        assert f"user shop on #<shop> {rules}" in files["/etc/holdfast/users.acl"].splitlines()
        assert "user shop on #<shop> &* " in files["/etc/holdfast/sentinel-users.acl"]


def test_where_redis_can_it_lets_an_application_keep_its_connections() -> None:
    for image in ("debian-12", "ubuntu-24.04", "debian-13"):
        rules = first(with_applications(image, shop={"presets": ["no-evict"]}))["/etc/holdfast/users.acl"]
        assert " +client|no-evict (+psubscribe &*)\n" in rules


def with_applications(image: str, **applications: Any) -> Environment:
    content = changed(on(PROD, image)).model_dump(mode="json") | {"applications": applications}
    content["redis"]["memory"] = f"{PROD.redis.memory}MB"
    return Environment.model_validate(content)


@pytest.mark.parametrize(
    ("image", "scripting", "none"),
    [
        ("ubuntu-22.04", "-script +script|load +script|exists", "-script"),
        *(
            (
                image,
                "-script -function +script|load +script|exists +function|list",
                "-script -function",
            )
            for image in ("debian-12", "ubuntu-24.04", "debian-13")
        ),
    ],
)
def test_of_several_applications_none_replaces_what_another_one_runs(image: str, scripting: str, none: str) -> None:
    """`@write` has FUNCTION LOAD too."""
    some: dict[str, Any] = {"channels": []}
    applications = {
        "shop": some,
        "scripts": some | {"commands": ["scripting"]},
        "stock": some | {"commands": ["read", "write"]},
        "library": some | {"functions": True},
    }
    lines = first(with_applications(image, **applications))["/etc/holdfast/users.acl"].splitlines()
    rules = {line.split()[1]: line for line in lines if line.startswith("user ")}
    assert rules["shop"].endswith(f" {scripting}")
    assert rules["scripts"].endswith(f" {scripting}")
    assert rules["stock"].endswith(f" {none}")
    assert "script" not in rules["library"]
    assert "function" not in rules["library"]


@pytest.mark.parametrize("image", Distribution)
def test_none_but_who_administers_and_the_node_program_of_the_machine_changes_users(image: str) -> None:
    """With rules that Redis 6.0 has too, and nothing else that this user may."""
    files = first(on(PROD, image))
    lines = [line for line in files["/etc/holdfast/users.acl"].splitlines() if line.startswith("user ")]
    assert "user renew on #<renew> +acl|setuser +config|set" in lines
    rules = {line.split()[1]: set(line.split()[2:]) for line in lines}
    all_but_some = {user for user, words in rules.items() if "+@all" in words and "-@admin" in words}
    may = {user for user, words in rules.items() if {"+@all", "+acl", "+acl|setuser", "+acl|load"} & words}
    assert may - all_but_some == {"admin", "renew"}
    assert "renew" not in json.loads(files["/etc/holdfast/node.json"])["secrets"], "no password in the cloud"
    assert "renew" not in files.get("/etc/holdfast/sentinel-users.acl", "")


@pytest.mark.parametrize(
    ("role", "users"), [("data", ["replication", "node"]), ("gateway", ["node"]), ("sentinel", ["sentinel", "node"])]
)
def test_a_machine_logs_in_as_its_own_parts_alone(role: str, users: list[str]) -> None:
    cluster = Cluster.of(ENVIRONMENTS["prod"])
    node = replace(cluster.nodes[0], roles=frozenset({Role(role)}))
    assert json.loads(render_files(cluster, node)["/etc/holdfast/node.json"])["logins"] == users


@pytest.mark.parametrize("image", Distribution)
def test_none_but_sentinels_and_who_administers_may_greet_sentinels(image: str) -> None:
    lines = first(on(PROD, image))["/etc/holdfast/users.acl"].splitlines()
    rules = {line.split()[1]: line.split()[2:] for line in lines if line.startswith("user ")}
    channels = {user: [rule for rule in words if rule.startswith("&")] for user, words in rules.items()}
    may = {user for user, words in rules.items() if {"+publish", "+@all"} & set(words) and "-publish" not in words}
    if image is Distribution.UBUNTU_22_04:
        assert not any(channels.values())
        assert may == {"sentinel", "admin"}
    else:
        assert (channels.pop("sentinel"), channels.pop("admin")) == (["&__sentinel__:hello"], ["&*"])
        assert {user for user, words in channels.items() if words} == {"app"}
        assert may == {"app", "sentinel", "admin"}


def test_a_redis_starts_as_a_replica_of_nobody_and_takes_no_address_but_its_own() -> None:
    found = settings(first(PROD)[REDIS])
    assert "replicaof 127.0.0.1 1" in found
    assert "bind 10.60.0.4 127.0.0.1" in found
    assert "port 6380" in found


def test_node_json_is_what_the_node_program_reads(tmp_path: Path) -> None:
    from holdfast_node import identity

    file = tmp_path / "node.json"
    file.write_text(first(ENVIRONMENTS["local"])["/etc/holdfast/node.json"])
    loaded = identity.load(file)
    assert (loaded.node, loaded.address, loaded.program) == ("local-a1", "10.40.0.4", program().sha256)
    assert loaded.data == {
        "local-a1": "10.40.0.4",
        "local-b1": "10.40.16.4",
        "local-c1": "10.40.32.4",
        "local-a2": "10.40.0.7",
        "local-b2": "10.40.16.7",
    }
    assert loaded.api_endpoint == "http://198.51.100.1:5599"


def test_answers_that_nobody_takes_end_a_session_within_two_minutes() -> None:
    lines = settings(first(PROD)[HAPROXY])
    assert "default-server tcp-ut 2m" in lines
    assert {"tcp-ut 2m" in line for line in lines if re.match(r"bind \S+:(6379|6390) ", line)} == {True}


def test_the_node_program_reckons_with_a_candidate_for_as_long_as_it_may_stand() -> None:
    """A Sentinel begins within a second after it has said so, and gives up after `failover-timeout`."""
    from holdfast_node import sentinels

    found = re.search(r"^sentinel failover-timeout local (\d+)$", first(ENVIRONMENTS["local"])[SENTINEL], re.MULTILINE)
    assert found
    assert 1 + int(found[1]) / 1000 <= sentinels.STANDS_FOR


def test_every_command_of_a_unit_is_one_of_the_node_program() -> None:
    from holdfast_node.commands import COMMANDS

    files = [*(ROOT / "templates" / "systemd").iterdir(), ROOT / "templates" / "first-boot.sh"]
    assert set(re.findall(r"node\.pyz ([a-z-]+)", " ".join(it.read_text() for it in files))) == set(COMMANDS)


WHO_CALLS = ("first-boot", "volume", "secrets", "renew", "begin", "node", "restore")
CALL_THE_CLOUD = {f"holdfast-{name}.service" for name in WHO_CALLS}


def test_no_unit_but_those_of_the_node_program_reaches_the_metadata_service() -> None:
    """Of several lines systemd takes all, but those before an empty one."""
    units = {Path(path).name: settings(content) for path, content in first(PROD).items() if path.endswith(".service")}
    denied = {name: [line for line in lines if line.startswith("IPAddress")] for name, lines in units.items()}
    reaches = {name for name, lines in denied.items() if lines != ["IPAddressDeny=169.254.169.254 fd00:ec2::254"]}
    assert reaches == CALL_THE_CLOUD
    assert {tuple(denied[name]) for name in reaches if denied[name]} == {
        ("IPAddressDeny=169.254.169.254 fd00:ec2::254", "IPAddressDeny=")
    }


def test_a_gateway_does_not_wait_for_the_redis_beside_it() -> None:
    for unit in ("holdfast-node", "holdfast-haproxy"):
        lines = settings(first(PROD)[f"/etc/systemd/system/{unit}.service"])
        assert not [line for line in lines if line.startswith(("After=", "Requires=")) and "holdfast-redis" in line]


def test_the_program_is_named_by_its_content_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("holdfast.rendering.program")
    copied = tmp_path / "node"
    shutil.copytree(module.SOURCES, copied)
    for number, file in enumerate(sorted(copied.rglob("*"), reverse=True)):
        os.utime(file, (1_000_000_000 + number, 1_000_000_000 + number))
    (copied / "__pycache__").mkdir(exist_ok=True)
    (copied / "__pycache__" / "agent.pyc").write_bytes(b"compiled")
    monkeypatch.setattr(module, "SOURCES", copied)
    make = module.program.__wrapped__
    assert make() == program()
    with (copied / "__main__.py").open("a") as stream:
        stream.write("# changed\n")
    assert make().sha256 != program().sha256


TLS = changed(PROD, tls={"mode": "required", "mutual": True})


@pytest.mark.parametrize("distribution", Distribution)
def test_with_tls_nothing_listens_in_plaintext_and_it_all_fits(distribution: Distribution) -> None:
    environment = on(TLS, distribution)
    files = first(environment)
    assert {"port 0", "tls-port 6380", "tls-replication yes", "tls-auth-clients yes"} <= set(settings(files[REDIS]))
    assert {"port 0", "tls-port 26379", "tls-replication yes"} <= set(settings(files[SENTINEL]))
    listening = [line for line in settings(files[HAPROXY]) if line.startswith("bind ")]
    assert all(" ssl crt /run/holdfast/haproxy.pem" in line for line in listening)
    assert [line.split()[1] for line in listening] == [
        *("10.60.0.5:6390", "100.127.250.238:6390"),
        *("10.60.0.6:6390", "100.127.250.239:6390", "10.60.0.4:8404"),
    ]
    assert all("verify required" in line for line in listening[:-1])
    assert check_user_data(Cluster.of(environment)) == []


def test_optional_tls_leaves_clients_a_plaintext_port_and_nobody_else() -> None:
    files = first(changed(PROD, tls="optional"))
    assert "port 0" in settings(files[REDIS])
    plain = [line for line in settings(files[HAPROXY]) if line.startswith("bind ") and " ssl " not in line]
    assert [line.split()[1].rpartition(":")[2] for line in plain] == ["6379"] * 4
    assert "tls-auth-clients no" in settings(files[REDIS])


@pytest.mark.parametrize("environment", [PROD, TLS], ids=["plaintext", "TLS"])
def test_what_haproxy_checks_is_the_word_of_the_node_program_alone(environment: Environment) -> None:
    """A Redis that is asked itself is too busy to answer, or full of clients, and every session would end."""
    lines = settings(first(environment)[HAPROXY])
    assert [line for line in lines if line.startswith("tcp-check connect")] == [
        "tcp-check connect addr 127.0.0.1 port 7379"
    ] * 2


def test_a_gateway_verifies_which_machine_it_reaches() -> None:
    lines = settings(first(TLS)[HAPROXY])
    assert "default-server ssl verify required ca-file /run/holdfast/ca.pem crt /run/holdfast/haproxy.pem" in lines
    servers = [line.split() for line in lines if line.startswith("server ")]
    assert servers
    assert all(words[3:] == ["verifyhost", words[1]] for words in servers)


def test_without_tls_no_file_speaks_of_it() -> None:
    spoken = [path for path in (REDIS, SENTINEL, HAPROXY) if re.search(r"tls-|ssl", first(PROD)[path])]
    assert spoken == []
