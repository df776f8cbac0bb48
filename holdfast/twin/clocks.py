"""Another time of day for a process that runs: machines share the host's clock, so it is changed where it is read.

Programs read the clock in the vDSO, code that the kernel maps into every process and lets a debugger write to. There,
the functions that tell the time of day are replaced by ones that ask the kernel and add an offset, and stay replaced:
another step only changes the offset. The monotonic clock stays as it is, nothing is restarted, and what starts later
sees the right time. For x86-64, as the twin's images are.
"""

from __future__ import annotations

import os
import signal
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.twin.run import wait_until

ATTEMPTS, RUNS_BETWEEN = 1000, 0.001
"""To find a process outside of the very code that is replaced, where it is for some nanoseconds at a time; and seconds
between two of them, in which it gets on."""

SAME = 7
"""Bytes with which each replaced function begins, whatever the offset is."""

DYNAMIC_SYMBOLS = 11
"""Type of that section in an ELF file; see elf(5) for all of these."""
SECTIONS_AT, SECTION_COUNT_AT = 0x28, 0x3C
SECTION, SYMBOL = struct.Struct("<IIQQQQIIQQ"), struct.Struct("<IBBHQQ")


def step(pid: int, seconds: int) -> None:
    """Have a process see a time of day that is off by so much; with 0, the right one again.

    Raises:
        HoldfastError: its clock cannot be changed on this host.
        ProcessLookupError: there is no such process.
    """
    code = _code(seconds)
    start, there = _vdso(pid)
    functions = _functions(there)
    for name, instructions in code.items():
        size = functions.get(name, (0, 0))[1]
        if len(instructions) > size:
            raise HoldfastError(
                f"this host's kernel has no {name} of {len(instructions)} bytes or more: clocks cannot be stepped"
            )
    places = {name: functions[name][0] for name in code}
    ours = all(there[place : place + SAME].startswith(code[name][:SAME]) for name, place in places.items())
    patches = {start + place: code[name] for name, place in places.items()}
    for _ in range(ATTEMPTS):
        with _stopped(pid):
            # Where only the offset is another, no instruction is, and it does not matter which is the next.
            if ours or not any(start <= address < start + len(there) for address in _positions(pid)):
                _write(pid, patches)
                return
        time.sleep(RUNS_BETWEEN)
    raise HoldfastError(f"process {pid} reads its clock all the time: it could not be stepped")


def _code(seconds: int) -> dict[str, bytes]:
    """Function → x86-64 code that makes the system call of that name, and adds to what it answers."""
    by = struct.pack("<i", seconds)
    return {
        "__vdso_gettimeofday": b"".join(
            (
                b"\xb8\x60\0\0\0\x0f\x05",  # mov eax, 96; syscall
                b"\x48\x85\xff\x74\x07",  # test rdi, rdi; jz the end
                b"\x48\x81\x07" + by,  # add qword [rdi], by
                b"\xc3",  # ret
            )
        ),
        "__vdso_clock_gettime": b"".join(
            (
                b"\xb8\xe4\0\0\0\x0f\x05",  # mov eax, 228; syscall
                b"\x85\xff\x74\x05",  # test edi, edi (CLOCK_REALTIME); jz the addition
                b"\x83\xff\x05\x75\x07",  # cmp edi, 5 (CLOCK_REALTIME_COARSE); jne the end
                b"\x48\x81\x06" + by,  # add qword [rsi], by
                b"\xc3",  # ret
            )
        ),
        "__vdso_time": b"".join(
            (
                b"\x57\x31\xff\xb8\xc9\0\0\0\x0f\x05\x5f",  # push rdi; xor edi, edi; mov eax, 201; syscall; pop rdi
                b"\x48\x05" + by,  # add rax, by
                b"\x48\x85\xff\x74\x03\x48\x89\x07",  # test rdi, rdi; jz the end; mov [rdi], rax
                b"\xc3",  # ret
            )
        ),
    }


def _vdso(pid: int) -> tuple[int, bytes]:
    """Where a process has it, and what it is."""
    for line in _proc(pid, "maps").read_text(encoding="utf-8").splitlines():
        if line.endswith("[vdso]"):
            start, end = (int(number, 16) for number in line.split()[0].split("-"))
            with _proc(pid, "mem").open("rb") as memory:
                memory.seek(start)
                return start, memory.read(end - start)
    raise HoldfastError(f"process {pid} has no vDSO: its clock cannot be stepped")


def _functions(image: bytes) -> dict[str, tuple[int, int]]:
    """Name → offset and size, of an ELF image."""
    (sections_at,) = struct.unpack_from("<Q", image, SECTIONS_AT)
    (count,) = struct.unpack_from("<H", image, SECTION_COUNT_AT)
    sections = [SECTION.unpack_from(image, sections_at + SECTION.size * index) for index in range(count)]
    found = {}
    for _, kind, _, _, offset, size, names, *_ in sections:
        if kind == DYNAMIC_SYMBOLS:
            for at in range(offset, offset + size, SYMBOL.size):
                name, _, _, _, place, length = SYMBOL.unpack_from(image, at)
                text = image[sections[names][4] + name :].partition(b"\0")[0]
                found[text.decode("ascii")] = (place, length)
    return {name: where for name, where in found.items() if name in _code(0)}


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    """Nothing of the process runs meanwhile. One that was stopped already stays so."""
    running = not _is_stopped(pid)
    os.kill(pid, signal.SIGSTOP)
    try:
        if not wait_until(lambda: _is_stopped(pid), timeout=5, interval=0.001):
            raise HoldfastError(f"process {pid} does not stop: its clock cannot be stepped")
        yield
    finally:
        if running:
            os.kill(pid, signal.SIGCONT)


def _threads(pid: int) -> Iterable[Path]:
    return _proc(pid, "task").iterdir()


def _is_stopped(pid: int) -> bool:
    states = ((thread / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] for thread in _threads(pid))
    return all(state in "Tt" for state in states)


def _positions(pid: int) -> list[int]:
    """Where each thread is in its code."""
    return [int((thread / "syscall").read_text(encoding="ascii").split()[-1], 16) for thread in _threads(pid)]


def _write(pid: int, patches: dict[int, bytes]) -> None:
    with _proc(pid, "mem").open("r+b", buffering=0) as memory:
        for address, code in patches.items():
            memory.seek(address)
            memory.write(code)


def _proc(pid: int, name: str) -> Path:
    folder = Path(f"/proc/{pid}")
    if not folder.exists():
        raise ProcessLookupError(f"there is no process {pid}")
    return folder / name
