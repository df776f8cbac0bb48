"""The environment's private network: subnets and routes by zone, the way to the cloud's APIs, who may reach what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from urllib.parse import urlsplit

from cdktf import App, TerraformDataSource

from holdfast.topology import Cluster, Egress, Images, Node, Role, Zone, names, ports
from holdfast.topology.ranges import is_public
from holdfast.topology.spec import Nat, TieredLayout, VpcSpec
from stacks import access
from stacks.base import Stack
from stacks.bindings.aws.data_aws_caller_identity import DataAwsCallerIdentity
from stacks.bindings.aws.default_security_group import DefaultSecurityGroup
from stacks.bindings.aws.ec2_subnet_cidr_reservation import Ec2SubnetCidrReservation
from stacks.bindings.aws.eip import Eip
from stacks.bindings.aws.internet_gateway import InternetGateway
from stacks.bindings.aws.nat_gateway import NatGateway
from stacks.bindings.aws.route import Route
from stacks.bindings.aws.route_table import RouteTable
from stacks.bindings.aws.route_table_association import RouteTableAssociation
from stacks.bindings.aws.security_group import SecurityGroup
from stacks.bindings.aws.subnet import Subnet
from stacks.bindings.aws.vpc import Vpc
from stacks.bindings.aws.vpc_endpoint import VpcEndpoint
from stacks.bindings.aws.vpc_security_group_egress_rule import VpcSecurityGroupEgressRule
from stacks.bindings.aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule

ANYWHERE = "0.0.0.0/0"
HTTPS, HTTP = 443, 80
VRRP = "112"
"""IP protocol by which gateways elect the floating pair's holder. It has no ports, for which EC2 says -1."""
NO_PORT = -1
PACKAGE_PROXY = 3142
"""Where an emulated cloud offers the distributions' mirrors to its stock images (apt-cacher's port)."""
UNSAID = (
    "{environment} is deployed, and clients come to it without TLS; its file does not say whether that shall change. "
    "Write `tls: off` to keep it so. What `tls: required` and `tls: optional` take is in docs/environment.md, TLS."
)


@dataclass(frozen=True)
class Use:
    """A port of the machines that have a role, and the roles whose machines use it."""

    what: str
    port: int
    of: Role
    by: tuple[Role, ...]


BETWEEN_NODES = (
    Use("redis", ports.REDIS, Role.DATA, tuple(Role)),
    Use("sentinel", ports.SENTINEL, Role.SENTINEL, tuple(Role)),
    Use("stats", ports.STATS, Role.GATEWAY, (Role.GATEWAY,)),
)

NODE_APIS = ("ec2", "secretsmanager")
"""The APIs that nodes call, besides S3, which has a gateway endpoint of its own kind."""


