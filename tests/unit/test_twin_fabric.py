"""What the twin's network, metadata, forwards and reconciler decide, without a kernel: views in, values out."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from holdfast.errors import HoldfastError
from holdfast.twin import metadata
from holdfast.twin.fabric import Fabric
from holdfast.twin.forward import Endpoint as Target
from holdfast.twin.forward import endpoints
from holdfast.twin.reconciler import Reconciler, Seen, Task, due
from holdfast.twin.rules import Cut, Loss, Severed, admits_api, has_internet, ruleset
from holdfast.twin.run import CommandFailed
from holdfast.twin.view import (
    Attachment,
    CloudView,
    Endpoint,
    Instance,
    Interface,
    Mapped,
    NatGateway,
    Route,
    Rule,
    SecurityGroup,
    Subnet,
    Vpc,
)

VPC = "vpc-1"
ANYWHERE = IPv4Network("0.0.0.0/0")
A1, B1 = "i-a1", "i-b1"


def instance(name: str, zone: str) -> Instance:
    return Instance(
        id=f"i-{name}",
        name=f"local-{name}",
        state="running",
        type="t3.small",
        memory=2048,
        zone=f"eu-central-1{zone}",
        image_id="ami-1",
        user_data=b"\x1f\x8bnot text",
        role="node",
        metadata_tokens="required",
        interfaces=(f"eni-{name}",),
        attachments=(),
        tags=(("Environment", "local"),),
    )


def interface(name: str, subnet: str, base: str) -> Interface:
    tags = {
        "Environment": "local",
        "LeaderEndpoint": f"{base}.5",
        "ReplicaEndpoint": f"{base}.6",
        "EndpointPort": "6379",
    }
    return Interface(
        id=f"eni-{name}",
        subnet_id=subnet,
        mac=f"02:00:00:00:00:{name}",
        addresses=tuple(IPv4Address(f"{base}.{last}") for last in (4, 5, 6)),
        groups=("sg-nodes",),
        source_dest_check=True,
        instance_id=f"i-{name}",
        device_index=0,
        tags=tuple(tags.items()),
    )


def view(default_route: str | None = "nat-1") -> CloudView:
    """Two nodes in two zones; the zones' default route leads to `default_route`."""
    out = () if default_route is None else (Route(ANYWHERE, default_route),)
    return CloudView(
        account="123456789012",
        region="eu-central-1",
        vpcs={VPC: Vpc(VPC, IPv4Network("10.40.0.0/16"))},
        subnets={
            "s-a": Subnet("s-a", VPC, IPv4Network("10.40.0.0/20"), "eu-central-1a", out),
            "s-b": Subnet("s-b", VPC, IPv4Network("10.40.16.0/20"), "eu-central-1b", out),
            "s-out": Subnet("s-out", VPC, IPv4Network("10.40.128.0/20"), "eu-central-1a", (Route(ANYWHERE, "igw-1"),)),
            "s-lost": Subnet("s-lost", VPC, IPv4Network("10.40.144.0/20"), "eu-central-1a", ()),
        },
        groups={
            "sg-nodes": SecurityGroup(
                "sg-nodes",
                VPC,
                (Rule("tcp", 6380, 6380, groups=("sg-nodes",)),),
                (Rule("tcp", 5599, 5599, cidrs=(IPv4Network("198.51.100.1/32"),)),),
            ),
            "sg-apis": SecurityGroup("sg-apis", VPC, (Rule("tcp", 443, 443, groups=("sg-nodes",)),), ()),
            "sg-closed": SecurityGroup("sg-closed", VPC, (), ()),
        },
        interfaces={"eni-a1": interface("a1", "s-a", "10.40.0"), "eni-b1": interface("b1", "s-b", "10.40.16")},
        instances={A1: instance("a1", "a"), B1: instance("b1", "b")},
        nat_gateways={"nat-1": NatGateway("nat-1", "s-out"), "nat-2": NatGateway("nat-2", "s-lost")},
    )


