"""Who holds a lease: a process, so that another one on the same machine can see whether it still lives."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from discover.store.log.appending import fitted, host_name


def holder_name(worker: str = "") -> str:
    """This process, `host/pid/start`, with the worker's own name before an @ where it has one."""
    process = f"{fitted(host_name(), 100)}/{os.getpid()}/{_stamp(os.getpid())}"
    return f"{fitted(worker, 100)}@{process}" if worker else process


def described(holder: str) -> str:
    """The holder in words."""
    worker, host, pid, _ = _parts(holder)
    name = f"worker {worker!r}, " if worker else ""
    return f"{name}process {pid} on {host}"


def gone(holder: str) -> bool:
    """Whether the holder was a process of this machine that no longer runs.

    Another machine may have the same name, and another container the same numbers: who cannot tell says no.
    """
    _, host, pid, stamp = _parts(holder)
    if host != fitted(host_name(), 100) or not pid.isdigit() or stamp.partition("-")[2] != _here() or not _here():
        return False
    return _stamp(int(pid)) != stamp


def _parts(holder: str) -> tuple[str, str, str, str]:
    process, _, stamp = holder.rpartition("/")
    process, _, pid = process.rpartition("/")
    worker, _, host = process.rpartition("@")
    return worker, host, pid, stamp


def _stamp(pid: int) -> str:
    """When a process began, in ticks of this kernel: tells it from a later one with the same number. '' if it is gone."""
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""
    return f"{ticks}-{_here()}"


@cache
def _here() -> str:
    """Where process numbers mean the same: this boot of this kernel, and its namespace of processes. '' if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot[:13]}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""
