"""One zone's nodes and their roles. Interface and volume last; new type, image or user-data replaces the instance."""

from __future__ import annotations

from collections.abc import Sequence

from cdktf import App, ITerraformDependable, TerraformResourceLifecycle

from holdfast import rendering
from holdfast.topology import Cluster, Node, Role, Volume, Zone, names, pins
from stacks.access import Access
from stacks.backups import BackupsStack
from stacks.base import Stack, run_holdfast
from stacks.bindings.aws.cloudwatch_metric_alarm import CloudwatchMetricAlarm
from stacks.bindings.aws.data_aws_caller_identity import DataAwsCallerIdentity
from stacks.bindings.aws.ebs_volume import EbsVolume
from stacks.bindings.aws.eip import Eip
from stacks.bindings.aws.eip_association import EipAssociation
from stacks.bindings.aws.instance import (
    Instance,
    InstanceMetadataOptions,
    InstanceNetworkInterface,
    InstanceRootBlockDevice,
)
from stacks.bindings.aws.network_interface import NetworkInterface
from stacks.bindings.aws.placement_group import PlacementGroup
from stacks.bindings.aws.route import Route
from stacks.gate import zone_gate
from stacks.identity import IdentityStack
from stacks.network import NetworkStack

ROOT_GIB = 8
"""What the distributions publish their images with: nothing on the root volume grows."""