@pytest.mark.parametrize(
    ("default_route", "expected"),
    [("nat-1", True), ("igw-1", False), ("nat-2", False), ("nat-9", False), (None, False)],
)
def test_a_machine_has_internet_if_its_default_route_ends_at_an_internet_gateway(
    default_route: str | None, expected: bool
) -> None:
    cloud = view(default_route)
    assert has_internet(cloud, cloud.interfaces["eni-a1"]) is expected


def test_straight_through_an_internet_gateway_it_needs_a_public_address() -> None:
    cloud = view("igw-1")
    machine = cloud.interfaces["eni-a1"]
    for position, expected in ((0, True), (1, False)):
        mapped = Mapped(IPv4Address("198.18.0.9"), machine.addresses[position])
        assert has_internet(cloud, replace(machine, public=(mapped,))) is expected


def test_a_narrower_route_leads_the_apis_away() -> None:
    """As where who may come from the internet was listed so widely that the cloud itself was among them."""
    cloud = view()
    subnet = cloud.subnets["s-a"]
    listed = Route(IPv4Network("198.51.0.0/16"), "igw-1")
    cloud = replace(cloud, subnets=cloud.subnets | {"s-a": replace(subnet, routes=(*subnet.routes, listed))})
    assert not has_internet(cloud, cloud.interfaces["eni-a1"])
    assert has_internet(cloud, cloud.interfaces["eni-b1"])


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        (None, False),
        (Endpoint("vpce-1", VPC, "s3", frozenset({"s-a"}), interface=False), True),
        (Endpoint("vpce-1", VPC, "s3", frozenset({"s-b"}), interface=False), False),
        (Endpoint("vpce-1", VPC, "ec2", frozenset({"s-a"}), interface=False), False),
        (Endpoint("vpce-1", VPC, "s3", frozenset({"s-b"}), interface=True, groups=("sg-apis",)), True),
        (Endpoint("vpce-1", VPC, "s3", frozenset({"s-b"}), interface=True, groups=("sg-closed",)), False),
        (Endpoint("vpce-1", "vpc-2", "s3", frozenset({"s-a"}), interface=False), False),
    ],
)
def test_without_internet_an_api_needs_an_endpoint_that_lets_the_caller_in(
    endpoint: Endpoint | None, expected: bool
) -> None:
    cloud = replace(view(None), endpoints={} if endpoint is None else {endpoint.id: endpoint})
    assert admits_api(cloud, VPC, IPv4Address("10.40.0.4"), "s3") is expected


def test_the_same_address_in_another_vpc_is_somebody_else() -> None:
    assert admits_api(view(), VPC, IPv4Address("10.40.0.4"), "s3")
    assert not admits_api(view(), "vpc-2", IPv4Address("10.40.0.4"), "s3")


def test_a_group_that_a_rule_refers_to_stands_for_all_addresses_in_it() -> None:
    rules = ruleset(view(), VPC, Cut())
    assert "ip saddr { 10.40.0.4/31, 10.40.0.6/32, 10.40.16.4/31, 10.40.16.6/32 } tcp dport 6380-6380 accept" in rules


def test_a_cut_comes_before_established_connections() -> None:
    rules = ruleset(view(), VPC, Cut(zones=frozenset({("local", "eu-central-1b")})))
    forward = rules.partition("chain forward")[2]
    assert forward.index('iifname { "hf-b1" } oifname != { "hf-b1" } drop') < forward.index("ct state established")
    others = Cut(zones=frozenset({("another", "eu-central-1b")}))
    assert ruleset(view(), VPC, others) == ruleset(view(), VPC, Cut())


