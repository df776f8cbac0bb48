"""A VPC that was there already: what a file may say of it, and what of the cloud is in the way."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.ops import given
from holdfast.topology import Cluster, Environment, InvalidEnvironment, load_environment, load_environments
from holdfast.topology.load import ENVIRONMENTS
from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import answering, client

EXAMPLE = yaml.safe_load((ENVIRONMENTS / "examples" / "existing-vpc.yaml").read_text())

Change = Callable[[dict[str, Any]], object]


def changed(change: Change, name: str = "existing-vpc") -> dict[str, Any]:
    content = copy.deepcopy(EXAMPLE) | {"name": name}
    change(content)
    return content


def write(folder: Path, content: dict[str, Any]) -> Path:
    file = folder / f"{content['name']}.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def said(refused: pytest.ExceptionInfo[InvalidEnvironment]) -> dict[str, str]:
    return {problem.path: f"{problem.found} | {problem.accepted}" for problem in refused.value.problems}


def vpc(**values: Any) -> Change:
    return lambda content: content["network"]["vpc"].update(values)


def subnet(letter: str, **values: Any) -> Change:
    return lambda content: content["network"]["vpc"]["subnets"][letter].update(values)


def network(**values: Any) -> Change:
    return lambda content: content["network"].update(values)


TIERED = {"layout": {"kind": "tiered"}, "machines": {"data+gateway+sentinel": {"type": "m6i.large"}}}
SUBNETS = "network.vpc.subnets"
SUBNET = f"{SUBNETS}.b"
ELSEWHERE = {"cidr": "10.21.4.0/22", "block": "10.21.4.64/28"}


@pytest.mark.parametrize(
    ("change", "path", "problem"),
    [
        (vpc(id="vpc-1"), "network.vpc.id", "'vpc-1' | the id of a VPC, as vpc-0"),
        (lambda it: it["network"]["vpc"]["subnets"].pop("c"), SUBNETS, "those of zones a, b | one for each"),
        (lambda it: it.update(zones=["a", "b", "d"]), SUBNETS, "those of zones a, b, c | one for each"),
        (subnet("b", **ELSEWHERE), f"{SUBNET}.cidr", "outside of network.cidr 10.20.0.0/16"),
        (subnet("b", cidr="10.20.0.0/21"), f"{SUBNET}.cidr", "10.20.0.0/21, which overlaps 10.20.0.0/22 of zone a"),
        (subnet("b", block="10.20.8.16/28"), f"{SUBNET}.block", "10.20.8.16/28, outside of its subnet 10.20.4.0/22"),
        (subnet("b", block="10.20.0.0/16"), f"{SUBNET}.block", "10.20.0.0/16, outside of its subnet"),
        (subnet("b", block="10.20.4.0/29"), f"{SUBNET}.block", "10.20.4.0, 10.20.4.1, 10.20.4.2, 10.20.4.3"),
        (subnet("b", block="10.20.7.240/28"), f"{SUBNET}.block", "10.20.7.240/28, with 10.20.7.255"),
        (subnet("b", block="10.20.7.192/30"), f"{SUBNET}.block", "4 addresses for the machines of a zone, which need"),
        (subnet("b", block="10.20.7.192/30"), f"{SUBNET}.block", "at least a /29"),
        (subnet("b", id="b"), f"{SUBNET}.id", "'b' | the id of a subnet, as subnet-0"),
        (vpc(subnets="none"), SUBNETS, "'none'"),
        (vpc(zone="a"), "network.vpc.zone", "an unknown key | id, subnets, route_tables"),
        (lambda it: it.update(TIERED), f"{SUBNET}.block", "16 addresses for the machines of a zone, which need 18"),
        (network(egress="endpoints"), "network.egress", "whose ways out are there already"),
        (network(nat="one"), "network.nat", "whose ways out are there already"),
        (network(public=True), "network.public", "true, with network.vpc"),
        (lambda it: it["network"].update(floating="100.127.0.0/31") or vpc(route_tables=[])(it), "network.floating",
         "no route table to lead there"),
        (vpc(route_tables=["rtb-0a1b2c3d"] * 2), "network.vpc.route_tables[1]", "rtb-0a1b2c3d again"),
        (network(floating="10.20.0.0/31"), "network.floating", "which overlaps network.cidr"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(tmp_path: Path, change: Change, path: str, problem: str) -> None:
    with pytest.raises(InvalidEnvironment) as refused:
        load_environment(write(tmp_path, changed(change)))
    assert problem in said(refused)[path]


def test_nodes_have_the_block_s_addresses_in_the_order_of_their_slots(tmp_path: Path) -> None:
    environment = load_environment(write(tmp_path, changed(lambda it: it.update(layout={"nodes": 5}))))
    found = {node.name.rpartition("-")[2]: [str(it) for it in node.addresses] for node in Cluster.of(environment).nodes}
    assert found["a1"] == ["10.20.3.192", "10.20.3.193", "10.20.3.194"]
    assert found["a2"] == ["10.20.3.195", "10.20.3.196", "10.20.3.197"]
    assert found["b1"][0] == "10.20.7.192"
    assert environment.elastic_ips == 0


def test_without_route_tables_there_is_no_floating_pair(tmp_path: Path) -> None:
    assert load_environment(write(tmp_path, changed(vpc(route_tables=[])))).floating is None
    assert load_environment(write(tmp_path, changed(vpc()))).floating is not None


def test_a_vpc_that_is_no_network_of_ours_may_be_in_any_range(tmp_path: Path) -> None:
    def move(content: dict[str, Any]) -> None:
        content["network"] = yaml.safe_load(yaml.safe_dump(content["network"]).replace("10.20.", "100.64."))
        content["network"]["cidr"] = "100.64.0.0/15"

    load_environment(write(tmp_path, changed(move)))


def test_two_environments_in_one_vpc_share_no_address(tmp_path: Path) -> None:
    write(tmp_path, changed(vpc()))
    file = write(tmp_path, changed(subnet("c", block="10.20.11.208/28"), "second"))
    with pytest.raises(InvalidEnvironment) as refused:
        load_environments(tmp_path)
    assert said(refused) == {
        "network.vpc.subnets.a.block": "10.20.3.192/28, which overlaps 10.20.3.192/28 of existing-vpc | "
        "addresses of its own"
    }
    text = file.read_text().replace("10.20.3.192/28", "10.20.3.208/28").replace("10.20.7.192/28", "10.20.7.208/28")
    file.write_text(text)
    assert len(load_environments(tmp_path)) == 2
    file.write_text(text.replace("vpc-0a1b", "vpc-0b1b"))
    with pytest.raises(InvalidEnvironment) as refused:
        load_environments(tmp_path)
    assert said(refused) == {
        "network.cidr": "10.20.0.0/16, which overlaps 10.20.0.0/16 of existing-vpc | a network of its own"
    }


class Team:
    """The team's network, with what may be in the way of an environment that comes into it."""

    def __init__(self, api: Api, folder: Path) -> None:
        self.api, self.folder, self.ec2 = api, folder, client(api, "ec2")
        self.vpc = self.ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
        self.ec2.modify_vpc_attribute(VpcId=self.vpc, EnableDnsHostnames={"Value": True})
        self.subnets = {letter: self.subnet(letter, number) for number, letter in enumerate("abc")}
        self.table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        own = {"Project": "holdfast", "Environment": "existing-vpc", "ManagedBy": "cdktf"}
        self.ec2.create_tags(Resources=[self.table], Tags=[{"Key": key, "Value": it} for key, it in own.items()])

    def subnet(self, letter: str, number: int) -> str:
        made = self.ec2.create_subnet(
            VpcId=self.vpc, CidrBlock=f"10.20.{4 * number}.0/22", AvailabilityZone=f"eu-central-1{letter}"
        )
        return str(made["Subnet"]["SubnetId"])

    def environment(self, change: Change = lambda content: None) -> tuple[Environment, Path]:
        content = changed(lambda it: None)
        content["cloud"] = {"endpoint": self.api.url, "node_endpoint": self.api.url}
        content["network"]["vpc"] |= {"id": self.vpc, "route_tables": [self.table]}
        for letter, id in self.subnets.items():
            content["network"]["vpc"]["subnets"][letter]["id"] = id
        change(content)
        file = write(self.folder, content)
        return load_environment(file), file

    def problems(self, change: Change = lambda content: None) -> dict[str, str]:
        environment, file = self.environment(change)
        with pytest.raises(InvalidEnvironment) as refused:
            given.require(environment, file)
        assert str(refused.value).startswith(f"{file}: ")
        return said(refused)


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    with answering(instant=True) as api:
        monkeypatch.setattr(given.cloud, "client", lambda environment, service: client(api, service))
        yield Team(api, tmp_path)


