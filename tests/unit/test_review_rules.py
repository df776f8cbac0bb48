"""Each risk is found where it is, and not where it is not: on fragments of plans, rule by rule."""

import json
from dataclasses import replace
from typing import Any

import pytest

from holdfast.ops.review import synthesis
from holdfast.ops.review.facts import Facts
from holdfast.ops.review.rules import RULES, Severity
from holdfast.ops.status import SentinelStatus
from holdfast.topology.risks import Risk
from tests.unit.review_values import (
    ADDRESSES,
    CREATE,
    DELETE,
    NONE,
    REDIS_CONF,
    REPLACE,
    UPDATE,
    Values,
    change,
    facts,
    instance,
    of,
    replaced,
    stack,
    status,
    user_data,
    zone,
)

KEPT = {
    "resource": {"aws_kms_key": {"key": {"//": {"metadata": {"path": "k"}}, "lifecycle": {"prevent_destroy": True}}}}
}


def hits(rule: str, known: Facts) -> list[str]:
    (found,) = [it for it in RULES if it.name == rule]
    return [f"{hit.where}: {hit.sentence}" if hit.where else hit.sentence for hit in found.check(known)]


def names(known: Facts) -> list[str]:
    """Every rule that holds."""
    return [rule.name for rule in RULES if list(rule.check(known))]


def test_every_risk_that_a_file_may_override_is_a_blocking_rule_and_every_blocking_rule_is_one() -> None:
    assert {rule.name for rule in RULES if rule.severity is Severity.BLOCKING} == {risk.value for risk in Risk}
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.reason.endswith(".") for rule in RULES)


def test_no_rule_holds_where_nothing_changes() -> None:
    assert names(facts(status=status("shop-a1"))) == []


def test_no_rule_holds_in_an_orderly_rollout() -> None:
    assert names(facts(*(zone(letter, replaced(letter)) for letter in "abc"), status=status("shop-a1"))) == []


@pytest.mark.parametrize(
    ("before", "after", "does"),
    [
        (None, "holdfast/x", "begins to speak TLS to its peers; the file keeps it as it is with tls: off"),
        (
            "holdfast/x",
            None,
            "ceases to speak TLS to its peers: passwords and data are readable for whoever can read the network",
        ),
    ],
    ids=["on", "off"],
)
def test_tls_that_is_switched_on_or_off(before: str | None, after: str | None, does: str) -> None:
    def node(certificate: str | None) -> str:
        return user_data({"/etc/holdfast/node.json": json.dumps({"certificate": certificate})})

    there, new = instance("a", user_data_base64=node(before)), instance("a", user_data_base64=node(after))
    known = facts(zone("a", change("aws_instance.shop-a1", REPLACE, there, new)))
    assert hits("tls-switched", known) == [f"shop-zone-a/shop-a1: shop-a1 {does}"]
    same = facts(zone("a", change("aws_instance.shop-a1", REPLACE, there, there)))
    assert hits("tls-switched", same) == []


@pytest.mark.parametrize(
    ("before", "after", "numbers"),
    [
        ("databases 32", "databases 20", (32, 20)),
        ("databases 32", "hz 10", (32, 16)),
        ("hz 10", "databases 8", (16, 8)),
    ],
)
def test_a_redis_that_gets_fewer_databases(before: str, after: str, numbers: tuple[int, int]) -> None:
    there = instance("a", user_data_base64=user_data({REDIS_CONF: before}))
    new = instance("a", user_data_base64=user_data({REDIS_CONF: after}))
    known = facts(zone("a", change("aws_instance.shop-a1", REPLACE, there, new)))
    said = "shop-zone-a/shop-a1: shop-a1 has {} databases, and gets {}".format(*numbers)
    assert hits("databases-lowered", known) == [said]
    known = facts(zone("a", change("aws_instance.shop-a1", REPLACE, new, there)))
    assert hits("databases-lowered", known) == []
    known = facts(zone("a", change("aws_instance.shop-a1", CREATE, None, new)))
    assert hits("databases-lowered", known) == []


