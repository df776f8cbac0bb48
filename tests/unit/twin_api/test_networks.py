"""Networks: groups, gateways, routes, endpoints, private zones."""

from __future__ import annotations

from ipaddress import IPv4Network

from holdfast.twin.api import Api
from holdfast.twin.view import NatGateway, Records, Route, Rule, Vpc
from tests.unit.twin_api.cloud import REGION, Cloud, client, refused


def test_rules_keep_their_descriptions_and_are_seen(api: Api) -> None:
    cloud = Cloud(api)
    group = cloud.ec2.create_security_group(GroupName="nodes", Description="Nodes", VpcId=cloud.vpc)["GroupId"]
    made = cloud.ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 6380,
                "ToPort": 6380,
                "UserIdGroupPairs": [{"GroupId": group, "Description": "redis between nodes"}],
            },
            {
                "IpProtocol": "tcp",
                "FromPort": 6379,
                "ToPort": 6379,
                "IpRanges": [{"CidrIp": "10.40.0.0/16", "Description": "Clients"}],
            },
        ],
    )
    assert made["Return"]
    rules = cloud.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
    described = {rule["FromPort"]: rule["Description"] for rule in rules["SecurityGroupRules"] if not rule["IsEgress"]}
    assert described == {6380: "redis between nodes", 6379: "Clients"}
    assert api.view().groups[group].ingress == (
        Rule("tcp", 6380, 6380, groups=(group,)),
        Rule("tcp", 6379, 6379, cidrs=(IPv4Network("10.40.0.0/16"),)),
    )
    assert api.view().groups[group].egress == (Rule("-1", None, None, cidrs=(IPv4Network("0.0.0.0/0"),)),)


def test_a_rule_s_description_changes(api: Api) -> None:
    cloud = Cloud(api)
    group = cloud.ec2.create_security_group(GroupName="nodes", Description="Nodes", VpcId=cloud.vpc)["GroupId"]
    pair = {"GroupId": group, "Description": "before"}
    permission = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "UserIdGroupPairs": [pair]}
    rule = cloud.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    rule_id = rule["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    wanted = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 3, "ReferencedGroupId": group, "Description": "after"}
    cloud.ec2.modify_security_group_rules(
        GroupId=group, SecurityGroupRules=[{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": wanted}]
    )
    found = cloud.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])["SecurityGroupRules"][0]
    assert (found["ToPort"], found["Description"]) == (3, "after")
    assert found["ReferencedGroupInfo"]["GroupId"] == group


def test_what_is_in_use_stays(api: Api) -> None:
    cloud = Cloud(api)
    group = cloud.ec2.create_security_group(GroupName="nodes", Description="Nodes", VpcId=cloud.vpc)["GroupId"]
    interface = cloud.interface(cloud.a, "10.40.0.4", Groups=[group])
    assert refused(cloud.ec2.delete_security_group, GroupId=group) == "DependencyViolation"
    assert refused(cloud.ec2.delete_subnet, SubnetId=cloud.a) == "DependencyViolation"
    assert refused(cloud.ec2.delete_vpc, VpcId=cloud.vpc) == "DependencyViolation"
    cloud.ec2.delete_network_interface(NetworkInterfaceId=interface)
    cloud.ec2.delete_subnet(SubnetId=cloud.a)
    cloud.ec2.delete_subnet(SubnetId=cloud.b)
    assert refused(cloud.ec2.delete_vpc, VpcId=cloud.vpc) == "DependencyViolation"
    cloud.ec2.delete_security_group(GroupId=group)
    cloud.ec2.delete_vpc(VpcId=cloud.vpc)
    assert api.view().vpcs == {}


def test_a_nat_gateway_takes_its_interface_along(api: Api) -> None:
    cloud = Cloud(api)
    gateway = cloud.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    cloud.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=cloud.vpc)
    address = cloud.ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = cloud.ec2.create_nat_gateway(SubnetId=cloud.a, AllocationId=address)["NatGateway"]["NatGatewayId"]
    assert refused(cloud.ec2.delete_subnet, SubnetId=cloud.a) == "DependencyViolation"
    assert refused(cloud.ec2.release_address, AllocationId=address) == "InvalidIPAddress.InUse"
    detach = {"InternetGatewayId": gateway, "VpcId": cloud.vpc}
    assert refused(cloud.ec2.detach_internet_gateway, **detach) == "DependencyViolation"
    cloud.ec2.delete_nat_gateway(NatGatewayId=nat)
    assert api.view().interfaces == {}
    cloud.ec2.detach_internet_gateway(**detach)
    cloud.ec2.release_address(AllocationId=address)
    cloud.ec2.delete_subnet(SubnetId=cloud.a)
    assert cloud.ec2.describe_addresses()["Addresses"] == []


