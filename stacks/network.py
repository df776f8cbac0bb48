"""The environment's private network: subnets and routes by zone, the way to the cloud's APIs, who may reach what."""

from __future__ import annotations

from ipaddress import IPv4Address
from urllib.parse import urlsplit

from cdktf import App

from holdfast.topology import Cluster, Egress, Images, Zone, names, ports
from stacks.base import Stack
from stacks.bindings.aws.default_security_group import DefaultSecurityGroup
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
PACKAGE_PROXY = 3142
"""Where an emulated cloud offers the distributions' mirrors to its stock images (apt-cacher's port)."""

BETWEEN_NODES = {"redis": ports.REDIS, "sentinel": ports.SENTINEL, "stats": ports.STATS}

NODE_APIS = ("secretsmanager",)
"""The APIs that nodes call, besides S3, which has a gateway endpoint of its own kind."""


class NetworkStack(Stack):
    """`<env>-network`. Others take from it the VPC, the node subnet of each zone, and the nodes' security group."""

    def __init__(self, app: App, cluster: Cluster) -> None:
        super().__init__(app, names.network_stack(cluster.environment), cluster)
        self.vpc = Vpc(
            self,
            "vpc",
            cidr_block=str(self.environment.network.cidr),
            # Private names of VPC endpoints need it. Not elsewhere: the provider takes ten seconds over it.
            enable_dns_hostnames=self.environment.network.egress is Egress.ENDPOINTS,
            tags=self.tags("network"),
        )
        DefaultSecurityGroup(self, "closed", vpc_id=self.vpc.id, tags=self.tags("closed"))
        self.node_subnets: dict[str, str] = {}
        self._route_tables: dict[str, RouteTable] = {}
        self._service_subnets: dict[str, Subnet] = {}
        for zone in cluster.zones:
            self._add_zone(zone)
        tables = [table.id for table in self._route_tables.values()]
        self._s3 = VpcEndpoint(
            self,
            "s3",
            vpc_id=self.vpc.id,
            service_name=f"com.amazonaws.{self.environment.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=tables,
            tags=self.tags("s3"),
        )
        self.node_group = self._group("nodes", "Holdfast nodes: Redis, Sentinel and HAProxy")
        self._allow_nodes()
        if self.environment.network.egress is Egress.NAT:
            self._add_nat()
        else:
            self._add_endpoints()

    def _add_zone(self, zone: Zone) -> None:
        nodes = Subnet(
            self,
            f"nodes-{zone.letter}",
            vpc_id=self.vpc.id,
            cidr_block=str(zone.nodes_cidr),
            availability_zone=zone.name,
            tags=self.tags(f"nodes-{zone.letter}"),
        )
        table = RouteTable(
            self, f"nodes-{zone.letter}-routes", vpc_id=self.vpc.id, tags=self.tags(f"nodes-{zone.letter}")
        )
        RouteTableAssociation(self, f"nodes-{zone.letter}-routed", subnet_id=nodes.id, route_table_id=table.id)
        self.node_subnets[zone.letter] = nodes.id
        self._route_tables[zone.letter] = table
        self._service_subnets[zone.letter] = Subnet(
            self,
            f"service-{zone.letter}",
            vpc_id=self.vpc.id,
            cidr_block=str(zone.service_cidr),
            availability_zone=zone.name,
            tags=self.tags(f"service-{zone.letter}"),
        )

    def _add_nat(self) -> None:
        """One NAT gateway in each zone: a zone's outage must not cut the others off from the APIs."""
        internet = InternetGateway(self, "internet", vpc_id=self.vpc.id, tags=self.tags("internet"))
        table = RouteTable(self, "service-routes", vpc_id=self.vpc.id, tags=self.tags("service"))
        Route(self, "service-out", route_table_id=table.id, destination_cidr_block=ANYWHERE, gateway_id=internet.id)
        for letter, subnet in self._service_subnets.items():
            RouteTableAssociation(self, f"service-{letter}-routed", subnet_id=subnet.id, route_table_id=table.id)
            address = Eip(self, f"nat-{letter}-address", domain="vpc", tags=self.tags(f"nat-{letter}"))
            nat = NatGateway(
                self,
                f"nat-{letter}",
                subnet_id=subnet.id,
                allocation_id=address.id,
                tags=self.tags(f"nat-{letter}"),
                depends_on=[internet],
            )
            Route(
                self,
                f"nodes-{letter}-out",
                route_table_id=self._route_tables[letter].id,
                destination_cidr_block=ANYWHERE,
                nat_gateway_id=nat.id,
            )

    def _add_endpoints(self) -> None:
        """The APIs inside the network, and no way out of it."""
        group = self._group("endpoints", "The cloud's APIs inside the network")
        self._ingress(group, "nodes", HTTPS, "API calls of the nodes", group_id=self.node_group.id)
        self._egress("apis", HTTPS, "The cloud's APIs", group_id=group.id)
        for service in NODE_APIS:
            VpcEndpoint(
                self,
                service,
                vpc_id=self.vpc.id,
                service_name=f"com.amazonaws.{self.environment.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[subnet.id for subnet in self._service_subnets.values()],
                security_group_ids=[group.id],
                tags=self.tags(service),
            )

    def _allow_nodes(self) -> None:
        """Name look-ups and the clock need no rule: security groups do not filter the VPC's own resolver and time."""
        for what, port in BETWEEN_NODES.items():
            self._ingress(self.node_group, what, port, f"{what} between nodes", group_id=self.node_group.id)
            self._egress(what, port, f"{what} between nodes", group_id=self.node_group.id)
        for cidr in self.environment.network.clients or (self.environment.network.cidr,):
            slug = str(cidr).replace(".", "-").replace("/", "-")
            what = f"endpoint-from-{slug}"
            self._ingress(self.node_group, what, ports.ENDPOINT, "Clients to leader and replica endpoints", str(cidr))
        self._egress_to_apis()

    def _egress_to_apis(self) -> None:
        stock = self.environment.images is Images.STOCK
        if self.environment.network.egress is Egress.NAT:
            self._egress("https", HTTPS, "The cloud's APIs and package mirrors", ANYWHERE)
            if stock:
                self._egress("http", HTTP, "Package mirrors, whose packages are signed", ANYWHERE)
        else:
            self._egress("s3", HTTPS, "S3 by the gateway endpoint", prefix_list_id=self._s3.prefix_list_id)
        if self.environment.node_api_endpoint is None:
            return
        api = urlsplit(self.environment.node_api_endpoint)
        where = _only(api.hostname or "")
        self._egress("emulated-apis", api.port or HTTPS, "The emulated cloud's APIs", where)
        if stock:
            self._egress("emulated-mirrors", PACKAGE_PROXY, "The emulated cloud's package mirrors", where)

    def _group(self, what: str, description: str) -> SecurityGroup:
        return SecurityGroup(
            self,
            what,
            name=names.resource(self.environment, what),
            description=description,
            vpc_id=self.vpc.id,
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
    ) -> None:
        VpcSecurityGroupIngressRule(
            self,
            f"{what}-in",
            security_group_id=group.id,
            ip_protocol="tcp",
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
        group_id: str | None = None,
        prefix_list_id: str | None = None,
    ) -> None:
        VpcSecurityGroupEgressRule(
            self,
            f"{what}-out",
            security_group_id=self.node_group.id,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            cidr_ipv4=cidr,
            referenced_security_group_id=group_id,
            prefix_list_id=prefix_list_id,
            description=description,
            tags=self.tags(f"{what}-out"),
        )


def _only(host: str) -> str:
    """The network of just that host; a host that is a name may be anywhere."""
    try:
        return f"{IPv4Address(host)}/32"
    except ValueError:
        return ANYWHERE
