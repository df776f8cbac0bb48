"""The account: what it starts with, what is told of changes, whom it answers, and what it remembers."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from botocore.exceptions import ConnectionClosedError

from holdfast.errors import HoldfastError
from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import DEBIAN, IMAGE, REGION, Cloud, client, refused


def test_the_account_starts_with_nothing(api: Api) -> None:
    view = api.view()
    assert (view.account, view.region) == ("123456789012", "eu-central-1")
    assert (view.vpcs, view.subnets, view.groups, view.instances) == ({}, {}, {}, {})


def test_the_view_is_the_same_until_something_changes(api: Api) -> None:
    cloud = Cloud(api)
    first = api.view()
    cloud.ec2.describe_vpcs()
    assert api.view() is first
    cloud.ec2.create_vpc(CidrBlock="10.50.0.0/16")
    assert api.view() is not first


def test_changes_are_told(api: Api) -> None:
    told: list[int] = []
    listening = Api(port=0, on_change=lambda: told.append(1))
    listening.start()
    ec2 = client(listening, "ec2")
    ec2.describe_vpcs()
    assert told == []
    ec2.create_vpc(CidrBlock="10.50.0.0/16")
    assert told == [1]
    listening.stop()


def test_a_node_report_is_no_change(api: Api) -> None:
    s3 = client(api, "s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    before = api.generation
    s3.put_object(Bucket="kept", Key="reports/local-a1.json", Body=b"{}")
    assert api.generation == before
    assert api.get_object("kept", "reports/local-a1.json") == b"{}"
    assert api.list_objects("kept", "reports/") == ["reports/local-a1.json"]
    s3.put_object(Bucket="kept", Key="bootstrap/leader.json", Body=b"{}")
    assert api.generation == before + 1


def test_only_the_newest_report_is_kept(api: Api) -> None:
    s3 = client(api, "s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket="kept", Key="reports/local-a1.json", Body=body)
        s3.put_object(Bucket="kept", Key="bootstrap/leader.json", Body=body)
    kept = [version["Key"] for version in s3.list_object_versions(Bucket="kept")["Versions"]]
    assert kept == ["bootstrap/leader.json", "bootstrap/leader.json", "reports/local-a1.json"]
    assert api.get_object("kept", "reports/local-a1.json") == b"2"


def test_an_absent_object_or_bucket_is_none(api: Api) -> None:
    client(api, "s3").create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    assert api.get_object("kept", "absent") is None
    assert api.get_object("absent", "absent") is None
    assert api.list_objects("absent") == []


def test_parameters(api: Api) -> None:
    api.put_parameter("/holdfast/local/forwards", "one")
    api.put_parameter("/holdfast/local/forwards", "two")
    found = client(api, "ssm").get_parameter(Name="/holdfast/local/forwards")
    assert found["Parameter"]["Value"] == "two"


def test_images_are_found_as_the_distribution_publishes_them(api: Api) -> None:
    found = client(api, "ec2").describe_images(
        Owners=[DEBIAN],
        Filters=[
            {"Name": "name", "Values": ["debian-12-amd64-*"]},
            {"Name": "architecture", "Values": ["x86_64"]},
            {"Name": "state", "Values": ["available"]},
        ],
    )["Images"]
    assert [(image["ImageId"], image["RootDeviceName"]) for image in found] == [(IMAGE, "/dev/xvda")]
    assert found[0]["CreationDate"]


def test_images_are_in_every_region(api: Api) -> None:
    elsewhere = client(api, "ec2", region="us-west-2").describe_images(ImageIds=[IMAGE])["Images"]
    assert [image["Name"] for image in elsewhere] == ["debian-12-amd64-20251101-1"]


def test_an_unknown_call_is_refused(api: Api) -> None:
    ipam = client(api, "ec2").create_ipam
    assert refused(ipam) == "InvalidAction"
    assert refused(client(api, "ssm").list_nodes) == "InvalidAction"


def test_an_unknown_image_is_refused(api: Api) -> None:
    cloud = Cloud(api)
    arguments = {"ImageId": "ami-0123456789abcdef0", "MinCount": 1, "MaxCount": 1, "SubnetId": cloud.a}
    assert refused(cloud.ec2.run_instances, **arguments) == "InvalidAMIID.NotFound"


def test_another_socket_answers_whom_it_may() -> None:
    api = Api(port=0)
    api.start()
    asked: list[tuple[str, str]] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def may(address: str, service: str) -> bool:
            asked.append((address, service))
            return service == "s3"

        server = api.serve_on(listening, authorize=may)
        # An answer, though not the one that a role would get: see test_permissions.py.
        assert refused(client(api, "s3", url).list_buckets) == "InvalidClientTokenId"
        with pytest.raises(ConnectionClosedError):
            client(api, "ec2", url).describe_vpcs()
        assert asked == [("127.0.0.1", "s3"), ("127.0.0.1", "ec2")]
        server.stop()
    api.stop()


def test_everything_is_kept_in_a_file(api: Api, tmp_path: Path) -> None:
    cloud, s3 = Cloud(api), client(api, "s3")
    instance = cloud.run(cloud.interface(cloud.a, "10.40.0.4", "10.40.0.5"), UserData=b"hello")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"0", b"1"):
        s3.put_object(Bucket="kept", Key="one", Body=body)
    s3.put_object(Bucket="kept", Key="two", Body=b"2")
    s3.delete_object(Bucket="kept", Key="two")
    client(api, "secretsmanager").create_secret(Name="holdfast/local/app", SecretString="hush")
    client(api, "route53").create_hosted_zone(Name="holdfast.example", CallerReference="one")
    before = api.view()
    file = tmp_path / "state"
    api.save(file)
    assert file.stat().st_mode & 0o777 == 0o600
    api.stop()

    again = Api(port=0, region=REGION)
    again.load(file)
    again.start()
    assert again.view() == before
    assert again.get_object("kept", "one") == b"1"
    listed = client(again, "s3").list_object_versions(Bucket="kept")
    assert [version["Key"] for version in listed["Versions"]] == ["one", "one", "two"]
    assert [marker["Key"] for marker in listed["DeleteMarkers"]] == ["two"]
    found = client(again, "secretsmanager").get_secret_value(SecretId="holdfast/local/app")
    assert found["SecretString"] == "hush"
    assert [zone["Name"] for zone in client(again, "route53").list_hosted_zones()["HostedZones"]] == [
        "holdfast.example."
    ]
    assert again.set_instance_state(instance, "running")
    assert client(again, "ec2").describe_instances()["Reservations"][0]["Instances"][0]["State"]["Name"] == "running"
    again.stop()


def test_a_damaged_file_changes_nothing(api: Api, tmp_path: Path) -> None:
    cloud, file = Cloud(api), tmp_path / "state"
    file.write_bytes(b"damaged")
    with pytest.raises(HoldfastError, match="state: the state of the twin's cloud cannot be read"):
        api.load(file)
    assert set(api.view().vpcs) == {cloud.vpc}