def test_a_vpc_has_one_internet_gateway(api: Api) -> None:
    cloud = Cloud(api)
    one, two = (cloud.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"] for _ in range(2))
    cloud.ec2.attach_internet_gateway(InternetGatewayId=one, VpcId=cloud.vpc)
    arguments = {"InternetGatewayId": two, "VpcId": cloud.vpc}
    assert refused(cloud.ec2.attach_internet_gateway, **arguments) == "InvalidParameterValue"


def test_routes_are_those_of_the_subnet_s_table_or_the_main_one(api: Api) -> None:
    cloud = Cloud(api)
    gateway = cloud.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    cloud.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=cloud.vpc)
    table = cloud.ec2.create_route_table(VpcId=cloud.vpc)["RouteTable"]["RouteTableId"]
    cloud.ec2.associate_route_table(RouteTableId=table, SubnetId=cloud.b)
    address = cloud.ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = cloud.ec2.create_nat_gateway(SubnetId=cloud.a, AllocationId=address)["NatGateway"]["NatGatewayId"]
    cloud.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    endpoint = cloud.ec2.create_vpc_endpoint(
        VpcId=cloud.vpc, ServiceName=f"com.amazonaws.{REGION}.s3", VpcEndpointType="Gateway", RouteTableIds=[table]
    )["VpcEndpoint"]["VpcEndpointId"]
    view = api.view()
    local = Route(IPv4Network("10.40.0.0/16"), "local")
    assert view.vpcs == {cloud.vpc: Vpc(cloud.vpc, IPv4Network("10.40.0.0/16"))}
    assert view.subnets[cloud.a].routes == (local,)
    assert view.subnets[cloud.b].routes == (local, Route(IPv4Network("0.0.0.0/0"), nat))
    assert view.nat_gateways == {nat: NatGateway(nat, cloud.a)}
    assert (view.endpoints[endpoint].service, view.endpoints[endpoint].interface) == ("s3", False)
    assert view.endpoints[endpoint].subnets == {cloud.b}
    [interface] = view.interfaces.values()
    assert interface.addresses[0] in IPv4Network("10.40.0.0/20"), "a NAT gateway's address is of its subnet"


def test_a_route_table_has_a_destination_once_and_none_inside_the_network(api: Api) -> None:
    cloud = Cloud(api)
    gateway = cloud.interface(cloud.a, "10.40.0.4")
    table = cloud.ec2.create_route_table(VpcId=cloud.vpc)["RouteTable"]["RouteTableId"]
    cloud.ec2.associate_route_table(RouteTableId=table, SubnetId=cloud.a)
    overlay = {"RouteTableId": table, "DestinationCidrBlock": "10.200.0.1/32", "NetworkInterfaceId": gateway}
    cloud.ec2.create_route(**overlay)
    assert api.view().subnets[cloud.a].routes[-1] == Route(IPv4Network("10.200.0.1/32"), gateway)
    assert refused(cloud.ec2.create_route, **overlay) == "RouteAlreadyExists"
    cloud.ec2.replace_route(**{**overlay, "NetworkInterfaceId": cloud.interface(cloud.b, "10.40.16.4")})
    inside = {**overlay, "DestinationCidrBlock": "10.40.200.1/32"}
    assert refused(cloud.ec2.create_route, **inside) == "InvalidParameterValue"
    nowhere = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-00000000000000000"}
    assert refused(cloud.ec2.create_route, **nowhere) == "InvalidNatGatewayID.NotFound"
    another = cloud.ec2.create_route_table(VpcId=cloud.vpc)["RouteTable"]["RouteTableId"]
    arguments = {"RouteTableId": another, "SubnetId": cloud.a}
    assert refused(cloud.ec2.associate_route_table, **arguments) == "Resource.AlreadyAssociated"