def test_a_network_that_is_as_the_file_has_it_is_taken(team: Team) -> None:
    given.require(*team.environment())
    own = {"SubnetId": team.subnets["a"], "Cidr": "10.20.3.192/28", "ReservationType": "explicit"}
    team.ec2.create_subnet_cidr_reservation(**own, Description="holdfast-existing-vpc-nodes-a")
    tags = [{"Key": "Project", "Value": "holdfast"}, {"Key": "Environment", "Value": "existing-vpc"}]
    tags.append({"Key": "ManagedBy", "Value": "cdktf"})
    team.ec2.create_network_interface(
        SubnetId=team.subnets["a"],
        PrivateIpAddress="10.20.3.192",
        TagSpecifications=[{"ResourceType": "network-interface", "Tags": tags}],
    )
    given.require(*team.environment())


def test_what_is_not_there_is_told(team: Team) -> None:
    missing = {"vpc": "vpc-00000000", "subnet": "subnet-00000000", "table": "rtb-00000000"}
    assert team.problems(vpc(id=missing["vpc"])) == {
        "network.vpc.id": "vpc-00000000, which is not there | "
        "a VPC in eu-central-1, of the account that the credentials are of"
    }
    found = team.problems(lambda it: subnet("b", id=missing["subnet"])(it) or vpc(route_tables=[missing["table"]])(it))
    assert set(found) == {"network.vpc.subnets.b.id", "network.vpc.route_tables[0]"}