def test_clients_that_need_a_certificate_from_now_on() -> None:
    def node(bind: str) -> str:
        return user_data({"/etc/holdfast/haproxy.cfg": f"frontend leader-endpoint\n    bind 10.0.0.5:6390 {bind}\n"})

    free = instance("a", user_data_base64=node("ssl crt x"))
    demanding = instance("a", user_data_base64=node("ssl crt x verify required ca-file y"))
    known = facts(zone("a", change("aws_instance.shop-a1", REPLACE, free, demanding)))
    said = "shop-zone-a/shop-a1: shop-a1 begins to demand a certificate of clients"
    assert hits("certificate-demanded", known) == [said]
    known = facts(zone("a", change("aws_instance.shop-a1", REPLACE, demanding, free)))
    assert hits("certificate-demanded", known) == []


def test_a_volume_that_is_destroyed() -> None:
    volume = of("a", size=16)
    known = facts(zone("a", change("aws_ebs_volume.shop-a1-data", REPLACE, volume, volume)))
    assert hits("data-destroyed", known) == ["shop-zone-a/shop-a1-data: the data volume is destroyed"]


def test_every_volume_is_destroyed() -> None:
    zones = [
        zone(letter, change(f"aws_ebs_volume.shop-{letter}1-data", DELETE, of(letter, size=16), None))
        for letter in "abc"
    ]
    assert hits("data-destroyed", facts(*zones))[0] == (
        "shop-zone-a/shop-a1-data: the data volume is destroyed, and so is every other one"
    )


@pytest.mark.parametrize(
    ("address", "rule", "hit"),
    [
        ("aws_kms_key.key", "key-destroyed", "the key that encrypts volumes, bucket and secrets is destroyed"),
        ("aws_secretsmanager_secret.app", "identity-destroyed", "a secret with passwords is destroyed"),
        (
            "aws_s3_bucket.bucket",
            "identity-destroyed",
            "the bucket with the bootstrap record and the reports is destroyed",
        ),
    ],
)
def test_what_exists_only_once_is_destroyed(address: str, rule: str, hit: str) -> None:
    path = f"shop-identity/{address.split('.')[1]}"
    for actions, after in ((DELETE, None), (REPLACE, {})):
        assert hits(rule, facts(stack("identity", change(address, actions, {}, after)))) == [f"{path}: {hit}"]
    assert hits(rule, facts(stack("identity", change(address, UPDATE, {}, {})))) == []


def test_a_secret_whose_name_a_deleted_one_keeps() -> None:
    new = change("aws_secretsmanager_secret.secret-app", CREATE, None, {"name": "holdfast/shop/app"})
    there = change("aws_secretsmanager_secret.secret-app", NONE, {}, {"name": "holdfast/shop/app"})
    kept = frozenset({"holdfast/shop/app"})
    assert hits("secret-name-reserved", facts(stack("identity", new), reserved=kept)) == [
        "shop-identity/secret-app: holdfast/shop/app is scheduled for deletion. "
        "For a new password: `holdfast secrets release shop`"
    ]
    assert hits("secret-name-reserved", facts(stack("identity", new))) == []
    assert hits("secret-name-reserved", facts(stack("identity", there), reserved=kept)) == []


def test_elastic_ips_that_a_change_takes() -> None:
    there, new = change("aws_eip.nat-a-address", NONE, {}, {}), change("aws_eip.nat-b-address", CREATE, None, {})
    assert hits("elastic-ips-taken", facts(stack("network", there, new))) == [
        "takes 1 more of the region's Elastic IPs, and 2 in all"
    ]
    assert hits("elastic-ips-taken", facts(stack("network", there))) == []


def test_what_preflight_finds_to_do() -> None:
    assert hits("account-not-ready", facts(unready=("VPCs: shop takes 1, and none is left",))) == [
        "VPCs: shop takes 1, and none is left"
    ]
    assert hits("account-not-ready", facts()) == []


def test_a_stack_that_takes_several_zones() -> None:
    subnets = [
        change(f"aws_subnet.nodes-{letter}", REPLACE, {"availability_zone": f"eu-central-1{letter}"}, {})
        for letter in "ac"
    ]
    assert hits("several-zones-at-once", facts(stack("network", *subnets))) == [
        "shop-network: replaces or destroys what zones a, c stand on"
    ]
    assert hits("several-zones-at-once", facts(stack("network", subnets[0]))) == []


