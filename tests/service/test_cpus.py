"""Real contents of the kernel's files, laid out under a temporary root."""

from __future__ import annotations

import os
from collections.abc import Callable
from math import inf
from pathlib import Path

import pytest

from service.cpus import affinity_cpus, effective_cpus, limit_of, parse_memberships, parse_mounts, quota, whole_cpus

V1_MEMBERSHIPS = """\
11:name=systemd:/docker/5f3
10:cpuset:/docker/5f3
4:cpu,cpuacct:/docker/5f3
0::/docker/5f3
"""
V1_MOUNTS = """\
1107 1100 0:65 / /proc rw,nosuid,relatime - proc proc rw
1113 1112 0:30 {root} /sys/fs/cgroup/systemd ro,nosuid,relatime master:11 - cgroup cgroup rw,xattr,name=systemd
1117 1112 0:34 {root} /sys/fs/cgroup/cpu,cpuacct ro,nosuid,relatime master:16 - cgroup cgroup rw,cpu,cpuacct
1119 1112 0:36 {root} /sys/fs/cgroup/cpuset ro,nosuid,relatime master:18 - cgroup cgroup rw,cpuset
"""
V2_MOUNTS = "1104 1103 0:30 {root} /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n"

Layout = Callable[[dict[str, str]], Path]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Writes files by their absolute names under a temporary root."""

    def write(files: dict[str, str]) -> Path:
        for name, content in files.items():
            path = tmp_path / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return write


def v2(memberships: str = "0::/\n", root: str = "/", **maxima: str) -> dict[str, str]:
    """A version 2 hierarchy; `maxima` are cpu.max by group, `__` for a slash."""
    groups = {f"/sys/fs/cgroup/{name.replace('__', '/')}/cpu.max": text + "\n" for name, text in maxima.items()}
    return {"/proc/self/cgroup": memberships, "/proc/self/mountinfo": V2_MOUNTS.format(root=root), **groups}


def v1(quota_us: str, period_us: str = "100000\n", root: str = "/docker/5f3", group: str = "") -> dict[str, str]:
    directory = f"/sys/fs/cgroup/cpu,cpuacct{group}"
    return {
        "/proc/self/cgroup": V1_MEMBERSHIPS,
        "/proc/self/mountinfo": V1_MOUNTS.format(root=root),
        f"{directory}/cpu.cfs_quota_us": quota_us,
        f"{directory}/cpu.cfs_period_us": period_us,
    }


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert quota(tmp_path) == inf
    assert effective_cpus(tmp_path) == affinity_cpus()
    if hasattr(os, "sched_getaffinity"):
        assert affinity_cpus() == len(os.sched_getaffinity(0))


def test_the_quota_of_a_container_with_a_namespace_of_its_own(layout: Layout) -> None:
    """`docker run --cpus 0.5` under version 2: the group is the root, and the root's own file has the limit."""
    root = layout(v2() | {"/sys/fs/cgroup/cpu.max": "50000 100000\n"})
    assert quota(root) == 0.5
    assert effective_cpus(root) == 0.5


def test_a_quota_above_the_affinity_changes_nothing(layout: Layout) -> None:
    root = layout(v2() | {"/sys/fs/cgroup/cpu.max": "100000000 100000\n"})
    assert quota(root) == 1000
    assert effective_cpus(root) == affinity_cpus()


def test_the_tightest_group_on_the_way_up_counts(layout: Layout) -> None:
    """A pod's quota binds its containers; a neighbour's does not."""
    groups = {"kubepods": "max 100000", "kubepods__pod1": "150000 100000", "kubepods__pod1__c": "400000 100000"}
    root = layout(v2("0::/kubepods/pod1/c\n", **groups, kubepods__pod2="10000 100000"))
    assert quota(root) == 1.5


def test_no_limit_anywhere_is_no_quota(layout: Layout) -> None:
    assert quota(layout(v2("0::/user.slice\n", **{"user.slice": "max 100000"}))) == inf


def test_version_1_inside_a_container(layout: Layout) -> None:
    """The host's path stands in /proc/self/cgroup, and the mount shows that very group at its point."""
    assert quota(layout(v1("250000\n"))) == 2.5


def test_version_1_on_the_host(layout: Layout) -> None:
    assert quota(layout(v1("75000\n", "50000\n", root="/", group="/docker/5f3"))) == 1.5


def test_version_1_without_a_limit(layout: Layout) -> None:
    assert quota(layout(v1("-1\n"))) == inf


def test_a_group_whose_name_merely_begins_like_the_mount_s_is_not_in_it(layout: Layout) -> None:
    files = v1("-1\n", root="/docker/5") | {"/sys/fs/cgroup/cpu,cpuacct/f3/cpu.cfs_quota_us": "1000\n"}
    assert quota(layout(files | {"/sys/fs/cgroup/cpu,cpuacct/f3/cpu.cfs_period_us": "100000\n"})) == inf


def test_a_group_outside_the_namespace_is_read_no_further_than_the_mount(layout: Layout) -> None:
    root = layout(v2("0::/../other\n") | {"/sys/fs/cgroup/cpu.max": "30000 10000\n", "/sys/fs/cpu.max": "1 100\n"})
    assert quota(root) == 3


@pytest.mark.parametrize("text", ["", "max 100000", "abc", "100000", "0 100000", "100000 0", "1 2 3"])
def test_what_is_no_limit_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert limit_of(tmp_path) == inf


def test_memberships_by_controller() -> None:
    memberships = parse_memberships("4:cpu,cpuacct:/a:b\n0::/v2\n")
    assert memberships == {"cpu": "/a:b", "cpuacct": "/a:b", "": "/v2"}


def test_a_mount_point_with_blanks() -> None:
    (mount,) = parse_mounts(r"36 35 0:1 / /mnt/my\040groups\134x rw shared:1 - cgroup2 none rw" + "\n")
    assert mount.point == r"/mnt/my groups\x"


@pytest.mark.parametrize(("cpus", "whole"), [(0.5, 1), (1.0, 1), (1.99, 1), (2.0, 2), (63.5, 63)])
def test_workers_are_whole_and_at_least_one(cpus: float, whole: int) -> None:
    assert whole_cpus(cpus) == whole