@pytest.mark.parametrize(
    ("cut", "chain", "expected"),
    [
        (Cut(severed=frozenset({Severed(A1, B1)})), "forward", ['iifname { "hf-a1" } oifname { "hf-b1" } drop']),
        (
            Cut(severed=frozenset({Severed(A1, B1, 6380)})),
            "forward",
            [
                'iifname { "hf-a1" } oifname { "hf-b1" } tcp dport 6380 drop',
                'iifname { "hf-a1" } oifname { "hf-b1" } tcp sport 6380 drop',
            ],
        ),
        (
            Cut(lossy=frozenset({Loss(A1, 20)})),
            "forward",
            [
                'iifname { "hf-a1" } numgen random mod 100 < 20 drop',
                'oifname { "hf-a1" } numgen random mod 100 < 20 drop',
            ],
        ),
        (
            Cut(without_api=frozenset({A1, B1})),
            "input",
            ['iifname { "hf-a1", "hf-b1" } ip daddr 198.51.100.1 tcp dport 5599 drop'],
        ),
        (Cut(severed=frozenset({Severed(A1, "i-gone")}), lossy=frozenset({Loss("i-gone", 20)})), "forward", []),
    ],
)
def test_what_is_lost_is_lost_for_established_connections_too(cut: Cut, chain: str, expected: list[str]) -> None:
    whole, cut_off = (ruleset(view(), VPC, what).partition(f"chain {chain} {{")[2] for what in (Cut(), cut))
    before = cut_off.partition("ct state established")[0]
    added = [line.strip() for line in before.splitlines() if line.strip() and line not in whole]
    assert added == expected


def test_cuts_add_up() -> None:
    first, second = Cut(off=frozenset({A1}), lossy=frozenset({Loss(A1, 5)})), Cut(off=frozenset({B1}))
    assert first | second == Cut(off=frozenset({A1, B1}), lossy=frozenset({Loss(A1, 5)}))


def test_a_vpc_without_machines_has_rules_too() -> None:
    rules = ruleset(replace(view(), interfaces={}, instances={}), VPC, Cut())
    assert "policy drop" in rules


def test_forwards_skip_machines_that_cannot_answer() -> None:
    found = endpoints(view(), Cut(off=frozenset({A1})))
    assert found == {
        "local": {
            "leader": (Target(VPC, IPv4Address("10.40.16.5"), 6379),),
            "replica": (Target(VPC, IPv4Address("10.40.16.6"), 6379),),
        }
    }
    assert endpoints(view(), Cut(nodes=frozenset({A1}))) == found
    assert endpoints(view(), Cut(zones=frozenset({("local", "eu-central-1a")}))) == found


def ask(path: str) -> str | None:
    me = metadata.who(view(), VPC, IPv4Address("10.40.0.5"))
    assert me is not None
    found = metadata.answer(me, path, lambda role: {"Code": "Success", "AccessKeyId": f"key of {role}"})
    return None if found is None else found.decode("latin-1")


def test_metadata_is_a_tree_that_can_be_crawled() -> None:
    assert ask("meta-data/placement/") == "availability-zone\nregion"
    assert ask("meta-data/network/interfaces/macs/") == "02:00:00:00:00:a1/"
    assert ask("meta-data/network/interfaces/macs/02:00:00:00:00:a1/local-ipv4s") == "10.40.0.4\n10.40.0.5\n10.40.0.6"
    assert ask("meta-data/instance-id") == "i-a1"
    assert ask("meta-data/nothing") is None


def test_cloud_init_asks_for_the_identity_folder_without_a_slash() -> None:
    """A 404 here costs it six seconds in each of its stages."""
    assert ask("dynamic/instance-identity") == "document"
    assert json.loads(ask("dynamic/instance-identity/document") or "")["instanceId"] == "i-a1"


def test_credentials_are_those_of_the_instance_role() -> None:
    assert ask("meta-data/iam/security-credentials/") == "node"
    assert json.loads(ask("meta-data/iam/security-credentials/node") or "")["AccessKeyId"] == "key of node"
    assert ask("meta-data/iam/security-credentials/other") is None


def test_user_data_arrives_byte_for_byte() -> None:
    assert ask("user-data") == "\x1f\x8bnot text"


ON = Seen(alive=True, was_alive=True, powered_off=False, rebooted=0, volumes=frozenset())
OFF = replace(ON, alive=False)


