"""What looks at the environment from outside: where alarms go, refused connections, and how a deploy ends."""

from __future__ import annotations

import json
from collections.abc import Mapping

from cdktf import App

from holdfast.topology import Cluster, names
from stacks.base import Stack, run_holdfast
from stacks.bindings.aws.cloudwatch_log_group import CloudwatchLogGroup
from stacks.bindings.aws.data_aws_caller_identity import DataAwsCallerIdentity
from stacks.bindings.aws.flow_log import FlowLog
from stacks.bindings.aws.iam_role import IamRole
from stacks.bindings.aws.iam_role_policy import IamRolePolicy
from stacks.bindings.aws.network_interface import NetworkInterface
from stacks.bindings.aws.sns_topic import SnsTopic
from stacks.gate import whole_gate
from stacks.identity import IdentityStack
from stacks.network import NetworkStack

LOG_DAYS = 365


class WatchStack(Stack):
    """`<env>-watch`: applied last."""

    def __init__(
        self,
        app: App,
        cluster: Cluster,
        *,
        network: NetworkStack,
        identity: IdentityStack,
        instances: Mapping[str, str],
        interfaces: Mapping[str, NetworkInterface],
        public_addresses: Mapping[str, list[str]],
    ) -> None:
        """`instances`: node → its id; `interfaces`: node → its own.

        `public_addresses`: gateway → those of its endpoints, where there are any.
        """
        super().__init__(app, names.watch_stack(cluster.environment), cluster)
        SnsTopic(
            self,
            "alarms",
            name=names.alarms(self.environment),
            kms_master_key_id=identity.key.arn,
            tags=self.tags("alarms"),
        )
        self._log_refused_connections(network, identity, interfaces)
        gate = whole_gate(self, instances)
        if public_addresses:
            # A machine takes its certificate when it boots: one that ran already has none for such an address.
            run_holdfast(self, "certificates", "certs rotate --due", public_addresses, after=[gate])

    def _log_refused_connections(
        self, network: NetworkStack, identity: IdentityStack, interfaces: Mapping[str, NetworkInterface]
    ) -> None:
        """Only what the security groups refused: it is little, and it answers why a client cannot connect.

        Of a VPC that others are in too, at the nodes' interfaces alone.
        """
        name = names.resource(self.environment, "flows")
        group = CloudwatchLogGroup(
            self,
            "flows",
            name=f"/{names.PROJECT}/{self.environment.name}/flows",
            kms_key_id=identity.key.arn,
            retention_in_days=LOG_DAYS,
            tags=self.tags("flows"),
        )
        account = DataAwsCallerIdentity(self, "account").account_id
        # The service writes for whoever asks it: without this, for a flow log of another account too.
        of_ours = {
            "StringEquals": {"aws:SourceAccount": account},
            "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:{self.environment.region}:{account}:vpc-flow-log/*"},
        }
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": of_ours,
        }
        role = IamRole(
            self,
            "flows-role",
            name=name,
            description=f"Writes the flow log of the Holdfast environment {self.environment.name}",
            assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
            permissions_boundary=self.environment.cloud.permissions_boundary,
            tags=self.tags("flows"),
        )
        allowed = {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
            "Resource": [group.arn, f"{group.arn}:*"],
        }
        IamRolePolicy(
            self,
            "flows-policy",
            name=name,
            role=role.id,
            policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
        )
        if self.environment.network.vpc is None:
            self._add_flow_log("flow-log", role, group, vpc_id=network.vpc_id)
            return
        for node, interface in interfaces.items():
            self._add_flow_log(f"flow-log-{node}", role, group, eni_id=interface.id)

    def _add_flow_log(
        self, what: str, role: IamRole, group: CloudwatchLogGroup, vpc_id: str | None = None, eni_id: str | None = None
    ) -> None:
        FlowLog(
            self,
            what,
            vpc_id=vpc_id,
            eni_id=eni_id,
            traffic_type="REJECT",
            iam_role_arn=role.arn,
            log_destination=group.arn,
            tags=self.tags("flows"),
        )
