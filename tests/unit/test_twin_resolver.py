"""What a VPC's resolver answers: views and queries in, answers out, all without a network."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest

from holdfast.twin import resolver
from holdfast.twin.view import CloudView, PrivateZone, Records, Vpc

OURS, THEIRS = "vpc-1", "vpc-2"
SOA = Records(900, ("ns-1.awsdns-1.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400",))
GATEWAYS = ("10.40.0.5", "10.40.16.5", "10.40.32.5")
MANY = tuple(f"0 1 26379 node-{number:02}.local.holdfast.internal" for number in range(20))

ZONE = PrivateZone(
    "local.holdfast.internal",
    frozenset({OURS}),
    {
        ("local.holdfast.internal", "SOA"): SOA,
        ("leader.local.holdfast.internal", "A"): Records(5, GATEWAYS),
        ("_sentinel._tcp.local.holdfast.internal", "SRV"): Records(5, ("0 1 26379 local-a1.local.holdfast.internal",)),
        ("many.local.holdfast.internal", "SRV"): Records(5, MANY),
    },
)
INNER = PrivateZone("inner.local.holdfast.internal", frozenset({OURS}), {("inner.local.holdfast.internal", "SOA"): SOA})
VIEW = CloudView(
    account="123456789012",
    region="eu-central-1",
    vpcs={
        OURS: Vpc(OURS, IPv4Network("10.40.0.0/16"), dns_hostnames=True),
        THEIRS: Vpc(THEIRS, IPv4Network("10.41.0.0/16"), dns_hostnames=True),
    },
    private_zones=(ZONE, INNER),
)


def ask(
    name: str,
    kind: str = "A",
    *,
    vpc: str = OURS,
    view: CloudView = VIEW,
    by: resolver.Transport = "udp",
    room: int = 0,
) -> dns.message.Message:
    """`room`: bytes of UDP that the client says it takes; 0: it says nothing."""
    query = dns.message.make_query(name, kind, use_edns=0 if room else None, payload=room or None)
    said = resolver.reply(view, vpc, query.to_wire(), by)
    assert said is not None
    answer = dns.message.from_wire(said)
    assert query.is_response(answer)
    return answer


def values(answer: dns.message.Message) -> list[str]:
    return [record.to_text() for records in answer.answer for record in records]


def test_a_name_has_all_its_addresses_with_the_records_ttl() -> None:
    answer = ask("leader.local.holdfast.internal")
    assert answer.rcode() == dns.rcode.NOERROR
    assert sorted(values(answer)) == sorted(GATEWAYS)
    assert [records.ttl for records in answer.answer] == [5]
    assert dns.flags.to_text(answer.flags) == "QR RD RA"


def test_the_order_of_its_addresses_changes() -> None:
    assert {values(ask("leader.local.holdfast.internal"))[0] for _ in range(100)} == set(GATEWAYS)


def test_a_service_names_priority_weight_port_and_target() -> None:
    answer = ask("_sentinel._tcp.local.holdfast.internal", "SRV")
    assert values(answer) == ["0 1 26379 local-a1.local.holdfast.internal."]


def test_letters_of_either_case_are_one_name() -> None:
    assert sorted(values(ask("LEADER.Local.holdfast.internal"))) == sorted(GATEWAYS)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("nobody.local.holdfast.internal", "A", dns.rcode.NXDOMAIN),
        ("leader.local.holdfast.internal", "AAAA", dns.rcode.NOERROR),
        ("leader.local.holdfast.internal", "SRV", dns.rcode.NOERROR),
        ("local.holdfast.internal", "A", dns.rcode.NOERROR),
        # It has no record, but one below it has.
        ("_tcp.local.holdfast.internal", "A", dns.rcode.NOERROR),
    ],
)
def test_what_is_not_there_has_the_zones_authority(name: str, kind: str, expected: dns.rcode.Rcode) -> None:
    answer = ask(name, kind)
    assert (answer.rcode(), answer.answer) == (expected, [])
    (authority,) = answer.authority
    assert str(authority.name) == "local.holdfast.internal."
    assert (authority.ttl, authority[0].minimum) == (900, 86400)


@pytest.mark.parametrize(
    "name", ["example.com", "holdfast.internal", "otherlocal.holdfast.internal", "4.0.40.10.in-addr.arpa"]
)
def test_other_names_are_refused(name: str) -> None:
    answer = ask(name)
    assert (answer.rcode(), answer.answer, answer.authority) == (dns.rcode.REFUSED, [], [])


def test_another_network_sees_nothing_of_it() -> None:
    assert ask("leader.local.holdfast.internal", vpc=THEIRS).rcode() == dns.rcode.REFUSED
    both = replace(VIEW, private_zones=(replace(ZONE, vpcs=frozenset({OURS, THEIRS})),))
    assert len(values(ask("leader.local.holdfast.internal", vpc=THEIRS, view=both))) == 3


def test_a_network_without_host_names_sees_no_private_zone_and_one_without_dns_has_no_resolver() -> None:
    ours = VIEW.vpcs[OURS]
    without_names = replace(VIEW, vpcs={OURS: replace(ours, dns_hostnames=False)})
    assert ask("leader.local.holdfast.internal", view=without_names).rcode() == dns.rcode.REFUSED
    without = replace(VIEW, vpcs={OURS: replace(ours, dns_support=False)})
    assert resolver.reply(without, OURS, dns.message.make_query("example.com", "A").to_wire(), "udp") is None


def test_the_most_specific_zone_answers_even_without_a_record() -> None:
    leader = {("leader.inner.local.holdfast.internal", "A"): Records(5, ("10.40.0.9",))}
    view = replace(VIEW, private_zones=(replace(ZONE, records=ZONE.records | leader), INNER))
    answer = ask("leader.inner.local.holdfast.internal", view=view)
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert str(answer.authority[0].name) == "inner.local.holdfast.internal."


def test_what_does_not_fit_is_cut_and_asked_for_again_by_tcp() -> None:
    cut = ask("many.local.holdfast.internal", "SRV")
    assert cut.flags & dns.flags.TC
    assert len(cut.to_wire()) <= 512
    for whole in (
        ask("many.local.holdfast.internal", "SRV", by="tcp"),
        ask("many.local.holdfast.internal", "SRV", room=4096),
    ):
        assert not whole.flags & dns.flags.TC
        assert len(values(whole)) == 20


def test_other_operations_are_not_implemented() -> None:
    query = dns.message.make_query("local.holdfast.internal", "SOA")
    query.set_opcode(dns.opcode.NOTIFY)
    said = resolver.reply(VIEW, OURS, query.to_wire(), "udp")
    assert said is not None
    assert dns.message.from_wire(said).rcode() == dns.rcode.NOTIMP


def test_garbage_and_answers_are_met_with_silence() -> None:
    query = dns.message.make_query("leader.local.holdfast.internal", "A")
    answer = dns.message.make_response(query).to_wire()
    for said in (b"", b"\x00", b"GET / HTTP/1.1\r\n\r\n", query.to_wire()[:-3], answer):
        assert resolver.reply(VIEW, OURS, said, "udp") is None


def test_a_machine_learns_its_resolver_from_the_networks_first_block() -> None:
    text = resolver.configuration(VIEW.vpcs[OURS], "eu-central-1")
    assert text == "nameserver 10.40.0.2\nsearch eu-central-1.compute.internal\n"