def test_reserved_addresses_are_given_to_who_asks_for_them_alone(api: Api) -> None:
    cloud = Cloud(api)
    block = {"SubnetId": cloud.a, "Cidr": "10.40.0.0/29", "ReservationType": "explicit", "Description": "ours"}
    made = cloud.ec2.create_subnet_cidr_reservation(**block)["SubnetCidrReservation"]
    (found,) = cloud.ec2.get_subnet_cidr_reservations(SubnetId=cloud.a)["SubnetIpv4CidrReservations"]
    assert found == made
    assert (found["Cidr"], found["Description"], found["ReservationType"]) == ("10.40.0.0/29", "ours", "explicit")
    assert cloud.addresses(cloud.interface(cloud.a, "10.40.0.5")) == [("10.40.0.5", True)]
    chosen = cloud.ec2.create_network_interface(SubnetId=cloud.a)["NetworkInterface"]["NetworkInterfaceId"]
    assert cloud.addresses(chosen) == [("10.40.0.8", True)]
    reserve = cloud.ec2.create_subnet_cidr_reservation
    for elsewhere in ("10.40.0.4/30", "10.40.16.0/28"):
        assert refused(reserve, **{**block, "Cidr": elsewhere}) == "InvalidParameterValue"
    given_back = {"SubnetCidrReservationId": made["SubnetCidrReservationId"]}
    cloud.ec2.delete_subnet_cidr_reservation(**given_back)
    gone = refused(cloud.ec2.delete_subnet_cidr_reservation, **given_back)
    assert gone == "InvalidSubnetCidrReservationID.NotFound"
    chosen = cloud.ec2.create_network_interface(SubnetId=cloud.a)["NetworkInterface"]["NetworkInterfaceId"]
    assert cloud.addresses(chosen) == [("10.40.0.4", True)]


def test_interface_endpoints(api: Api) -> None:
    cloud = Cloud(api)
    group = cloud.ec2.create_security_group(GroupName="apis", Description="APIs", VpcId=cloud.vpc)["GroupId"]
    made = cloud.ec2.create_vpc_endpoint(
        VpcId=cloud.vpc,
        ServiceName=f"com.amazonaws.{REGION}.secretsmanager",
        VpcEndpointType="Interface",
        SubnetIds=[cloud.a],
        SecurityGroupIds=[group],
    )["VpcEndpoint"]["VpcEndpointId"]
    endpoint = api.view().endpoints[made]
    assert (endpoint.service, endpoint.interface) == ("secretsmanager", True)
    assert endpoint.subnets == {cloud.a}
    assert endpoint.groups == (group,)


def test_a_zone_made_with_a_vpc_is_private(api: Api) -> None:
    cloud, route53 = Cloud(api), client(api, "route53")
    vpc = {"VPCRegion": REGION, "VPCId": cloud.vpc}
    made = route53.create_hosted_zone(Name="local.holdfast", CallerReference="one", VPC=vpc)["HostedZone"]["Id"]
    found = route53.get_hosted_zone(Id=made)
    assert (found["HostedZone"]["Config"]["PrivateZone"], found["VPCs"]) == (True, [vpc])
    assert "DelegationSet" not in found
    public = route53.create_hosted_zone(Name="holdfast.example", CallerReference="two")["HostedZone"]["Id"]
    assert not route53.get_hosted_zone(Id=public)["HostedZone"]["Config"]["PrivateZone"]
    nowhere = {"VPCRegion": REGION, "VPCId": "vpc-00000000000000000"}
    arguments = {"Name": "other.holdfast", "CallerReference": "three", "VPC": nowhere}
    assert refused(route53.create_hosted_zone, **arguments) == "InvalidVPCId"


def test_a_vpc_has_one_zone_of_a_name(api: Api) -> None:
    cloud, route53 = Cloud(api), client(api, "route53")
    zone = {"Name": "local.holdfast", "VPC": {"VPCRegion": REGION, "VPCId": cloud.vpc}}
    route53.create_hosted_zone(**zone, CallerReference="one")
    assert refused(route53.create_hosted_zone, **zone, CallerReference="two") == "ConflictingDomainExists"
    route53.create_hosted_zone(**zone | {"Name": "other.holdfast"}, CallerReference="three")
    route53.create_hosted_zone(Name="local.holdfast", CallerReference="four")