def test_a_stack_that_cuts_the_nodes_off_from_each_other() -> None:
    redis = change("aws_vpc_security_group_ingress_rule.redis-in", DELETE, {"from_port": 6380, "to_port": 6380}, None)
    assert hits("several-zones-at-once", facts(stack("network", redis))) == [
        "shop-network: nodes of every zone are cut off from each other (redis-in)"
    ]


def test_a_client_that_may_no_longer_ask_the_sentinels_cuts_no_node_off() -> None:
    asked = ingress("sentinel-from-10-9", DELETE, "10.9.0.0/16", port=26379)
    assert names(facts(stack("network", asked))) == ["closed"]


def test_another_domain_changes_every_name() -> None:
    zone = change("aws_route53_zone.zone", REPLACE, {"name": "shop.holdfast.internal"}, {"name": "shop.example.com"})
    assert hits("address-changed", facts(stack("names", zone))) == [
        "shop-names/zone: the names under shop.holdfast.internal are no more"
    ]


def node(letter: str, number: int, actions: list[str]) -> Values:
    name = f"shop-{letter}{number}"
    values = instance(letter, tags={"Node": name, "Name": name, "Zone": letter})
    return change(f"aws_instance.{name}", actions, *((None, values) if actions == CREATE else (values, None)))


def test_more_sentinels() -> None:
    known = facts(zone("a", node("a", 2, CREATE)), zone("b", node("b", 2, CREATE)))
    assert hits("quorum-raised", known) == ["Sentinels: 3 → 5; a majority is 2 → 3"]
    assert hits("quorum-lowered", known) == []


def test_fewer_sentinels() -> None:
    known = facts(zone("a", node("a", 2, DELETE)), zone("b", node("b", 2, DELETE)))
    assert hits("quorum-lowered", known) == [
        "shop-zone-a/shop-a2: its Sentinel goes: 5 become 3, a majority of 3 is still asked",
        "shop-zone-b/shop-b2: its Sentinel goes: 5 become 3, a majority of 3 is still asked",
    ]
    assert hits("quorum-raised", known) == []
    assert hits("several-zones-at-once", known) == []


def interface(letter: str, addresses: list[str]) -> Values:
    before, after = of(letter, private_ip_list=ADDRESSES[letter]), of(letter, private_ip_list=addresses)
    return change(f"aws_network_interface.shop-{letter}1-interface", UPDATE, before, after)


def test_an_address_that_changes() -> None:
    known = facts(zone("a", interface("a", ["10.0.0.4", "10.0.0.5", "10.0.0.9"])))
    assert hits("address-changed", known) == [
        "shop-zone-a/shop-a1: 10.0.0.4, 10.0.0.5, 10.0.0.6 become 10.0.0.4, 10.0.0.5, 10.0.0.9"
    ]
    assert hits("address-changed", facts(zone("a", interface("a", ADDRESSES["a"])))) == []


def ingress(name: str, actions: list[str], cidr: str, port: int = 6379) -> Values:
    values = {"cidr_ipv4": cidr, "from_port": port, "to_port": port, "ip_protocol": "tcp", "description": "Clients"}
    address = f"aws_vpc_security_group_ingress_rule.{name}"
    sides: dict[str, Any] = {"create": (None, values), "delete": (values, None), "no-op": (values, values)}
    return change(address, actions, *sides[actions[0]])


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "8.8.0.0/16", "0.0.0.0/1", "172.0.0.0/8"])
def test_a_group_that_is_opened_to_the_world(cidr: str) -> None:
    known = facts(stack("network", ingress("all", CREATE, cidr)))
    assert names(known) == ["opened-to-the-world"]
    assert hits("opened-to-the-world", known)[0].endswith("may reach port 6379 (the leader and replica endpoints)")


