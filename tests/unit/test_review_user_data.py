"""User-data is compared as the files that a machine gets, and settings by their names."""

import base64

from holdfast.ops.review import user_data
from holdfast.rendering import user_data_base64
from holdfast.topology import Cluster, Environment, find_environment, load_environment
from tests.unit.review_values import AFTER, BEFORE, REDIS_CONF
from tests.unit.review_values import user_data as packed


def test_a_changed_setting_is_told_by_its_name() -> None:
    (file,) = user_data.compare(BEFORE, AFTER)
    assert [str(setting) for setting in file.settings()] == ["Redis `maxmemory`: 256mb → 300mb"]
    assert file.unified() == "@@ -1,3 +1,3 @@\n # comment\n-maxmemory 256mb\n+maxmemory 300mb\n appendonly yes"


def test_a_setting_may_come_or_go() -> None:
    (file,) = user_data.compare(packed({REDIS_CONF: "save 60 1"}), packed({REDIS_CONF: "appendonly yes"}))
    assert [str(setting) for setting in file.settings()] == [
        "Redis `appendonly`: (absent) → yes",
        "Redis `save`: 60 1 → (absent)",
    ]


def test_a_setting_that_is_absent_has_redis_own_value() -> None:
    (file,) = user_data.compare(packed({REDIS_CONF: "hz 20"}), packed({REDIS_CONF: "timeout 300"}))
    assert [str(setting) for setting in file.settings()] == [
        "Redis `hz`: 20 → 10 (Redis' own)",
        "Redis `timeout`: 0 (Redis' own) → 300",
    ]


def test_limits_of_two_classes_of_clients_are_two_settings() -> None:
    limits = "client-output-buffer-limit normal 64mb 0 0\nclient-output-buffer-limit pubsub {} 0 0"
    before, after = limits.format("32mb"), limits.format("64mb")
    (file,) = user_data.compare(packed({REDIS_CONF: before}), packed({REDIS_CONF: after}))
    (setting,) = file.settings()
    assert str(setting) == "Redis `client-output-buffer-limit pubsub`: 32mb 0 0 → 64mb 0 0"


def test_a_comment_is_no_setting() -> None:
    (file,) = user_data.compare(packed({REDIS_CONF: "# a\nport 1"}), packed({REDIS_CONF: "# b\nport 1"}))
    assert file.settings() == []


def test_a_setting_of_sentinel_goes_by_its_option() -> None:
    path = "/etc/holdfast/sentinel.conf"
    before, after = "sentinel down-after-milliseconds shop 600", "sentinel down-after-milliseconds shop 2500"
    (file,) = user_data.compare(packed({path: before}), packed({path: after}))
    (setting,) = file.settings()
    assert str(setting) == "Sentinel `sentinel down-after-milliseconds`: shop 600 → shop 2500"


def test_a_file_may_come_or_go() -> None:
    gone, new = user_data.compare(packed({"/etc/old": "x"}), packed({"/new": "y"}))
    assert (gone.path, gone.before, gone.after) == ("/etc/old", "x\n", "")
    assert (new.path, new.before, new.after) == ("/new", "", "y\n")


def test_nothing_is_told_of_user_data_that_is_equal_or_not_known() -> None:
    assert user_data.compare(BEFORE, BEFORE) == ()
    assert user_data.compare(None, AFTER) == ()
    assert user_data.compare(BEFORE, object()) == ()


def test_what_is_no_cloud_config_is_compared_as_text() -> None:
    before, after = (base64.b64encode(text.encode()).decode() for text in ("#!/bin/sh\n", "#!/bin/bash\n"))
    (file,) = user_data.compare(before, after)
    assert (file.before, file.after) == ("#!/bin/sh\n", "#!/bin/bash\n")


def test_another_type_of_machine_changes_the_user_data_so_that_the_machine_is_replaced_behind_its_gate() -> None:
    prod = load_environment(find_environment("prod"))
    other = Environment.model_validate(
        prod.model_dump(mode="json") | {"redis": {"memory": "4GB"}, "machines": {"node": {"type": "m6i.xlarge"}}}
    )
    plain = Environment.model_validate(prod.model_dump(mode="json") | {"redis": {"memory": "4GB"}})
    clusters = [Cluster.of(environment) for environment in (plain, other)]
    found = user_data.compare(*(user_data_base64(cluster, cluster.nodes[0]) for cluster in clusters))
    by_path = {file.path: file for file in found}
    paths = ("/etc/holdfast/haproxy.cfg", "/etc/systemd/system/holdfast-redis.service", user_data.REST)
    assert set(by_path) == set(paths)
    haproxy, unit, file = (by_path[path] for path in paths)
    assert ("nbthread 1" in haproxy.before, "nbthread 2" in haproxy.after) == (True, True)
    assert ("MemoryMax=7808M" in unit.before, "MemoryMax=16000M" in unit.after) == (True, True)
    assert "prod-a1 of prod, m6i.large." in file.before
    assert "prod-a1 of prod, m6i.xlarge." in file.after
