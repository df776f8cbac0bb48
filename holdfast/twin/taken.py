"""Images that were taken of machines of the twin: root file systems, which go with it."""

from __future__ import annotations

from pathlib import Path

from holdfast.twin import images, machines
from holdfast.twin.run import STATE, remove_tree

TAKEN = STATE / "images"
"""`<image id>/`: a complete root file system. Names that start with a dot are unfinished."""


def take(image_id: str, instance_id: str) -> None:
    """Copy the root of a machine that is off. Does nothing when that is done.

    Raises:
        CommandFailed: the machine has none, or there is no room.
    """
    target, unfinished = TAKEN / image_id, TAKEN / f".{image_id}"
    if target.is_dir():
        return
    TAKEN.mkdir(parents=True, exist_ok=True)
    remove_tree(unfinished)
    machines.copy_root(instance_id, unfinished)
    unfinished.rename(target)


def root_of(image_id: str) -> Path:
    """The root file system of any image; one of the catalogue is built where it is missing.

    Raises:
        HoldfastError: there is none of that id.
    """
    path = TAKEN / image_id
    return path if path.is_dir() else images.ensure(images.by_id(image_id))


def there() -> set[str]:
    """Ids of all that are on this host, unfinished ones too."""
    return {path.name.lstrip(".") for path in TAKEN.iterdir()} if TAKEN.is_dir() else set()


def delete(image_id: str) -> None:
    """Fine when it is gone. No machine may stand on it."""
    target, unfinished = TAKEN / image_id, TAKEN / f".{image_id}"
    remove_tree(unfinished)
    if target.is_dir():
        target.rename(unfinished)
        remove_tree(unfinished)