@pytest.mark.parametrize(
    ("cidr", "port", "rule"),
    [
        ("8.8.0.0/16", 6390, "published"),
        ("0.0.0.0/0", 6390, "opened-to-the-world"),
        ("8.0.0.0/15", 6390, "opened-to-the-world"),
        ("8.8.8.8/32", 6379, "opened-to-the-world"),
        ("8.8.8.8/32", 26379, "opened-to-the-world"),
        ("10.9.0.0/16", 6390, "opened"),
    ],
)
def test_who_is_listed_on_the_internet_may_come_with_tls_and_is_told(cidr: str, port: int, rule: str) -> None:
    is_there = zone("a", public_address("a", NONE))
    assert names(facts(stack("network", ingress("office", CREATE, cidr, port)), is_there)) == [rule]


def test_without_public_addresses_nobody_is_let_in_from_the_internet() -> None:
    known = facts(stack("network", ingress("office", CREATE, "8.8.8.8/32", 6390)))
    assert names(known) == ["opened-to-the-world"]


def test_addresses_that_come_let_in_who_was_listed_before() -> None:
    listed = stack("network", ingress("office", NONE, "8.8.8.8/32", 6390), ingress("own", NONE, "10.0.0.0/16", 6390))
    assert names(facts(listed)) == []
    known = facts(listed, zone("a", public_address("a", CREATE)))
    assert hits("published", known) == [
        "shop-network/office: 8.8.8.8/32 may reach port 6390 (the leader and replica endpoints, with TLS)"
    ]


def public_address(letter: str, actions: list[str]) -> Values:
    name = f"shop-{letter}1-leader"
    values = {"tags": of(letter)["tags"] | {"Name": name, "Endpoint": "leader"}, "public_ip": "198.51.100.7"}
    sides: dict[str, Any] = {"create": (None, values), "delete": (values, None), "no-op": (values, values)}
    return change(f"aws_eip.{name}-address", actions, *sides[actions[0]])


@pytest.mark.parametrize(
    ("actions", "expected"),
    [(NONE, ["first `network.public: false` alone, and another deploy for the rest"]), (CREATE, [])],
)
def test_an_internet_gateway_stays_while_addresses_lead_through_it(actions: list[str], expected: list[str]) -> None:
    gateway = change("aws_internet_gateway.internet", DELETE, {"id": "igw-1"}, None)
    known = facts(stack("network", gateway), zone("a", public_address("a", actions)))
    assert [hit.partition(": ")[2] for hit in hits("internet-gateway-in-use", known)] == expected


BLOCK = "aws_ec2_subnet_cidr_reservation.nodes-a"


def test_an_environment_stays_in_its_network() -> None:
    vpc, block = {"cidr_block": "10.0.0.0/16"}, {"subnet_id": "subnet-1", "cidr_block": "10.0.0.64/28"}
    into = facts(stack("network", change("aws_vpc.vpc", DELETE, vpc, None), change(BLOCK, CREATE, None, block)))
    assert hits("network-switched", into) == [
        "shop-network/vpc: the network goes: make another environment in the new one, and move the data"
    ]
    elsewhere = (
        "shop-network/nodes-a: the nodes' addresses are elsewhere: make another environment there, and move the data"
    )
    out_of = facts(stack("network", change("aws_vpc.vpc", CREATE, None, vpc), change(BLOCK, DELETE, block, None)))
    assert hits("network-switched", out_of) == [elsewhere]
    other = change(BLOCK, REPLACE, block, block | {"subnet_id": "subnet-2"})
    assert hits("network-switched", facts(stack("network", other))) == [elsewhere]
    assert hits("network-switched", facts(stack("network", change(BLOCK, DELETE, block, None)))) == [], "a zone less"
    assert hits("network-switched", facts(stack("network", change("aws_vpc.vpc", CREATE, None, vpc)))) == []


def test_a_public_address_that_is_nobodys_any_more_is_told() -> None:
    gone = change("aws_eip_association.shop-a1-leader-public", REPLACE, {"id": "eipassoc-1"}, {})
    assert hits("address-changed", facts(zone("a", public_address("a", NONE), gone))) == [
        "shop-zone-a/shop-a1-leader-public: the public address leads to nobody, until it is associated anew"
    ]


