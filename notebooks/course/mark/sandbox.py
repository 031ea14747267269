"""Takes everything from the running process that an answer does not need: files, network, processes, memory.

Landlock, seccomp, capabilities and resource limits of Linux, none of which needs root or another program. From then
on the process may read Python, PyTorch and this package, and write nowhere; the limits cannot be lifted again.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
from collections.abc import Iterable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
NO_NEW_PRIVILEGES, DROP_BOUND_CAPABILITY = 38, 24  # of prctl
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT, SECCOMP = 444, 445, 446, 317  # system calls of x86-64
EXECUTE, READ_FILE, READ_DIRECTORY = 1 << 0, 1 << 2, 1 << 3  # rights of Landlock, of which there are
RIGHTS, RIGHTS_BEFORE_5 = 16, 15
OLDEST_LANDLOCK = 3  # Linux 6.2; older ones let files be truncated
ALL_THREADS, ALLOW, REFUSE = 1, 0x7FFF0000, 0x00050000
X86_64, OF_X32 = 0xC000003E, 0x40000000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # of the filter's small machine
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # where it finds them
CLONE, CLONE_THREAD, CLONE3, PRLIMIT = 56, 0x10000, 435, 302
REFUSED = (
    41, 42, 43, 49, 50, 53, 288,  # socket, connect, accept, bind, listen, socketpair, accept4
    57, 58, 59, 322,  # fork, vfork, execve, execveat
    62, 129, 200, 234, 297, 424, 434, 438,  # kill and its relatives, pidfd_*
    101, 310, 311, 298, 321, 323, 425,  # ptrace, process_vm_*, perf_event_open, bpf, userfaultfd, io_uring_setup
    29, 64, 68, 240, 319, 248, 249, 250,  # memory and queues that outlive a process; keys
    90, 91, 92, 93, 94, 260, 268, 452, 132, 235, 261, 280,  # chmod, chown, utime: Landlock does not know them
    188, 189, 190, 197, 198, 199,  # extended attributes
    141, 142, 144, 203, 251, 314,  # priorities, also of other processes
    161, 165, 166, 272, 308, 155, 428, 429, 430, 442,  # chroot, mount and namespaces
)  # fmt: skip


def missing() -> str:
    """What this machine lacks for the protection; empty if nothing."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"marking needs Linux on x86-64, this is {platform.system()} on {platform.machine()}"
    if (found := _landlock()) < OLDEST_LANDLOCK:
        return f"marking needs Landlock {OLDEST_LANDLOCK} (Linux 6.2), this machine has {max(found, 0)}"
    return ""


def _landlock() -> int:
    """Its version, or -1."""
    return LIBC.syscall(LANDLOCK_CREATE, None, 0, 1)


def restrict(files: Iterable[Path], folders: Iterable[Path], listed: Iterable[Path], cpu_seconds: int) -> None:
    """Closes the sandbox around this process, which must have one thread.

    files: may be read; folders: may be read with all that is in them; listed: only the names in them may be read.
    """
    for limit, most in (
        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NOFILE, 128),
        (resource.RLIMIT_CPU, cpu_seconds), (resource.RLIMIT_MEMLOCK, 0),
    ):  # fmt: skip
        resource.setrlimit(limit, (most, most))
    _call("prctl", LIBC.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _close_files(files, folders, listed)
    _drop_capabilities()
    _close_system_calls()


def limit_memory(more: int) -> None:
    """Leaves the process `more` bytes of address space beyond what it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _call(name: str, result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return result


def _close_files(files: Iterable[Path], folders: Iterable[Path], listed: Iterable[Path]) -> None:
    known = RIGHTS if _landlock() >= 5 else RIGHTS_BEFORE_5
    rules = ctypes.create_string_buffer(struct.pack("=Q", (1 << known) - 1))
    ruleset = _call("landlock", LIBC.syscall(LANDLOCK_CREATE, rules, 8, 0))
    for paths, rights in (
        (files, READ_FILE), (folders, EXECUTE | READ_FILE | READ_DIRECTORY), (listed, READ_DIRECTORY),
    ):  # fmt: skip
        for path in filter(Path.exists, paths):
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            allowed = rights if path.is_dir() else rights & ~READ_DIRECTORY
            beneath = ctypes.create_string_buffer(struct.pack("=Qi", allowed, place))
            _call(f"landlock {path}", LIBC.syscall(LANDLOCK_ADD, ruleset, 1, beneath, 0))
            os.close(place)
    _call("landlock", LIBC.syscall(LANDLOCK_RESTRICT, ruleset, 0))
    os.close(ruleset)


def _drop_capabilities() -> None:
    """Matters for root only."""
    for capability in range(64):
        LIBC.prctl(DROP_BOUND_CAPABILITY, capability, 0, 0, 0)
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    _call("capset", LIBC.capset(header, ctypes.create_string_buffer(24)))


def _close_system_calls() -> None:
    def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, if_true, if_false, value)

    refuse, unknown, allow = (step(RETURN, x) for x in (REFUSE | errno.EPERM, REFUSE | errno.ENOSYS, ALLOW))
    program = [step(LOAD, ARCHITECTURE), step(EQUAL, X86_64, 1), refuse]
    program += [step(LOAD, NUMBER), step(AT_LEAST, OF_X32, 0, 1), refuse]
    program += [step(EQUAL, CLONE3, 0, 1), unknown]  # then the C library takes clone, whose flags can be read
    for number in REFUSED:
        program += [step(EQUAL, number, 0, 1), refuse]
    program += [step(EQUAL, CLONE, 0, 4), step(LOAD, FIRST_ARGUMENT), step(ANY_BIT, CLONE_THREAD, 1), refuse, allow]
    program += [step(EQUAL, PRLIMIT, 0, 4), step(LOAD, FIRST_ARGUMENT), step(EQUAL, 0, 1), refuse, allow, allow]
    code = ctypes.create_string_buffer(b"".join(program))
    header = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(code)))
    _call("seccomp", LIBC.syscall(SECCOMP, 1, ALL_THREADS, header))
