"""Private names: a zone that only the environment's network sees."""

from __future__ import annotations

from cdktf import App

from holdfast.topology import Cluster, dns, names
from stacks.base import Stack
from stacks.bindings.aws.route53_record import Route53Record
from stacks.bindings.aws.route53_zone import Route53Zone, Route53ZoneVpc
from stacks.network import NetworkStack


class NamesStack(Stack):
    """`<env>-names`. A stack of its own: nothing waits for it, and the provider waits a minute for Route 53."""

    def __init__(self, app: App, cluster: Cluster, domain: str, *, network: NetworkStack) -> None:
        super().__init__(app, names.names_stack(cluster.environment), cluster)
        zone = Route53Zone(
            self,
            "zone",
            name=domain,
            comment=f"Endpoints and nodes of the Holdfast environment {cluster.environment.name}",
            vpc=[Route53ZoneVpc(vpc_id=network.vpc_id, vpc_region=cluster.environment.region)],
            tags=self.tags("names"),
        )
        for record in dns.records(cluster):
            Route53Record(
                self,
                "sentinels" if record.type == "SRV" else record.label,
                zone_id=zone.zone_id,
                name=f"{record.label}.{domain}",
                type=record.type,
                ttl=dns.TTL,
                records=list(record.values),
            )

    @property
    def default_tags(self) -> dict[str, str]:
        return names.tags_of_ten(self.environment)
