"""Network namespaces by name, and sockets that live in one while their process stays in another."""

from __future__ import annotations

import ctypes
import json
import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from holdfast.twin.run import CommandFailed, run

PREFIX = "hf-"
FOLDER = Path("/run/netns")
CLONE_NEWNET = 0x40000000

_LIBC = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


def name_of(cloud_id: str) -> str:
    """The namespace of a VPC's router or of an instance's machine: `hf-0a1b2c3d` of `vpc-0a1b2c3d`."""
    return f"{PREFIX}{cloud_id.partition('-')[2]}"


def exists(namespace: str) -> bool:
    return (FOLDER / namespace).exists()


def names() -> list[str]:
    """Every namespace that the twin made, whoever started it."""
    return sorted(path.name for path in FOLDER.glob(f"{PREFIX}*"))


def create(namespace: str) -> None:
    """Make a namespace. Does nothing when there is one."""
    if not exists(namespace):
        run(["ip", "netns", "add", namespace])


def delete(namespace: str) -> None:
    """Remove the name; the kernel frees the namespace when its last process and socket have gone. Fine without one."""
    if exists(namespace):
        run(["ip", "netns", "delete", namespace])


def call(namespace: str, work: Callable[[], T]) -> T:
    """Do something inside a namespace, child processes included, on a thread of its own; return what it returns.

    Raises:
        FileNotFoundError: there is no such namespace.
    """

    def inside() -> T:
        _enter(namespace)
        return work()

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"in-{namespace}") as thread:
        return thread.submit(inside).result()


def ip(namespace: str, commands: Sequence[str], *, force: bool = False) -> None:
    """Have `ip` do all of these in a namespace.

    `force`: go on after a command that fails, because what it removes may have gone by itself.

    Raises:
        CommandFailed: one failed.
    """
    if not commands:
        return
    options = ["-force"] if force else []
    text = "\n".join(commands) + "\n"
    try:
        call(namespace, lambda: run(["ip", *options, "-batch", "-"], input=text))
    except CommandFailed:
        if not force:
            raise


def links(namespace: str) -> list[dict[str, str]]:
    """Its network devices, as `ip -json link` has them."""
    found: list[dict[str, str]] = json.loads(call(namespace, lambda: run(["ip", "-json", "link", "show"])))
    return found


def socket_in(
    namespace: str, family: socket.AddressFamily = socket.AF_INET, kind: socket.SocketKind = socket.SOCK_STREAM
) -> socket.socket:
    """A socket of that namespace: it stays there, whoever uses it.

    Raises:
        FileNotFoundError: there is no such namespace.
    """
    return call(namespace, lambda: socket.socket(family, kind))


def listener_in(namespace: str, address: str, port: int) -> socket.socket:
    """A TCP socket that listens inside a namespace."""
    listener = socket_in(namespace)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(128)
    return listener


def receiver_in(namespace: str, address: str, port: int) -> socket.socket:
    """A UDP socket that receives inside a namespace."""
    receiver = socket_in(namespace, kind=socket.SOCK_DGRAM)
    receiver.bind((address, port))
    return receiver


def _enter(namespace: str) -> None:
    """Move the calling thread; os.setns is new in Python 3.12."""
    descriptor = os.open(FOLDER / namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _LIBC.setns(descriptor, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), namespace)
    finally:
        os.close(descriptor)