class NetworkStack(Stack):
    """`<env>-network`. Others take from it the VPC, subnet and route table of each zone's nodes, and their groups."""

    def __init__(self, app: App, cluster: Cluster) -> None:
        super().__init__(app, names.network_stack(cluster.environment), cluster)
        self.node_subnets: dict[str, str] = {}
        self.route_tables: dict[str, RouteTable] = {}
        """Of each zone; none in a VPC that was there already."""
        self._service_subnets: dict[str, Subnet] = {}
        given = self.environment.network.vpc
        self.vpc_id = self._add_network() if given is None else self._use_network(given)
        self.node_group = self._group("nodes", "Holdfast nodes: Redis, Sentinel and HAProxy")
        self._groups = self._add_role_groups()
        self._allow_nodes()
        self._keep_what_the_file_leaves_out()
        if given is not None:
            return
        if self.environment.network.egress is Egress.NAT:
            self._add_nat()
        else:
            self._add_endpoints()

    def _use_network(self, given: VpcSpec) -> str:
        """Of a VPC that was there already, addresses that nothing else gets; nothing that leads in or out is touched.

        An interface still gets an address of the block where it is asked for by name.
        """
        for zone in self.cluster.zones:
            subnet = given.subnets[zone.letter]
            self.node_subnets[zone.letter] = subnet.id
            Ec2SubnetCidrReservation(
                self,
                f"nodes-{zone.letter}",
                subnet_id=subnet.id,
                cidr_block=str(subnet.block),
                reservation_type="explicit",
                description=names.reservation(self.environment, zone),
            )
        return given.id

    def _add_network(self) -> str:
        vpc = Vpc(
            self,
            "vpc",
            cidr_block=str(self.environment.network.cidr),
            # Names of VPC endpoints and of a private zone need it. Not elsewhere: the provider takes ten seconds.
            enable_dns_hostnames=self.environment.network.egress is Egress.ENDPOINTS
            or self.environment.domain is not None,
            tags=self.tags("network"),
        )
        DefaultSecurityGroup(self, "closed", vpc_id=vpc.id, tags=self.tags("closed"))
        for zone in self.cluster.zones:
            self._add_zone(vpc, zone)
        self._account = DataAwsCallerIdentity(self, "account").account_id
        self._s3 = VpcEndpoint(
            self,
            "s3",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{self.environment.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in self.route_tables.values()],
            policy=self._own_bucket(),
            tags=self.tags("s3"),
        )
        return vpc.id

    def groups_of(self, node: Node) -> list[str]:
        """Ids of the security groups of a node's interface."""
        groups = [self.node_group, *(self._groups[role] for role in Role if role in node.roles)]
        return [group.id for group in dict.fromkeys(groups)]

    def _add_role_groups(self) -> dict[Role, SecurityGroup]:
        """One for each role where machines differ in roles; where all have all, that of the nodes."""
        if not isinstance(self.environment.layout, TieredLayout):
            return dict.fromkeys(Role, self.node_group)
        return {role: self._group(role.value, f"Holdfast machines with the role {role}") for role in Role}

    def _add_zone(self, vpc: Vpc, zone: Zone) -> None:
        nodes = Subnet(
            self,
            f"nodes-{zone.letter}",
            vpc_id=vpc.id,
            cidr_block=str(zone.nodes_cidr),
            availability_zone=zone.name,
            tags=self.tags(f"nodes-{zone.letter}"),
        )
        table = RouteTable(self, f"nodes-{zone.letter}-routes", vpc_id=vpc.id, tags=self.tags(f"nodes-{zone.letter}"))
        RouteTableAssociation(self, f"nodes-{zone.letter}-routed", subnet_id=nodes.id, route_table_id=table.id)
        self.node_subnets[zone.letter] = nodes.id
        self.route_tables[zone.letter] = table
        self._service_subnets[zone.letter] = Subnet(
            self,
            f"service-{zone.letter}",
            vpc_id=vpc.id,
            cidr_block=str(zone.service_cidr),
            availability_zone=zone.name,
            tags=self.tags(f"service-{zone.letter}"),
        )

    def _add_nat(self) -> None:
        """One NAT gateway in each zone, so that a zone's outage cuts no other off from the APIs; or one for all."""
        internet = InternetGateway(self, "internet", vpc_id=self.vpc_id, tags=self.tags("internet"))
        table = RouteTable(self, "service-routes", vpc_id=self.vpc_id, tags=self.tags("service"))
        Route(self, "service-out", route_table_id=table.id, destination_cidr_block=ANYWHERE, gateway_id=internet.id)
        shared: NatGateway | None = None
        for letter, subnet in self._service_subnets.items():
            RouteTableAssociation(self, f"service-{letter}-routed", subnet_id=subnet.id, route_table_id=table.id)
            nat = shared or self._add_nat_gateway(letter, subnet, internet)
            shared = nat if self.environment.network.nat is Nat.ONE else None
            Route(
                self,
                f"nodes-{letter}-out",
                route_table_id=self.route_tables[letter].id,
                destination_cidr_block=ANYWHERE,
                nat_gateway_id=nat.id,
            )
        self._add_ways_back(internet)

    def _add_nat_gateway(self, letter: str, subnet: Subnet, internet: InternetGateway) -> NatGateway:
        address = Eip(self, f"nat-{letter}-address", domain="vpc", tags=self.tags(f"nat-{letter}"))
        return NatGateway(
            self,
            f"nat-{letter}",
            subnet_id=subnet.id,
            allocation_id=address.id,
            tags=self.tags(f"nat-{letter}"),
            depends_on=[internet],
        )

    def _add_ways_back(self, internet: InternetGateway) -> None:
        """To those clients alone that come to the public addresses: all else goes out by the NAT gateway."""
        for cidr in self.environment.network.public_clients:
            for letter, table in self.route_tables.items():
                Route(
                    self,
                    f"nodes-{letter}-to-{_slug(cidr)}",
                    route_table_id=table.id,
                    destination_cidr_block=str(cidr),
                    gateway_id=internet.id,
                )

    def _own_bucket(self) -> str | None:
        """What the network's way to S3 is for. A distribution may have its package mirrors in S3: None with these."""
        if self.environment.images is Images.STOCK:
            return None
        ours = [names.bucket(self.environment)]
        ours += [names.backups_bucket(self.environment)] if self.environment.backup is not None else []
        buckets = [f"arn:aws:s3:::{name}{end}" for name in ours for end in ("", "/*")]
        return self._allow("s3:*", buckets, {"aws:ResourceAccount": self._account})

    def _by_our_account(self, service: str) -> str:
        """With keys of another account, a node that was taken over could send it what it has."""
        return self._allow(f"{service}:*", "*", {"aws:PrincipalAccount": self._account})

    def _allow(self, action: str, resource: str | list[str], equal: Mapping[str, str]) -> str:
        everybody = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": resource}
        return json.dumps(access.policy({**everybody, "Condition": {"StringEquals": equal}}))

    def _add_endpoints(self) -> None:
        """The APIs inside the network, and no way out of it."""
        group = self._group("endpoints", "APIs of the cloud inside the network")
        self._ingress(group, "nodes", HTTPS, "API calls of the nodes", group_id=self.node_group.id)
        self._egress("apis", HTTPS, "APIs of the cloud", group_id=group.id)
        for service in NODE_APIS:
            VpcEndpoint(
                self,
                service,
                vpc_id=self.vpc_id,
                service_name=f"com.amazonaws.{self.environment.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                policy=self._by_our_account(service),
                subnet_ids=[subnet.id for subnet in self._service_subnets.values()],
                security_group_ids=[group.id],
                tags=self.tags(service),
            )

    def _allow_nodes(self) -> None:
        """Name look-ups and the clock need no rule: security groups do not filter the VPC's own resolver and time."""
        tiered = self._groups[Role.DATA] is not self.node_group
        for use in BETWEEN_NODES:
            for user in use.by if tiered else use.by[:1]:
                what = f"{use.what}-from-{user}" if tiered else use.what
                said = f"{use.what} from {user} machines" if tiered else f"{use.what} between nodes"
                self._ingress(self._groups[use.of], what, use.port, said, group_id=self._groups[user].id)
                self._egress(what, use.port, said, group=self._groups[user], group_id=self._groups[use.of].id)
        if self.cluster.elects:
            gateways, said = self._groups[Role.GATEWAY], "Election of who holds the floating pair"
            self._ingress(gateways, "election", NO_PORT, said, group_id=gateways.id, protocol=VRRP)
            self._egress("election", NO_PORT, said, group=gateways, group_id=gateways.id, protocol=VRRP)
        for cidr in self.environment.network.clients or (self.environment.network.cidr,):
            said = "Clients to leader and replica endpoints"
            # Nor before the file says `public`, or when it does not any more: the addresses come last, and go last.
            in_plaintext = not (self.environment.tls.on and is_public(cidr))
            if self.cluster.plaintext_port is not None and in_plaintext:
                what = _endpoint_from(_slug(cidr))
                self._ingress(self._groups[Role.GATEWAY], what, self.cluster.plaintext_port, said, str(cidr))
            if self.environment.tls.on:
                what = f"tls-endpoint-from-{_slug(cidr)}"
                self._ingress(self._groups[Role.GATEWAY], what, ports.TLS_ENDPOINT, f"{said}, with TLS", str(cidr))
        for cidr in self.environment.network.sentinel_clients:
            for what, role, port in (("sentinel", Role.SENTINEL, ports.SENTINEL), ("redis", Role.DATA, ports.REDIS)):
                said = "Sentinel-aware clients, past the gateways"
                self._ingress(self._groups[role], f"{what}-from-{_slug(cidr)}", port, said, str(cidr))
        self._egress_to_apis()

    def _keep_what_the_file_leaves_out(self) -> None:
        """Where `required` is but a default, have Terraform plan nothing while clients come in plaintext.

        An environment that was deployed when `off` was the default would lose its clients here, before any gate: this
        stack comes first, and closes their port.
        """
        environment = self.environment
        if environment.says_tls or not environment.tls.on:
            return
        plaintext = TerraformDataSource(
            self, "plaintext-endpoints", terraform_resource_type="aws_vpc_security_group_rules"
        )
        name = names.resource(environment, f"{_endpoint_from('*')}-in")
        plaintext.add_override(
            "filter",
            [{"name": f"tag:{tag}", "values": [it]} for tag, it in {**names.tags(environment), "Name": name}.items()],
        )
        # Where it finds none, the provider gives null for them.
        refusal = {
            "condition": "${try(length(self.ids), 0) == 0}",
            "error_message": UNSAID.format(environment=environment.name),
        }
        plaintext.add_override("lifecycle.postcondition", [refusal])

    def _egress_to_apis(self) -> None:
        stock = self.environment.images is Images.STOCK
        if self.environment.network.egress is Egress.NAT:
            self._egress("https", HTTPS, "APIs of the cloud, and package mirrors", ANYWHERE)
            if stock:
                self._egress("http", HTTP, "Package mirrors, whose packages are signed", ANYWHERE)
        else:
            self._egress("s3", HTTPS, "S3 by the gateway endpoint", prefix_list_id=self._s3.prefix_list_id)
        if self.environment.node_api_endpoint is None:
            return
        api = urlsplit(self.environment.node_api_endpoint)
        where = _only(api.hostname or "")
        self._egress("emulated-apis", api.port or HTTPS, "APIs of the emulated cloud", where)
        if stock:
            self._egress("emulated-mirrors", PACKAGE_PROXY, "Package mirrors of the emulated cloud", where)

    def _group(self, what: str, description: str) -> SecurityGroup:
        return SecurityGroup(
            self,
            what,
            name=names.resource(self.environment, what),
            description=description,
            vpc_id=self.vpc_id,
            tags=self.tags(what),
        )

    def _ingress(
        self,
        group: SecurityGroup,
        what: str,
        port: int,
        description: str,
        cidr: str | None = None,
        *,
        group_id: str | None = None,
        protocol: str = "tcp",
    ) -> None:
        VpcSecurityGroupIngressRule(
            self,
            f"{what}-in",
            security_group_id=group.id,
            ip_protocol=protocol,
            from_port=port,
            to_port=port,
            cidr_ipv4=cidr,
            referenced_security_group_id=group_id,
            description=description,
            tags=self.tags(f"{what}-in"),
        )

    def _egress(
        self,
        what: str,
        port: int,
        description: str,
        cidr: str | None = None,
        *,
        group: SecurityGroup | None = None,
        group_id: str | None = None,
        prefix_list_id: str | None = None,
        protocol: str = "tcp",
    ) -> None:
        VpcSecurityGroupEgressRule(
            self,
            f"{what}-out",
            security_group_id=(group or self.node_group).id,
            ip_protocol=protocol,
            from_port=port,
            to_port=port,
            cidr_ipv4=cidr,
            referenced_security_group_id=group_id,
            prefix_list_id=prefix_list_id,
            description=description,
            tags=self.tags(f"{what}-out"),
        )


def _endpoint_from(where: str) -> str:
    return f"endpoint-from-{where}"


def _slug(cidr: IPv4Network) -> str:
    return str(cidr).replace(".", "-").replace("/", "-")


def _only(host: str) -> str:
    """The network of just that host; a host that is a name may be anywhere."""
    try:
        return f"{IPv4Address(host)}/32"
    except ValueError:
        return ANYWHERE
