"""Secrets Manager's staging labels, on which the change of a password rests."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from holdfast.twin.api import Api
from tests.unit.twin_api.cloud import client, refused


def test_a_secret_has_the_value_of_its_label_wherever_that_moves(api: Api) -> None:
    secrets = client(api, "secretsmanager")
    first = secrets.create_secret(Name="one", SecretString="first")["VersionId"]
    second = secrets.put_secret_value(SecretId="one", SecretString="second", VersionStages=["AWSPENDING"])["VersionId"]
    assert secrets.get_secret_value(SecretId="one")["SecretString"] == "first"
    secrets.update_secret_version_stage(
        SecretId="one", VersionStage="AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=first
    )
    assert secrets.get_secret_value(SecretId="one")["SecretString"] == "second"
    assert secrets.get_secret_value(SecretId="one", VersionStage="AWSPREVIOUS")["SecretString"] == "first"
    assert secrets.get_secret_value(SecretId="one", VersionId=first)["SecretString"] == "first"
    secrets.update_secret_version_stage(SecretId="one", VersionStage="AWSPREVIOUS", RemoveFromVersionId=first)
    gone = refused(secrets.get_secret_value, SecretId="one", VersionStage="AWSPREVIOUS")
    assert gone == "ResourceNotFoundException"


@pytest.mark.parametrize("name", ["empty", "none"])
def test_one_without_a_value_has_none(api: Api, name: str) -> None:
    secrets = client(api, "secretsmanager")
    secrets.create_secret(Name="empty")
    assert refused(secrets.get_secret_value, SecretId=name) == "ResourceNotFoundException"


def test_a_deleted_one_keeps_its_name_until_it_is_gone_for_good(api: Api) -> None:
    secrets = client(api, "secretsmanager")
    secrets.create_secret(Name="one", SecretString="first")
    secrets.delete_secret(SecretId="one", RecoveryWindowInDays=30)
    with pytest.raises(ClientError) as error:
        secrets.create_secret(Name="one", SecretString="second")
    assert error.value.response["Error"] == {
        "Code": "InvalidRequestException",
        "Message": "You can't create this secret because a secret with this name is already scheduled for deletion.",
    }
    secrets.restore_secret(SecretId="one")
    assert secrets.get_secret_value(SecretId="one")["SecretString"] == "first"
    secrets.delete_secret(SecretId="one", RecoveryWindowInDays=30)
    secrets.delete_secret(SecretId="one", ForceDeleteWithoutRecovery=True)
    secrets.create_secret(Name="one", SecretString="second")
    assert secrets.get_secret_value(SecretId="one")["SecretString"] == "second"