class ZoneStack(Stack):
    """`<env>-zone-<letter>`: the unit of rollout, ended by a gate. Gives the instance id of each of its nodes."""

    def __init__(
        self,
        app: App,
        cluster: Cluster,
        zone: Zone,
        *,
        network: NetworkStack,
        identity: IdentityStack,
        backups: BackupsStack | None,
        first: ZoneStack | None,
    ) -> None:
        """`first`: the first zone's stack, which has the first gateway; None in that stack itself."""
        super().__init__(app, names.zone_stack(cluster.environment, zone), cluster)
        self._key = identity.key.arn
        self._backups_key = backups.key.arn if backups else None
        self._account = DataAwsCallerIdentity(self, "account").account_id
        self._subnet = network.node_subnets[zone.letter]
        self._network = network
        self.interfaces = {node.name: self._add_interface(node) for node in cluster.nodes_in(zone)}
        published = cluster.nodes_in(zone) if cluster.environment.network.public else ()
        self.public_addresses = {node.name: self._publish(node) for node in published if node.endpoints}
        """Gateway → the public addresses of its endpoints; empty without `network.public`."""
        self._apart = self._place_apart(zone)
        certified = self._certify()
        self.instances = {node.name: self._add_node(node, certified).id for node in cluster.nodes_in(zone)}
        for node in cluster.nodes_in(zone):
            self._add_alarm(node)
        self._lead_floating_pair(zone, first or self)
        zone_gate(self, self.instances)

    def _place_apart(self, zone: Zone) -> str | None:
        """The name of a group whose machines have no hardware in common; None where a machine is alone in its zone."""
        if not self.cluster.shared(zone):
            return None
        name = names.placement_group(self.environment, zone)
        return PlacementGroup(self, "spread", name=name, strategy="spread", tags={"Name": name}).name

    def _lead_floating_pair(self, zone: Zone, first: ZoneStack) -> None:
        """To the first gateway. From then on the gateways move it: see node/README.md.

        In this zone's table; of a VPC that was there already, in all that the file names, with the first zone.
        """
        floating, given = self.cluster.floating, self.environment.network.vpc
        if floating is None:
            return
        gateway = first.interfaces[self.cluster.having(Role.GATEWAY)[0].name]
        tables = {"": self._network.route_tables[zone.letter].id} if given is None else {}
        if given is not None and first is self:
            tables = {f"-{table}": table for table in given.route_tables}
        for kind, address in (("leader", floating.leader), ("replica", floating.replica)):
            for where, table in tables.items():
                Route(
                    self,
                    f"floating-{kind}{where}",
                    route_table_id=table,
                    destination_cidr_block=f"{address}/32",
                    network_interface_id=gateway.id,
                    lifecycle=TerraformResourceLifecycle(ignore_changes=["network_interface_id"]),
                )

    def _add_interface(self, node: Node) -> NetworkInterface:
        gateway = node.leader_endpoint is not None
        return NetworkInterface(
            self,
            f"{node.name}-interface",
            description=f"{node.name}: its own address{', its leader endpoint, its replica endpoint' * gateway}",
            subnet_id=self._subnet,
            security_groups=self._network.groups_of(node),
            # A list, not `private_ips`: that is a set, of which any address may become the primary one.
            private_ip_list_enabled=True,
            private_ip_list=[str(address) for address in node.addresses],
            # The floating pair's addresses are none of the interface's own.
            source_dest_check=False if gateway and self.cluster.floating else None,
            tags=names.node_tags(node) | names.endpoint_tags(node, self.cluster.endpoint_port),
        )

    def _publish(self, node: Node) -> list[str]:
        """Have a gateway's endpoints be reached at public addresses too; returns these."""
        # Not by the rule for what is protected: those of NAT gateways are known to nobody, and may go.
        kept = TerraformResourceLifecycle(prevent_destroy=True) if self.environment.protected else None
        addresses = []
        for kind, private in node.endpoints.items():
            tags = names.public_address_tags(node, kind)
            address = Eip(self, f"{node.name}-{kind}-address", domain="vpc", lifecycle=kept, tags=tags)
            EipAssociation(
                self,
                f"{node.name}-{kind}-public",
                allocation_id=address.allocation_id,
                network_interface_id=self.interfaces[node.name].id,
                private_ip_address=str(private),
            )
            addresses.append(address.public_ip)
        return addresses

    def _certify(self) -> list[ITerraformDependable]:
        """Have certificates be for the public addresses, before a machine takes its own."""
        if not self.public_addresses:
            return []
        return [run_holdfast(self, "certificates", "certs ensure", self.public_addresses)]

    def _add_node(self, node: Node, certified: Sequence[ITerraformDependable]) -> Instance:
        """`certified`: what must be done before it boots."""
        # Before the machine, which attaches it while Terraform would still wait to see it unattached.
        volumes = [self._add_volume(node, node.volume)] if node.volume is not None else []
        access = Access(self, node, self._key, self._account, self._backups_key)
        return Instance(
            self,
            node.name,
            ami=pins.image_id(self.environment, node.machine),
            instance_type=node.machine.type,
            availability_zone=node.zone.name,
            placement_group=self._apart,
            iam_instance_profile=access.profile.name,
            ebs_optimized=node.machine.instance.ebs_optimized,
            network_interface=[
                InstanceNetworkInterface(device_index=0, network_interface_id=self.interfaces[node.name].id)
            ],
            metadata_options=InstanceMetadataOptions(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            root_block_device=InstanceRootBlockDevice(
                volume_type="gp3",
                volume_size=ROOT_GIB,
                encrypted=True,
                kms_key_id=self._key,
                tags=names.node_tags(node),
            ),
            user_data_base64=rendering.user_data_base64(self.cluster, node),
            user_data_replace_on_change=True,
            tags=names.node_tags(node) | names.image_tags(node),
            depends_on=[*volumes, access.policy, *certified],
        )

    def _add_alarm(self, node: Node) -> None:
        """Here, so that it follows its machine within the same deploy: one that is gone says nothing, which alarms."""
        # By its name: the topic comes with the last stack, and CloudWatch does not look for it before it has to.
        topic = f"arn:aws:sns:{self.environment.region}:{self._account}:{names.alarms(self.environment)}"
        CloudwatchMetricAlarm(
            self,
            f"{node.name}-status",
            alarm_name=names.node_alarm(self.environment, node),
            alarm_description=f"The machine of {node.name} fails its status checks; look with: holdfast status",
            namespace="AWS/EC2",
            metric_name="StatusCheckFailed",
            dimensions={"InstanceId": self.instances[node.name]},
            statistic="Maximum",
            period=60,
            # A new machine has no status for its first minutes.
            evaluation_periods=5,
            threshold=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            treat_missing_data="breaching",
            alarm_actions=[topic],
            ok_actions=[topic],
            tags={"Name": f"{node.name}-status", "Node": node.name},
        )

    def _add_volume(self, node: Node, volume: Volume) -> EbsVolume:
        """The machine attaches it by itself (see node/holdfast_node/volume.py).

        Terraform would wait for the instance before, and for half a minute after. EC2 gives the volume back when the
        instance has terminated.
        """
        return EbsVolume(
            self,
            f"{node.name}-data",
            availability_zone=node.zone.name,
            size=volume.gib,
            type="gp3",
            encrypted=True,
            kms_key_id=self._key,
            tags=names.data_volume_tags(node),
        )
