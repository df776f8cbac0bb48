"""Code that waits for answers and sleeps, as it is: in threads, of which none runs but while the world waits for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial

from tests.simulation.world import End, Process, World


class Ended(BaseException):
    """The process of that thread is gone, and whatever it still had to do."""


class Thread:
    """Of one process: it stops with it, and waits while it is frozen."""

    def __init__(self, process: Process, do: Callable[[], object]) -> None:
        self.process, self.over, self._do = process, False, do
        self._parked = True
        self._number = 0
        """Of its times of waiting: what wakes it up late is for another one."""
        self._turn, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()

    def _main(self) -> None:
        self._turn.acquire()
        try:
            if not self.over:
                self._do()
        except Ended:
            pass
        except BaseException as error:
            self.process.world.errors.append(error)
        self.over = True
        self._back.release()

    def wait(self, seconds: float) -> None:
        """Until it is woken up, for at most so long."""
        self.check()
        self._number += 1
        self.process.later(seconds, partial(self._awake, self._number))
        self._parked = True
        self._back.release()
        self._turn.acquire()
        self.check()

    def check(self) -> None:
        if self.over:
            raise Ended

    def wake(self) -> None:
        self._awake(self._number)

    def _awake(self, number: int) -> None:
        """The world stands still until it waits again, or is done."""
        if self._parked and number == self._number and not self.over:
            self._parked = False
            world = self.process.world
            before, world.thread = world.thread, self
            self._turn.release()
            self._back.acquire()
            world.thread = before

    def end(self) -> None:
        if not self.over:
            self.over = True
            self._turn.release()
        self._thread.join()


def start(process: Process, do: Callable[[], object]) -> None:
    """Do it in a process, for as long as that runs."""
    thread = Thread(process, do)
    process.world.threads.append(thread)
    process.later(0, thread.wake)


def end_all(world: World) -> None:
    for thread in world.threads:
        thread.end()


def sleep(world: World, seconds: float) -> None:
    thread, until = _current(world), world.now + seconds
    while world.now < until:
        # Something may arrive meanwhile, for later.
        thread.wait(until - world.now)


def _current(world: World) -> Thread:
    assert isinstance(world.thread, Thread)
    return world.thread


class Socket:
    """A connection for one who waits, as far as `resp.Client` uses it."""

    def __init__(self, thread: Thread, timeout: float) -> None:
        self._thread, self._timeout = thread, timeout
        self._end: End | None = None
        self._arrived: deque[bytes] = deque()
        self._over = False

    def connect(self, address: str, port: int) -> None:
        process = self._thread.process

        def made(end: End) -> None:
            if self._over:
                end.close()
                return
            self._end, end.received, end.ended = end, self._received, self._ended
            self._thread.wake()

        process.connect(process.host.address if address == "127.0.0.1" else address, port, made, self._ended)
        try:
            self._await(lambda: self._end is not None)
        except TimeoutError:
            self.close()
            raise
        if self._end is None:
            raise ConnectionRefusedError

    def _received(self, data: bytes) -> None:
        self._arrived.append(data)
        self._thread.wake()

    def _ended(self) -> None:
        self._over = True
        self._thread.wake()

    def _await(self, holds: Callable[[], bool]) -> None:
        """Until it holds, or the connection is over."""
        world = self._thread.process.world
        deadline = world.now + self._timeout
        while not (holds() or self._over):
            if world.now >= deadline:
                raise TimeoutError("timed out")
            self._thread.wait(deadline - world.now)

    def sendall(self, data: bytes) -> None:
        self._thread.check()
        if self._end is None or not self._end.open:
            raise BrokenPipeError
        self._end.send(data)

    def recv(self, _: int) -> bytes:
        self._await(lambda: bool(self._arrived))
        return self._arrived.popleft() if self._arrived else b""

    def settimeout(self, seconds: float) -> None:
        self._timeout = seconds

    def close(self) -> None:
        self._over = True
        if self._end is not None and not self._thread.over:
            self._end.close()


def create_connection(world: World, there: tuple[str, int], timeout: float) -> Socket:
    socket = Socket(_current(world), timeout)
    socket.connect(*there)
    return socket
