"""Zones of names, with the records in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from holdfast.ops.teststacks.kinds.kind import Client, Kind, Thing, batches, pages, tags_of, unless_gone

OWN = frozenset({"NS", "SOA"})
"""Records that a zone has at its top by itself."""

AT_ONCE = 100


def _zones(client: Client) -> Iterator[Thing]:
    for zone in pages(client, "list_hosted_zones", "HostedZones"):
        id = zone["Id"].removeprefix("/hostedzone/")
        if tags := unless_gone(_tags, client, id):
            yield Thing(id, tags, note=zone["Name"])


def _tags(client: Client, zone: str) -> Mapping[str, str]:
    answer = client.list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone)
    return tags_of(answer["ResourceTagSet"]["Tags"])


def _remove(client: Client, thing: Thing) -> None:
    records = [
        record
        for record in pages(client, "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=thing.id)
        if not (record["Type"] in OWN and record["Name"].rstrip(".") == thing.note.rstrip("."))
    ]
    for batch in batches(records, AT_ONCE):
        changes = [{"Action": "DELETE", "ResourceRecordSet": record} for record in batch]
        client.change_resource_record_sets(HostedZoneId=thing.id, ChangeBatch={"Changes": changes})
    client.delete_hosted_zone(Id=thing.id)


ZONE = Kind("zone", "route53", _zones, _remove, everywhere=True)
