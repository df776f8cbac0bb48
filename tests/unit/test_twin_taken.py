"""Images that were taken of the twin's machines: when one is taken, kept and deleted. Nothing here needs root."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from holdfast.drill.waiting import wait_until
from holdfast.twin import machines, taken
from holdfast.twin.reconciler import Reconciler
from holdfast.twin.run import CommandFailed
from holdfast.twin.view import CloudView, Image, Instance


class Cloud:
    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def view(self) -> CloudView:
        return CloudView("123456789012", "eu-central-1")

    def set_instance_state(self, instance_id: str, state: str) -> bool:
        return True

    def set_image_state(self, image_id: str, state: str, why: str = "") -> bool:
        self.told.append((image_id, state, why))
        return True


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    def copy(instance_id: str, target: Path) -> None:
        if instance_id == "i-full":
            raise CommandFailed("no room on the device")
        (target / "etc").mkdir(parents=True)

    monkeypatch.setattr(taken, "TAKEN", tmp_path / "images")
    monkeypatch.setattr(machines, "copy_root", copy)
    return Cloud()


def follow(reconciler: Reconciler, *images: Image, instances: tuple[Instance, ...] = ()) -> None:
    there = {image.id: image for image in images}
    launched = {instance.id: instance for instance in instances}
    reconciler._keep_images(CloudView("123456789012", "eu-central-1", images=there, instances=launched))


def launched_from(image_id: str, state: str) -> Instance:
    rest: dict[str, Any] = {"role": None, "metadata_tokens": "required", "interfaces": (), "attachments": ()}
    return Instance("i-1", "", state, "t3.small", 2048, "eu-central-1a", image_id, b"", **rest)


def wait_there(*ids: str) -> None:
    wait_until(lambda: sorted(path.name for path in taken.TAKEN.glob("*")) == [*ids], 5, lambda: f"{taken.there()}")


def test_one_is_taken_kept_while_a_machine_stands_on_it_and_deleted(cloud: Cloud) -> None:
    reconciler = Reconciler(cloud, None, lambda view, cut: None)  # type: ignore[arg-type]
    follow(reconciler, Image("ami-1", "pending", "i-1"))
    wait_there("ami-1")
    wait_until(lambda: cloud.told == [("ami-1", "available", "")], 5, lambda: f"{cloud.told}")
    follow(reconciler, Image("ami-1", "available", "i-1"))
    follow(reconciler, instances=(launched_from("ami-1", "running"),))
    assert taken.there() == {"ami-1"}
    follow(reconciler, instances=(launched_from("ami-1", "terminated"),))
    wait_there()


def test_one_that_cannot_be_copied_fails_and_what_was_left_of_a_crash_goes(cloud: Cloud) -> None:
    (taken.TAKEN / ".ami-0" / "etc").mkdir(parents=True)
    reconciler = Reconciler(cloud, None, lambda view, cut: None)  # type: ignore[arg-type]
    follow(reconciler, Image("ami-1", "pending", "i-full"))
    wait_until(lambda: cloud.told == [("ami-1", "failed", "no room on the device")], 5, lambda: f"{cloud.told}")
    wait_until(lambda: taken.there() == set(), 5, lambda: f"{taken.there()}")
