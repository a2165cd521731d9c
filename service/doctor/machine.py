"""CPUs, memory and the limits of the system this process runs under."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Iterator
from pathlib import Path

from service.cpus import affinity_cpus, effective_cpus, parse_memberships, quota, whole_cpus
from service.doctor.finding import Finding, Subject, ok, problem, warning

LEAST_FILES = 4096
"""File descriptors under which a burst of connections is refused."""
LEAST_BACKLOG = 1024
MIB = 1024 * 1024
LEAST_MEMORY = 256 * MIB
"""Bytes per worker that interpreter, libraries and a bundle of tens of megabytes take."""
_UNLIMITED_V1 = 1 << 60


def cpus(subject: Subject) -> Iterator[Finding]:
    """Affinity and quota against the CPUs of the host, and what runs on them."""
    host, mask, granted = os.cpu_count() or 1, affinity_cpus(), quota(subject.root)
    limit = "no quota" if math.isinf(granted) else f"a quota of {granted:g}"
    found = f"{effective_cpus(subject.root):g} of {host} CPUs: affinity {mask}, {limit}"
    if granted < 1:
        yield warning("CPUs", found, "at least 1", "raise the quota: below one CPU every request is paused in turn")
    else:
        yield ok("CPUs", found)


def workers(subject: Subject) -> Iterator[Finding]:
    """Processes and threads against the CPUs they share."""
    effective, settings = effective_cpus(subject.root), subject.settings
    fed, found = whole_cpus(effective), f"{settings.workers} on {effective:g} effective CPUs"
    if settings.workers > fed:
        yield warning("workers", found, f"at most {fed}", "set CTR_WORKERS=auto: more only wait for each other")
    else:
        spare = f"; CTR_WORKERS=auto starts {fed}" if settings.workers < fed else ""
        yield ok("workers", found + spare)
    threads = settings.student_threads * settings.workers
    found = f"{settings.student_threads} per worker for large batches, {threads} in all"
    if threads > max(fed, settings.workers):
        yield warning("threads", found, f"at most {fed} in all", "set CTR_STUDENT_THREADS=auto")
    else:
        yield ok("threads", found)


def memory(subject: Subject) -> Iterator[Finding]:
    """The limit of the control group, or the machine's memory, against the workers."""
    limit = memory_limit(subject.root)
    needed = LEAST_MEMORY * subject.settings.workers
    if limit is None:
        yield warning("memory", "no limit and no /proc/meminfo to be read", "a known size", "look at the host instead")
        return
    found = f"{limit / MIB:,.0f} MiB, workers: {subject.settings.workers}"
    if limit < needed:
        todo = "raise the memory limit or start fewer workers: the kernel kills what exceeds it"
        yield problem("memory", found, f"at least {needed / MIB:,.0f} MiB besides the bundles' tables", todo)
    else:
        yield ok("memory", found)


def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes this process may have: the tightest of its control groups and of what the machine has."""
    found = [size for size in (_meminfo(root), *_group_limits(root)) if size is not None]
    return min(found, default=None)


def files(_subject: Subject) -> Iterator[Finding]:
    """File descriptors: every connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{soft} file descriptors (hard limit {hard})"
    if soft < LEAST_FILES:
        yield warning("open files", found, f"at least {LEAST_FILES}", f"ulimit -n {LEAST_FILES}, or --ulimit nofile=…")
    else:
        yield ok("open files", found)


def backlog(subject: Subject) -> Iterator[Finding]:
    """How many connections may wait to be accepted."""
    try:
        most = int((subject.root / "proc/sys/net/core/somaxconn").read_text())
    except OSError:
        return
    found = f"net.core.somaxconn {most}"
    if most < LEAST_BACKLOG:
        todo = f"sysctl net.core.somaxconn={LEAST_BACKLOG}: a burst of connections is dropped beyond it"
        yield warning("accept queue", found, f"at least {LEAST_BACKLOG}", todo)
    else:
        yield ok("accept queue", found)


def flags(subject: Subject) -> Iterator[Finding]:
    """Instruction sets that the native scorer has code for."""
    try:
        text = (subject.root / "proc/cpuinfo").read_text()
    except OSError:
        return
    line = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    has = [name for name in ("avx512f", "avx2", "fma", "asimd") if name in line.split()]
    if has:
        yield ok("instruction sets", ", ".join(has))
    else:
        yield warning("instruction sets", "no AVX2, AVX-512 or NEON", "one of them", "choose another machine for speed")


def uptime(subject: Subject) -> Iterator[Finding]:
    """Since when the machine runs: right after a boot disks and clocks are still finding themselves."""
    try:
        seconds = float((subject.root / "proc/uptime").read_text().split()[0])
    except OSError:
        return
    yield ok("time since boot", f"{seconds / 3600:,.1f} h")


def _meminfo(root: Path) -> int | None:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kibibytes = [int(line.split()[1]) for line in lines if line.startswith("MemTotal:")]
    return kibibytes[0] * 1024 if kibibytes else None


def _group_limits(root: Path) -> Iterator[int]:
    """Limits of the process's group and of those above it, of either version."""
    try:
        groups = parse_memberships((root / "proc/self/cgroup").read_text())
    except OSError:
        return
    for mount, path, name in (
        (root / "sys/fs/cgroup", groups.get("", ""), "memory.max"),
        (root / "sys/fs/cgroup/memory", groups.get("memory", ""), "memory.limit_in_bytes"),
    ):
        parts = [part for part in path.split("/") if part not in {"", ".."}]
        for depth in range(len(parts) + 1):
            limit = _number(mount.joinpath(*parts[:depth], name))
            if limit is not None and limit < _UNLIMITED_V1:
                yield limit


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such group, or "max"
        return None
