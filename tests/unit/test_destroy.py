"""What Terraform is told where it destroys from a state alone."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.mirror import PROVIDER_VERSION
from holdfast.ops.destroy import Place, configuration
from holdfast.topology import names

REQUIRED = {"aws": {"source": "hashicorp/aws", "version": PROVIDER_VERSION}}


@pytest.mark.parametrize(
    ("place", "backend", "region"),
    [
        (
            Place("prod-zone-b", "eu-central-1", "states", None),
            {
                "s3": {
                    "bucket": "states",
                    "key": "prod-zone-b.tfstate",
                    "region": "eu-central-1",
                    "use_lockfile": True,
                }
            },
            "eu-central-1",
        ),
        (
            Place("local-network", "us-east-1", None, None),
            {"local": {"path": str(names.LOCAL_STATE / "local-network.tfstate")}},
            "us-east-1",
        ),
    ],
)
def test_only_the_state_and_the_cloud_are_configured(place: Place, backend: dict[str, Any], region: str) -> None:
    assert configuration(place) == {
        "terraform": {"backend": backend, "required_providers": REQUIRED},
        "provider": {"aws": [{"region": region}]},
    }


def test_only_the_account_of_the_environments_file_is_touched() -> None:
    made = configuration(Place("prod-zone-b", "eu-central-1", "states", None, "123456789012"))
    assert made["terraform"]["backend"]["s3"]["allowed_account_ids"] == ["123456789012"]
    assert made["provider"]["aws"] == [{"region": "eu-central-1", "allowed_account_ids": ["123456789012"]}]


def test_an_emulation_is_reached_at_its_endpoint_and_never_sees_real_keys() -> None:
    (provider,) = configuration(Place("local-network", "us-east-1", None, "http://127.0.0.1:4566"))["provider"]["aws"]
    assert provider["profile"] == "holdfast-twin"
    assert provider["shared_credentials_files"] == ["/run/holdfast-twin.credentials"]
    assert set(provider["endpoints"][0].values()) == {"http://127.0.0.1:4566"}