def test_a_public_address_that_goes_never_comes_back() -> None:
    assert hits("address-changed", facts(zone("a", public_address("a", DELETE)))) == [
        "shop-zone-a/shop-a1-leader-address: 198.51.100.7 is given back, and nobody gets it again"
    ]
    unplanned = change("aws_eip.shop-a1-leader-address", DELETE, {}, None)
    assert hits("address-changed", facts(zone("a", unplanned))) == [
        "shop-zone-a/shop-a1-leader-address: public address shop-a1-leader-address is given back, and nobody gets it "
        "again"
    ]
    assert names(facts(zone("a", public_address("a", CREATE)))) == ["elastic-ips-taken"]
    of_a_nat_gateway = change("aws_eip.nat-a-address", DELETE, {"tags": {"Name": "nat-a"}}, None)
    assert hits("address-changed", facts(stack("network", of_a_nat_gateway))) == []


def test_a_group_that_is_opened_to_a_private_range() -> None:
    known = facts(stack("network", ingress("more", CREATE, "10.9.0.0/16")))
    assert names(known) == ["opened"]
    assert hits("opened", known) == [
        "shop-network/more: 10.9.0.0/16 may reach port 6379 (the leader and replica endpoints)"
    ]


def test_a_group_opens_nothing_to_whom_it_was_open() -> None:
    known = facts(stack("network", ingress("wide", NONE, "10.0.0.0/8"), ingress("narrow", CREATE, "10.9.0.0/16")))
    assert names(known) == []
    other_port = ingress("other", CREATE, "10.9.0.0/16", port=22)
    assert names(facts(stack("network", ingress("wide", NONE, "10.0.0.0/8"), other_port))) == ["opened"]


def test_a_group_that_is_closed_to_somebody() -> None:
    known = facts(stack("network", ingress("old", DELETE, "10.9.0.0/16"), ingress("new", CREATE, "10.9.1.0/24")))
    assert hits("closed", known) == [
        "shop-network/old: no more: 10.9.0.0/16 may reach port 6379 (the leader and replica endpoints)"
    ]
    wider = facts(stack("network", ingress("old", DELETE, "10.9.0.0/16"), ingress("new", CREATE, "10.0.0.0/8")))
    assert hits("closed", wider) == []


@pytest.mark.parametrize(
    ("address", "before", "after", "hit"),
    [
        (
            "aws_kms_key.it",
            {"deletion_window_in_days": 30},
            {"deletion_window_in_days": 7},
            "`deletion_window_in_days`: 30 → 7 days in which a deletion can be taken back",
        ),
        (
            "aws_secretsmanager_secret.it",
            {"recovery_window_in_days": 30},
            {"recovery_window_in_days": 0},
            "`recovery_window_in_days`: 30 → 0 days in which a deletion can be taken back",
        ),
        (
            "aws_s3_bucket.it",
            {"force_destroy": False},
            {"force_destroy": True},
            "`force_destroy`: the bucket can be destroyed with what is in it",
        ),
    ],
)
def test_a_protection_that_is_removed(address: str, before: Values, after: Values, hit: str) -> None:
    removed = facts(stack("identity", change(address, UPDATE, before, after)))
    assert hits("protection-removed", removed) == [f"shop-identity/it: {hit}"]
    assert hits("protection-removed", facts(stack("identity", change(address, UPDATE, after, before)))) == []


def test_old_versions_that_are_no_longer_kept() -> None:
    known = facts(stack("identity", change("aws_s3_bucket_versioning.it", DELETE, {}, None)))
    assert hits("protection-removed", known) == [
        "shop-identity/it: old versions of the bucket's objects are no longer kept"
    ]


def test_a_refusal_that_is_taken_away_between_two_commits() -> None:
    plain = {"resource": {"aws_kms_key": {"key": {"//": {"metadata": {"path": "shop-identity/key"}}}}}}
    assert hits("protection-removed", facts(synthesis.diff("shop", "identity", KEPT, plain))) == [
        "shop-identity/key: `prevent_destroy` is taken away"
    ]
    assert hits("protection-removed", facts(synthesis.diff("shop", "identity", KEPT, KEPT))) == []