def test_the_view_has_private_zones_and_their_records_as_they_are_now(api: Api) -> None:
    cloud, route53 = Cloud(api), client(api, "route53")
    vpc = {"VPCRegion": REGION, "VPCId": cloud.vpc}
    zone = route53.create_hosted_zone(Name="local.holdfast.", CallerReference="one", VPC=vpc)["HostedZone"]["Id"]
    route53.create_hosted_zone(Name="holdfast.example", CallerReference="two")

    def change(action: str, *addresses: str) -> None:
        values = [{"Value": address} for address in addresses]
        record = {"Name": "leader.local.holdfast", "Type": "A", "ResourceRecords": values, "TTL": 5}
        changes = [{"Action": action, "ResourceRecordSet": record}]
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})

    def seen() -> Records | None:
        (private,) = api.view().private_zones
        assert (private.name, private.vpcs) == ("local.holdfast", {cloud.vpc})
        return private.records.get(("leader.local.holdfast", "A"))

    assert seen() is None
    change("CREATE", "10.40.0.5", "10.40.16.5")
    assert seen() == Records(5, ("10.40.0.5", "10.40.16.5"))
    change("UPSERT", "10.40.16.5")
    assert seen() == Records(5, ("10.40.16.5",))
    change("DELETE", "10.40.16.5")
    assert seen() is None
    (private,) = api.view().private_zones
    assert private.records["local.holdfast", "SOA"].values == (
        "ns-1536.awsdns-00.co.uk. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400",
    )


def test_the_view_says_whether_a_vpc_has_names(api: Api) -> None:
    cloud = Cloud(api)
    assert (api.view().vpcs[cloud.vpc].dns_support, api.view().vpcs[cloud.vpc].dns_hostnames) == (True, False)
    cloud.ec2.modify_vpc_attribute(VpcId=cloud.vpc, EnableDnsHostnames={"Value": True})
    cloud.ec2.modify_vpc_attribute(VpcId=cloud.vpc, EnableDnsSupport={"Value": False})
    assert (api.view().vpcs[cloud.vpc].dns_support, api.view().vpcs[cloud.vpc].dns_hostnames) == (False, True)


def test_a_record_is_there_once_and_well_formed(api: Api) -> None:
    cloud, route53 = Cloud(api), client(api, "route53")
    vpc = {"VPCRegion": REGION, "VPCId": cloud.vpc}
    zone = route53.create_hosted_zone(Name="local.holdfast", CallerReference="one", VPC=vpc)["HostedZone"]["Id"]

    def change(action: str, label: str, kind: str, *values: str, **more: object) -> dict[str, object]:
        records = [{"Value": value} for value in values]
        record = {"Name": f"{label}.local.holdfast", "Type": kind, "ResourceRecords": records, "TTL": 5} | more
        return {"HostedZoneId": zone, "ChangeBatch": {"Changes": [{"Action": action, "ResourceRecordSet": record}]}}

    def refusal(*arguments: str) -> str:
        return refused(route53.change_resource_record_sets, **change(*arguments))

    route53.change_resource_record_sets(**change("CREATE", "leader", "A", "10.40.0.5", "10.40.16.5"))
    assert refusal("CREATE", "leader", "A", "10.40.32.5") == "InvalidChangeBatch"
    route53.change_resource_record_sets(**change("UPSERT", "leader", "A", "10.40.32.5"))
    assert refusal("CREATE", "one", "A", "10.40.0") == "InvalidChangeBatch"
    assert refusal("CREATE", "one", "A", "10.40.0.256") == "InvalidChangeBatch"
    assert refusal("CREATE", "one", "A", "10.40.0.4", "10.40.0.4") == "InvalidChangeBatch"
    assert refusal("CREATE", "_sentinel._tcp", "SRV", "26379 local-a1.local.holdfast") == "InvalidChangeBatch"
    route53.change_resource_record_sets(**change("CREATE", "_sentinel._tcp", "SRV", "0 1 26379 a1.local.holdfast"))
    listed = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    found = {(one["Type"], one["Name"]): [each["Value"] for each in one["ResourceRecords"]] for one in listed}
    assert found["A", "leader.local.holdfast."] == ["10.40.32.5"]
    assert found["SRV", "_sentinel._tcp.local.holdfast."] == ["0 1 26379 a1.local.holdfast"]
