"""One of every kind of resource, made by hand with the tags that are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from holdfast.ops.teststacks.clouds import Cloud
from holdfast.topology import Environment, load_environment
from holdfast.topology.load import TESTSTACKS
from holdfast.topology.spec import instant
from tests.unit.teststacks.conftest import IMAGE

Tags = Mapping[str, str]

REGION = "eu-central-1"
EXPIRED = {
    "Project": "holdfast",
    "Environment": "test-one",
    "ManagedBy": "cdktf",
    "Owner": "alice",
    "Run": "r1",
    "Expires": "2026-01-01T12:00:00Z",
}
LATER = {**EXPIRED, "Expires": "2099-01-01T12:00:00Z"}


def listed(tags: Tags, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    return [{key: name, value: content} for name, content in tags.items()]


class Maker:
    """Makes things in one account; names of what must be unique end in `suffix`."""

    def __init__(self, cloud: Cloud, tags: Tags, suffix: str) -> None:
        self.cloud = cloud
        self.tags = tags
        self.suffix = suffix
        self.ec2: Any = cloud.client("ec2")

    def specified(self, kind: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": listed(self.tags)}]

    def network(self) -> str:
        made = self.ec2.create_vpc(CidrBlock="10.9.0.0/16", TagSpecifications=self.specified("vpc"))
        return str(made["Vpc"]["VpcId"])

    def bare_network(self) -> str:
        """One that is nobody's."""
        return str(self.ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"])

    def bare_subnet(self) -> str:
        made = self.ec2.create_subnet(VpcId=self.bare_network(), CidrBlock="10.8.0.0/24", AvailabilityZone=f"{REGION}a")
        return str(made["Subnet"]["SubnetId"])

    def subnet(self, network: str | None = None) -> str:
        made = self.ec2.create_subnet(
            VpcId=network or self.bare_network(),
            CidrBlock="10.9.0.0/24" if network else "10.8.0.0/24",
            AvailabilityZone=f"{REGION}a",
            TagSpecifications=self.specified("subnet"),
        )
        return str(made["Subnet"]["SubnetId"])

    def group(self, network: str | None = None, name: str = "one") -> str:
        made = self.ec2.create_security_group(
            GroupName=name,
            Description=name,
            VpcId=network or self.bare_network(),
            TagSpecifications=self.specified("security-group"),
        )
        return str(made["GroupId"])

    def interface(self, subnet: str | None = None) -> str:
        made = self.ec2.create_network_interface(
            SubnetId=subnet or self.bare_subnet(), TagSpecifications=self.specified("network-interface")
        )
        return str(made["NetworkInterface"]["NetworkInterfaceId"])

    def instance(self, subnet: str | None = None) -> str:
        made = self.ec2.run_instances(
            ImageId=IMAGE,
            InstanceType="t3.small",
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet or self.bare_subnet(),
            TagSpecifications=self.specified("instance"),
        )
        return str(made["Instances"][0]["InstanceId"])

    def placement_group(self) -> str:
        made = self.ec2.create_placement_group(
            GroupName=f"apart-{self.suffix}",
            Strategy="spread",
            TagSpecifications=self.specified("placement-group"),
        )
        return str(made["PlacementGroup"]["GroupId"])

    def volume(self) -> str:
        made = self.ec2.create_volume(
            Size=1, AvailabilityZone=f"{REGION}a", VolumeType="gp3", TagSpecifications=self.specified("volume")
        )
        return str(made["VolumeId"])

    def snapshot(self) -> str:
        volume = self.ec2.create_volume(Size=1, AvailabilityZone=f"{REGION}a")["VolumeId"]
        made = self.ec2.create_snapshot(VolumeId=volume, TagSpecifications=self.specified("snapshot"))
        return str(made["SnapshotId"])

    def endpoint(self) -> str:
        made = self.ec2.create_vpc_endpoint(
            VpcId=self.bare_network(),
            ServiceName=f"com.amazonaws.{REGION}.s3",
            VpcEndpointType="Gateway",
            TagSpecifications=self.specified("vpc-endpoint"),
        )
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def nat_gateway(self) -> str:
        made = self.ec2.create_nat_gateway(
            SubnetId=self.bare_subnet(),
            AllocationId=self.ec2.allocate_address(Domain="vpc")["AllocationId"],
            TagSpecifications=self.specified("natgateway"),
        )
        return str(made["NatGateway"]["NatGatewayId"])

    def address(self) -> str:
        made = self.ec2.allocate_address(Domain="vpc", TagSpecifications=self.specified("elastic-ip"))
        return str(made["AllocationId"])

    def internet_gateway(self) -> str:
        made = self.ec2.create_internet_gateway(TagSpecifications=self.specified("internet-gateway"))
        return str(made["InternetGateway"]["InternetGatewayId"])

    def route_table(self) -> str:
        made = self.ec2.create_route_table(VpcId=self.bare_network(), TagSpecifications=self.specified("route-table"))
        return str(made["RouteTable"]["RouteTableId"])

    def flow_log(self) -> str:
        self.cloud.client("logs").create_log_group(logGroupName=f"plain-{self.suffix}")
        made = self.ec2.create_flow_logs(
            ResourceIds=[self.bare_network()],
            ResourceType="VPC",
            TrafficType="REJECT",
            LogDestinationType="cloud-watch-logs",
            LogGroupName=f"plain-{self.suffix}",
            DeliverLogsPermissionArn=self._role(f"flows-{self.suffix}", {}),
            TagSpecifications=self.specified("vpc-flow-log"),
        )
        return str(made["FlowLogIds"][0])

    def zone(self) -> str:
        route53 = self.cloud.client("route53")
        made = route53.create_hosted_zone(Name=f"{self.suffix}.internal", CallerReference=self.suffix)
        zone = made["HostedZone"]["Id"].removeprefix("/hostedzone/")
        record = {
            "Name": f"leader.{self.suffix}.internal",
            "Type": "A",
            "TTL": 5,
            "ResourceRecords": [{"Value": "10.9.0.4"}],
        }
        changes = [{"Action": "CREATE", "ResourceRecordSet": record}]
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
        route53.change_tags_for_resource(ResourceType="hostedzone", ResourceId=zone, AddTags=listed(self.tags))
        return str(zone)

    def alarm(self) -> str:
        name = f"alarm-{self.suffix}"
        self.cloud.client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/EC2",
            MetricName="StatusCheckFailed",
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            Tags=listed(self.tags),
        )
        return name

    def topic(self) -> str:
        made = self.cloud.client("sns").create_topic(Name=f"topic-{self.suffix}", Tags=listed(self.tags))
        return str(made["TopicArn"])

    def log_group(self) -> str:
        name = f"/somewhere/{self.suffix}"
        self.cloud.client("logs").create_log_group(logGroupName=name, tags=dict(self.tags))
        return name

    def parameter(self) -> str:
        name = f"/parameter/{self.suffix}"
        self.cloud.client("ssm").put_parameter(Name=name, Value="1", Type="String", Tags=listed(self.tags))
        return name

    def secret(self) -> str:
        made = self.cloud.client("secretsmanager").create_secret(
            Name=f"secret-{self.suffix}", SecretString="1", Tags=listed(self.tags)
        )
        return str(made["ARN"])

    def bucket(self, name: str = "") -> str:
        s3, name = self.cloud.client("s3"), name or f"bucket-{self.suffix}"
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": listed(self.tags)})
        return name

    def instance_profile(self) -> str:
        name = f"profile-{self.suffix}"
        iam = self.cloud.client("iam")
        iam.create_instance_profile(InstanceProfileName=name, Tags=listed(self.tags))
        self._role(f"of-{name}", {})
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=f"of-{name}")
        return name

    def role(self) -> str:
        name = f"role-{self.suffix}"
        self._role(name, self.tags)
        statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam = self.cloud.client("iam")
        iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=policy)
        managed = iam.create_policy(PolicyName=f"managed-{self.suffix}", PolicyDocument=policy)["Policy"]["Arn"]
        iam.attach_role_policy(RoleName=name, PolicyArn=managed)
        return name

    def _role(self, name: str, tags: Tags) -> str:
        trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        made = self.cloud.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document, Tags=listed(tags))
        return str(made["Role"]["Arn"])

    def key(self) -> str:
        kms = self.cloud.client("kms")
        made = kms.create_key(Tags=listed(self.tags, "TagKey", "TagValue"))["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=f"alias/{self.suffix}", TargetKeyId=made)
        return str(made)


MAKERS: dict[str, Callable[[Maker], str]] = {
    "alarm": Maker.alarm,
    "flow log": Maker.flow_log,
    "instance": Maker.instance,
    "placement group": Maker.placement_group,
    "zone": Maker.zone,
    "snapshot": Maker.snapshot,
    "volume": Maker.volume,
    "endpoint": Maker.endpoint,
    "NAT gateway": Maker.nat_gateway,
    "interface": Maker.interface,
    "address": Maker.address,
    "internet gateway": Maker.internet_gateway,
    "security group": Maker.group,
    "route table": Maker.route_table,
    "subnet": Maker.subnet,
    "network": Maker.network,
    "topic": Maker.topic,
    "log group": Maker.log_group,
    "parameter": Maker.parameter,
    "secret": Maker.secret,
    "bucket": Maker.bucket,
    "instance profile": Maker.instance_profile,
    "role": Maker.role,
    "key": Maker.key,
}


def store(folder: Path, **change: str) -> Environment:
    """The file of `test-one`, like `shop`, as somebody's `up` wrote it; it expires in an hour."""
    expires = instant(datetime.now(UTC) + timedelta(hours=1))
    test = {"source": "shop", "owner": "alice", "run": "r1", "expires": expires} | change
    text = (folder / "shop.yaml").read_text().replace("name: shop", "name: test-one")
    file = folder / TESTSTACKS / "test-one.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"{text}teststack: {json.dumps(test)}\n")
    return load_environment(file)