def test_a_machine_that_anybody_may_terminate_from_now_on() -> None:
    protected, bare = instance("a", disable_api_termination=True), instance("a", disable_api_termination=False)
    lifted = zone("a", change("aws_instance.shop-a1", UPDATE, protected, bare))
    assert hits("protection-removed", facts(lifted)) == [
        "shop-zone-a/shop-a1: `disable_api_termination`: whoever may use the console can terminate the machine"
    ]
    assert hits("protection-removed", facts(zone("a", change("aws_instance.shop-a1", UPDATE, bare, protected)))) == []


def test_an_environment_that_does_not_refuse_its_destruction_any_more() -> None:
    gone = stack("watch", change("terraform_data.refusal", DELETE, {}, None))
    assert hits("protection-removed", facts(gone)) == ["shop-watch/refusal: `cdktf destroy` is not refused any more"]
    other = stack("watch", change("terraform_data.refusal", REPLACE, {}, {}))
    assert hits("protection-removed", facts(other)) == []


def test_what_terraform_will_refuse() -> None:
    gone = stack("identity", change("aws_kms_key.key", REPLACE, {}, {}), configuration=KEPT)
    assert hits("refused-by-terraform", facts(gone)) == [
        "k: is protected from being destroyed, and the change destroys it"
    ]
    kept = stack("identity", change("aws_kms_key.key", UPDATE, {}, {}), configuration=KEPT)
    assert hits("refused-by-terraform", facts(kept)) == []


def test_an_environment_under_a_new_name() -> None:
    new = Facts("store", (stack("network", change("aws_vpc.vpc", CREATE, None, {})),), abandoned=("shop",))
    assert hits("environment-renamed", new) == [
        "shop exists and has no file any more, store is new: its data is not carried over"
    ]
    assert hits("environment-renamed", facts(abandoned=("other",))) == []


def image(letter: str, before: str, after: str) -> Values:
    tags = instance(letter)["tags"]
    old = instance(letter, tags=tags | {"Image": before})
    new = instance(letter, tags=tags | {"Image": after}, ami="ami-2")
    return change(f"aws_instance.shop-{letter}1", REPLACE, old, new, replace_paths=[["ami"]])


@pytest.mark.parametrize(
    ("before", "after", "rule", "hit"),
    [
        ("debian-13", "debian-12", "major-downgrade", "Redis 8.0 → 7.0 on the data that it has"),
        ("debian-12", "ubuntu-22.04", "major-downgrade", "Redis 7.0 → 6.0 on the data that it has"),
        ("debian-12", "debian-13", "major-upgrade", "Redis 7.0 → 8.0"),
        ("", "debian-13", "version-unknown", "image ami-1 → ami-2"),
    ],
)
def test_another_major_version(before: str, after: str, rule: str, hit: str) -> None:
    known = facts(zone("a", image("a", before, after)))
    assert names(known) == [rule]
    assert hits(rule, known) == [f"shop-zone-a/shop-a1: {hit}"]


def installing(**packages: str | None) -> str:
    return user_data({"/etc/holdfast/packages.json": json.dumps(packages)})


def test_packages_without_a_pinned_version() -> None:
    newest = installing(haproxy=None, keepalived=None, redis="1")
    assert hits("packages-unpinned", facts(zone("a", replaced("a", user_data_base64=newest)))) == [
        "shop-zone-a/shop-a1: installs the newest haproxy, keepalived; holdfast images update pins them"
    ]
    pinned = replaced("a", user_data_base64=installing(haproxy="2"))
    assert hits("packages-unpinned", facts(zone("a", pinned))) == []
    # A machine that stays installs nothing.
    stays = instance("a", user_data_base64=newest)
    assert hits("packages-unpinned", facts(zone("a", change("aws_instance.shop-a1", NONE, stays, stays)))) == []


def test_another_image_with_the_same_redis() -> None:
    assert names(facts(zone("a", image("a", "debian-12", "ubuntu-24.04")))) == []