def test_subnets_that_are_others_than_the_file_says_are_told(team: Team) -> None:
    a, b = team.subnets["a"], team.subnets["b"]
    assert team.problems(lambda it: subnet("a", id=b)(it) or subnet("b", id=a)(it)) == {
        "network.vpc.subnets.a.id": f"{b}, which has eu-central-1b | one that has eu-central-1a",
        "network.vpc.subnets.a.cidr": f"{b}, which has 10.20.4.0/22 | one that has 10.20.0.0/22",
        "network.vpc.subnets.b.id": f"{a}, which has eu-central-1a | one that has eu-central-1b",
        "network.vpc.subnets.b.cidr": f"{a}, which has 10.20.0.0/22 | one that has 10.20.4.0/22",
    }
    assert "10.20.0.0/15 | of vpc-" in team.problems(network(cidr="10.20.0.0/15"))["network.cidr"]


def test_a_block_in_which_something_is_already_is_told(team: Team) -> None:
    """EC2 reserves it all the same, and the deploy would stop at the first machine."""
    ec2, path = team.ec2, "network.vpc.subnets.b.block"
    made = ec2.create_network_interface(SubnetId=team.subnets["b"], PrivateIpAddress="10.20.7.193")
    interface = made["NetworkInterface"]["NetworkInterfaceId"]
    assert team.problems() == {
        path: f"10.20.7.192/28, of which {interface} has 10.20.7.193 | a block of which nothing has an address"
    }
    ec2.delete_network_interface(NetworkInterfaceId=interface)
    there = {"SubnetId": team.subnets["b"], "Cidr": "10.20.7.200/29", "ReservationType": "prefix"}
    reserved = ec2.create_subnet_cidr_reservation(**there)["SubnetCidrReservation"]["SubnetCidrReservationId"]
    assert team.problems() == {
        path: f"10.20.7.192/28, which overlaps 10.20.7.200/29, reserved as {reserved} | "
        "a block that nobody has reserved"
    }


def test_route_tables_without_the_environment_s_tags_are_told(team: Team) -> None:
    plain = team.ec2.create_route_table(VpcId=team.vpc)["RouteTable"]["RouteTableId"]
    other = team.ec2.create_vpc(CidrBlock="10.30.0.0/16")["Vpc"]["VpcId"]
    foreign = team.ec2.create_route_table(VpcId=other)["RouteTable"]["RouteTableId"]
    found = team.problems(vpc(route_tables=[plain, foreign]))
    lacking = "without the tags Project=holdfast, Environment=existing-vpc, ManagedBy=cdktf"
    assert lacking in found["network.vpc.route_tables[0]"]
    assert lacking in found["network.vpc.route_tables[1]"]


def test_a_network_without_names_is_told(team: Team) -> None:
    team.ec2.modify_vpc_attribute(VpcId=team.vpc, EnableDnsHostnames={"Value": False})
    assert team.problems() == {
        "network.vpc.id": f"{team.vpc}, without enableDnsHostnames | one with it, or network.domain: none"
    }
    given.require(*team.environment(network(domain="none")))


def test_a_network_of_its_own_is_not_looked_for(tmp_path: Path) -> None:
    file = ENVIRONMENTS / "prod.yaml"
    given.require(load_environment(file), file)