@pytest.mark.parametrize(
    ("state", "seen", "expected"),
    [
        ("pending", replace(OFF, was_alive=False), Task.BOOT),
        ("running", ON, None),
        ("running", OFF, Task.GONE),
        ("running", replace(OFF, was_alive=False), Task.BOOT),
        ("running", replace(ON, powered_off=True), Task.CUT_POWER),
        ("running", replace(OFF, powered_off=True), None),
        ("running", replace(ON, rebooted=-1), Task.REBOOT),
        ("running", replace(ON, volumes=frozenset({"vol-1"})), Task.VOLUMES),
        ("stopping", OFF, Task.STOP),
        ("stopped", OFF, None),
        ("shutting-down", ON, Task.TERMINATE),
        ("terminated", OFF, None),
    ],
)
def test_what_is_due_about_an_instance(state: str, seen: Seen, expected: Task | None) -> None:
    assert due(replace(instance("a1", "a"), state=state), seen) is expected


def test_a_volume_that_is_not_plugged_in_is_due() -> None:
    attached = replace(instance("a1", "a"), attachments=(Attachment("vol-1", "/dev/sdf"),))
    assert due(attached, ON) is Task.VOLUMES
    assert due(attached, replace(ON, volumes=frozenset({"vol-1"}))) is None


class Cloud:
    def view(self) -> CloudView:
        return CloudView("123456789012", "eu-central-1")

    def set_instance_state(self, instance_id: str, state: str) -> bool:
        return True


class Network(Fabric):
    """Notes what it is told; fails when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.cuts: list[Cut] = []
        self.broken = False

    def apply(self, view: CloudView, cut: Cut) -> None:
        self.cuts.append(cut)
        if self.broken:
            raise CommandFailed("nft is gone")


def test_an_isolation_is_in_effect_on_return_or_it_is_refused() -> None:
    network = Network()
    reconciler = Reconciler(Cloud(), network, lambda view, cut: None)
    reconciler.start()
    try:
        reconciler.follow(Cut(nodes=frozenset({A1})))
        assert network.cuts[-1] == Cut(nodes=frozenset({A1}))
        network.broken = True
        with pytest.raises(HoldfastError, match="nft is gone"):
            reconciler.follow(Cut())
        network.broken = False
        reconciler.follow(Cut())
        assert network.cuts[-1] == Cut()
    finally:
        reconciler.stop()


def test_machines_that_ask_at_the_same_time_all_keep_their_tokens() -> None:
    # Threads take turns as often as they can.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    tokens = metadata._Tokens()
    caller = IPv4Address("10.40.0.4")
    with ThreadPoolExecutor(8) as machines:
        issued = list(machines.map(lambda _: tokens.issue(caller, 60), range(2000)))
    sys.setswitchinterval(interval)
    assert all(tokens.accept(caller, token) for token in issued)
    assert not tokens.accept(IPv4Address("10.40.0.7"), issued[0])


def test_the_internet_reaches_what_has_a_public_address_as_groups_say_and_sees_no_other() -> None:
    cloud = view()
    there = cloud.interfaces["eni-a1"]
    mapped = Mapped(IPv4Address("198.18.0.9"), there.addresses[1])
    cloud = replace(cloud, interfaces=cloud.interfaces | {"eni-a1": replace(there, public=(mapped,))})
    lines = [line.strip() for line in ruleset(cloud, VPC, Cut()).splitlines()]
    assert "iifname hf-internet dnat to ip daddr map { 198.18.0.9 : 10.40.0.5 }" in lines
    assert "oifname hf-internet snat to ip saddr map { 10.40.0.5 : 198.18.0.9 }" in lines
    assert "iifname hf-internet goto arrive" in lines
    assert lines.index("oifname hf-internet ip saddr != { 10.40.0.5 } drop") < lines.index(
        "ct state established,related accept"
    )
    assert "hf-internet" not in ruleset(view(), VPC, Cut())
