"""How many CPUs this process may really use: its affinity mask, capped by the CPU quota of its control groups.

A container with `--cpus 1.5` on a machine of 64 cores still sees 64 in its affinity mask; threads and workers sized by
that number only wait for each other. A group's quota binds everything below it, so every group from the process's own
up to the root of the mount is read: `cpu.max` in version 2, `cpu.cfs_quota_us` and `cpu.cfs_period_us` in version 1.

Source: the kernel's admin-guide/cgroup-v2 (cpu.max) and scheduler/sched-bwc (version 1), proc(5) for the two lists.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

UNLIMITED = math.inf

_V2 = ""
"""What /proc/self/cgroup calls the controllers of version 2."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mount:
    """Where a hierarchy of control groups with the CPU controller is mounted."""

    point: str
    root: str
    """The group that is seen at `point`."""
    version: int
    """1 or 2."""


def effective_cpus(root: Path = Path("/")) -> float:
    """CPUs of the affinity mask, or of the quota if that is less; `root` holds `proc` and the mounts."""
    return min(float(affinity_cpus()), quota(root))


def whole_cpus(cpus: float) -> int:
    """How many busy processes `cpus` feed: rounded down, at least 1."""
    return max(1, int(cpus))


def affinity_cpus() -> int:
    """CPUs this process may be scheduled on; all of them where the system has no affinity."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quota(root: Path = Path("/")) -> float:
    """CPUs that the tightest of this process's control groups grants; infinite without a group or a limit."""
    process = root / "proc/self"
    try:
        memberships = parse_memberships((process / "cgroup").read_text())
        mounts = parse_mounts((process / "mountinfo").read_text())
    except OSError:
        return UNLIMITED
    groups = (group for mount in mounts for group in _groups(mount, memberships, root))
    return min((limit_of(group) for group in groups), default=UNLIMITED)


def parse_memberships(text: str) -> dict[str, str]:
    """Controller → path of the process's group, from /proc/self/cgroup; version 2 stands under the empty name."""
    memberships = {}
    for line in text.splitlines():
        _number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            memberships[controller] = path
    return memberships


def parse_mounts(text: str) -> list[Mount]:
    """The mounts that may carry CPU quotas, from /proc/self/mountinfo."""
    mounts = []
    for line in text.splitlines():
        place, _, kind = line.partition(" - ")
        group, point = (_unescaped(field) for field in place.split(" ")[3:5])
        file_system, _source, *options = kind.split(" ")
        if file_system == "cgroup2":
            mounts.append(Mount(point=point, root=group, version=2))
        elif file_system == "cgroup" and "cpu" in options[-1].split(","):
            mounts.append(Mount(point=point, root=group, version=1))
    return mounts


def limit_of(group: Path) -> float:
    """CPUs that one control group grants, of either version; infinite without a limit."""
    maximum = _read(group / "cpu.max").split()
    if not maximum:
        maximum = [*_read(group / "cpu.cfs_quota_us").split(), *_read(group / "cpu.cfs_period_us").split()]
    try:
        microseconds, period = (int(number) for number in maximum)
    except ValueError:  # "max", or no such files
        return UNLIMITED
    return microseconds / period if microseconds > 0 and period > 0 else UNLIMITED


def _groups(mount: Mount, memberships: dict[str, str], root: Path) -> Iterator[Path]:
    """Directories of the process's group and of those above it, up to the mount point."""
    path = memberships.get("cpu" if mount.version == 1 else _V2)
    if path is None:
        return
    directory = root / mount.point.lstrip("/")
    yield directory
    group = PurePosixPath(path)
    if ".." in group.parts or not group.is_relative_to(mount.root):
        return  # outside this process's namespace: what it may read is the mount point alone
    for name in group.relative_to(mount.root).parts:
        directory /= name
        yield directory


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _unescaped(field: str) -> str:
    r"""A path of mountinfo, in which blanks and backslashes stand as octal numbers (\040)."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field)
