"""Locks a codec process up before it sees a file: what it may use, and what it may reach.

Limits on memory, CPU time, file size and open files hold on every Unix. On Linux a seccomp filter takes the network and the doors to other
processes away, and Landlock leaves it the system's files to read and one folder to write. None of the three needs a privilege; where
the kernel lacks one, the others hold, and ``confine`` says which do.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

MAX_FILE_BYTES = 16 * 1024**3
"""The largest file a codec may write: six hours of the largest variant, and some."""
MAX_OPEN_FILES = 128
CPU_SECONDS = 120
"""Of one request, without ffmpeg, whose time limit comes from its clip's length."""

_KILLED_FIRST = 500
"""Added to our badness when the kernel has to free memory: it takes a codec and leaves the worker."""

_NO_NEW_PRIVS = 38
_SET_SECCOMP, _FILTER_MODE = 22, 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_GREATER_OR_EQUAL, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET = 0, 4
_X32 = 0x40000000

# socket; then what reads or steers other processes, and io_uring, which would open sockets without asking the filter.
_REFUSED_CALLS = {
    "x86_64": (0xC000003E, {"socket": 41, "ptrace": 101, "mount": 165, "keyctl": 250, "unshare": 272, "perf_event_open": 298, "setns": 308,
                            "process_vm_readv": 310, "process_vm_writev": 311, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425}),
    "aarch64": (0xC00000B7, {"mount": 40, "unshare": 97, "ptrace": 117, "socket": 198, "keyctl": 219, "perf_event_open": 241, "setns": 268,
                             "process_vm_readv": 270, "process_vm_writev": 271, "bpf": 280, "userfaultfd": 282, "io_uring_setup": 425}),
}  # fmt: skip

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_ALL_BY_VERSION = ((1, (1 << 13) - 1), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15
_TCP = 0b11
_SCOPES = 0b11
"""No abstract sockets and no signals beyond our own."""

_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/fonts", "/etc/ld.so.cache", "/etc/localtime", "/var/cache/fontconfig", "/dev/urandom",
           "/proc/cpuinfo", "/proc/meminfo", "/proc/self", "/sys/devices/system/cpu", "/sys/fs/cgroup")  # fmt: skip


def confine(folder: Path, memory_bytes: int, readable: Iterable[Path] = ()) -> list[str]:
    """Give up everything but ``memory_bytes`` beside what is in use already, ``folder`` to write, and the system and ``readable`` to read.

    Returns what holds from now on: ``limits``, ``network``, ``files``. For this process and all it will start, for ever; to be called
    before there is a second thread.
    """
    confined = ["limits"]
    _volunteer_for_the_oom_killer()
    _limit(memory_bytes)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
            if _fence_files(libc, folder, readable):
                confined.append("files")
            if _filter_calls(libc):
                confined.append("network")
    return confined


class CpuClock:
    """How long this process may compute. Beyond it the kernel ends it with SIGXCPU, whatever library it is in."""

    def __init__(self, seconds: int = CPU_SECONDS) -> None:
        self._end = _cpu_used() + seconds
        self.allow(None)

    def allow(self, seconds: int | None) -> None:
        """Allow ``seconds`` from now on, or all that is left; never more than that."""
        limit = self._end if seconds is None else min(self._end, _cpu_used() + seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _cpu_used() -> int:
    """Seconds, rounded up: the limit knows no fractions."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return int(used.ru_utime + used.ru_stime) + 1


def _limit(memory_bytes: int) -> None:
    for kind, wanted in (
        (resource.RLIMIT_AS, _address_space() + memory_bytes),
        (resource.RLIMIT_FSIZE, MAX_FILE_BYTES),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS knows no limit of address space
            resource.setrlimit(kind, (limit, limit))


def _address_space() -> int:
    """Bytes that are mapped already: the interpreter and its libraries."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError):
        return 0
    return pages * resource.getpagesize()


def _volunteer_for_the_oom_killer() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_KILLED_FIRST))


def _filter_calls(libc: ctypes.CDLL) -> bool:
    """Install a filter that answers EPERM to the refused calls, whoever of us makes them."""
    known = _REFUSED_CALLS.get(platform.machine())
    if known is None:
        return False
    architecture, calls = known
    refuse = len(calls) + 2
    program = [
        _instruction(_LOAD, _ARCHITECTURE_OFFSET),
        _instruction(_JUMP_IF_EQUAL, architecture, no=refuse),
        _instruction(_LOAD, _NUMBER_OFFSET),
        _instruction(_JUMP_IF_GREATER_OR_EQUAL, _X32, yes=refuse - 2),
        *(_instruction(_JUMP_IF_EQUAL, number, yes=len(calls) - place) for place, number in enumerate(calls.values())),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, _REFUSE),
    ]
    code = ctypes.create_string_buffer(b"".join(program))
    wanted = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    return bool(libc.prctl(_SET_SECCOMP, _FILTER_MODE, ctypes.byref(wanted), 0, 0) == 0)


def _instruction(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """One step of classic BPF; ``yes`` and ``no`` are how many steps to skip."""
    return struct.pack("HBBI", code, yes, no, value)


def _fence_files(libc: ctypes.CDLL, folder: Path, readable: Iterable[Path]) -> bool:
    """Reduce the file system to what is named. False where the kernel has no Landlock."""
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)
    if version < 1:
        return False
    everything = sum(rights for since, rights in _ALL_BY_VERSION if version >= since)
    network, scopes = (_TCP if version >= 4 else 0), (_SCOPES if version >= 6 else 0)
    attributes = struct.pack("QQQ", everything, network, scopes)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    try:
        _allow(libc, ruleset, folder, everything)
        _allow(libc, ruleset, Path("/dev/null"), everything & (_READ_FILE | _WRITE_FILE))
        for path in [*map(Path, _SYSTEM), *readable]:
            _allow(libc, ruleset, path, everything & _READ)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    """Whatever is not there needs no permission."""
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights &= ~0 if path.is_dir() else _OF_A_FILE
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, beneath), 0)
    finally:
        os.close(beneath)