def test_a_lasting_construct_that_is_renamed() -> None:
    known = facts(
        zone(
            "a",
            change("aws_ebs_volume.shop-a1-data", DELETE, of("a", size=16), None),
            change("aws_ebs_volume.shop-a1-disk", CREATE, None, of("a", size=16)),
        )
    )
    assert hits("stateful-renamed", known) == [
        "shop-zone-a/shop-a1-disk: aws_ebs_volume.shop-a1-data is destroyed, "
        "and aws_ebs_volume.shop-a1-disk takes its place"
    ]
    assert "data-destroyed" in names(known)


def test_tags_that_are_not_known_yet_name_nothing() -> None:
    gone = change("aws_eip.one", DELETE, {}, None)
    new = change("aws_eip.two", CREATE, None, {}, after_unknown={"tags": True})
    assert names(facts(stack("network", gone, new))) == []


def test_a_volume_that_would_shrink() -> None:
    def sized(before: int, after: int) -> Facts:
        volumes = of("a", size=before), of("a", size=after)
        return facts(zone("a", change("aws_ebs_volume.shop-a1-data", UPDATE, *volumes)))

    assert hits("volume-shrunk", sized(16, 8)) == ["shop-zone-a/shop-a1-data: 16 GiB → 8 GiB"]
    assert names(sized(8, 16)) == []


def test_a_machine_that_is_stopped_in_place_without_a_gate() -> None:
    restarted = change("aws_instance.shop-a1", UPDATE, instance("a"), instance("a", instance_type="m6i.xlarge"))
    assert hits("ungated-restart", facts(zone("a", restarted))) == [
        "shop-zone-a/shop-a1: shop-a1 is stopped and started, and zone a has no gate for it"
    ]
    refusal = change("terraform_data.refusal", REPLACE, {}, {})
    assert len(hits("ungated-restart", facts(zone("a", restarted, refusal)))) == 1
    gate = change("terraform_data.gate", REPLACE, {}, {})
    assert hits("ungated-restart", facts(zone("a", restarted, gate))) == []


def test_a_zone_that_is_planned_with_what_changes_under_it() -> None:
    moving = stack("network", outputs={"subnet-a": {"actions": ["update"]}})
    resource = {"subnet_id": "${data.terraform_remote_state.cross-stack-reference-input-shop-network.outputs.subnet-a}"}
    metadata = {"//": {"metadata": {"path": "shop-zone-a/it"}}}
    reader = stack("zone-a", configuration={"resource": {"aws_network_interface": {"it": resource | metadata}}})
    assert hits("stale-inputs", facts(moving, reader)) == ["shop-zone-a: reads 1 value that network replaces"]
    assert hits("stale-inputs", facts(stack("network"), reader)) == []


def test_a_stack_that_is_left_behind() -> None:
    assert hits("left-behind", facts(left_behind=("zone-d",))) == [
        "shop-zone-d: has resources in its state, and no stack of that name is synthesised"
    ]


def test_a_stack_that_could_not_be_planned() -> None:
    assert hits("not-planned", facts(synthesis.described("shop", "watch", {}))) == [
        "shop-watch: needs outputs that come with this very change"
    ]


def test_a_rollout_over_a_sick_cluster() -> None:
    sick = status("shop-a1", sick="shop-c1")
    known = facts(zone("a", replaced("a")), status=sick)
    assert hits("unhealthy-now", known) == ["not well now: shop-c1; 2 of 3 Sentinels agree"]
    assert hits("unhealthy-now", facts(status=sick)) == []


def test_nodes_that_the_change_brings_are_not_called_sick() -> None:
    """The running cluster of a and b is well; c is new in the file, so its status is not."""
    well = replace(status("shop-a1", sick="shop-c1"), sentinels=SentinelStatus(2, 3))
    new = zone("c", change("aws_instance.shop-c1", CREATE, None, instance("c")))
    assert hits("unhealthy-now", facts(zone("a", replaced("a")), new, status=well)) == []
    alone = replace(well, sentinels=SentinelStatus(1, 3))
    assert hits("unhealthy-now", facts(zone("a", replaced("a")), new, status=alone)) == [
        "not well now: none of the nodes by itself; 1 of 2 Sentinels agree"
    ]
