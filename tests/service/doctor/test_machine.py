from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.cpus import affinity_cpus
from service.doctor import machine
from service.doctor.finding import Status

if TYPE_CHECKING:
    from tests.service.doctor.conftest import Examined

MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """The files of a machine with a group /pod: 8 GiB, AVX2, no limits."""
    files = {
        "proc/self/cgroup": "0::/pod\n",
        "proc/self/mountinfo": MOUNT,
        "proc/meminfo": "MemTotal:        8388608 kB\nMemFree: 1 kB\n",
        "proc/cpuinfo": "processor : 0\nflags : fpu sse2 avx2 fma\n",
        "proc/uptime": "7200.00 100.00\n",
        "proc/sys/net/core/somaxconn": "4096\n",
        "sys/fs/cgroup/pod/cpu.max": "max 100000\n",
        "sys/fs/cgroup/pod/memory.max": "max\n",
    }
    for name, text in files.items():
        write(tmp_path, name, text)
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_a_machine_without_limits_is_well(host: Path, examined: Examined) -> None:
    for check in (machine.cpus, machine.workers, machine.memory, machine.backlog, machine.flags, machine.uptime):
        for finding in examined(check, root=host).values():
            assert finding.status is Status.OK, finding
    assert "no quota" in examined(machine.cpus, root=host)["CPUs"].found
    assert "8,192 MiB" in examined(machine.memory, root=host)["memory"].found
    assert examined(machine.flags, root=host)["instruction sets"].found == "avx2, fma"
    assert examined(machine.uptime, root=host)["time since boot"].found == "2.0 h"


def test_this_machine_can_be_looked_at(examined: Examined) -> None:
    for check in (machine.cpus, machine.workers, machine.memory, machine.files, machine.backlog, machine.uptime):
        assert examined(check)


def test_less_than_a_cpu_is_a_warning(host: Path, examined: Examined) -> None:
    write(host, "sys/fs/cgroup/pod/cpu.max", "50000 100000\n")
    finding = examined(machine.cpus, root=host)["CPUs"]
    assert finding.status is Status.WARNING
    assert "a quota of 0.5" in finding.found


def test_more_workers_than_cpus_is_a_warning(host: Path, examined: Examined) -> None:
    write(host, "sys/fs/cgroup/pod/cpu.max", "100000 100000\n")
    assert examined(machine.workers, root=host, workers=1)["workers"].status is Status.OK
    finding = examined(machine.workers, root=host, workers=3)["workers"]
    assert finding.status is Status.WARNING
    assert (finding.found, finding.expected) == ("3 on 1 effective CPUs", "at most 1")


def test_more_threads_than_cpus_is_a_warning(host: Path, examined: Examined) -> None:
    threads = affinity_cpus() + 1
    assert examined(machine.workers, root=host, student_threads=threads)["threads"].status is Status.WARNING


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("0::/pod/a\n", "sys/fs/cgroup/pod/memory.max"),
        ("5:memory:/pod\n", "sys/fs/cgroup/memory/pod/memory.limit_in_bytes"),
    ],
    ids=["version 2, above", "version 1"],
)
def test_too_little_memory_for_the_workers_is_a_problem(host: Path, examined: Examined, group: str, name: str) -> None:
    write(host, "proc/self/cgroup", group)
    write(host, name, str(512 * machine.MIB))
    assert examined(machine.memory, root=host, workers=2)["memory"].status is Status.OK
    assert examined(machine.memory, root=host, workers=3)["memory"].status is Status.PROBLEM


def test_a_short_accept_queue_is_a_warning(host: Path, examined: Examined) -> None:
    write(host, "proc/sys/net/core/somaxconn", "128\n")
    assert examined(machine.backlog, root=host)["accept queue"].status is Status.WARNING


def test_a_cpu_without_vectors_is_a_warning(host: Path, examined: Examined) -> None:
    write(host, "proc/cpuinfo", "flags : fpu sse2\n")
    assert examined(machine.flags, root=host)["instruction sets"].status is Status.WARNING


@pytest.fixture
def few_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_few_file_descriptors_are_a_warning(few_files: None, examined: Examined) -> None:
    finding = examined(machine.files)["open files"]
    assert finding.status is Status.WARNING
    assert finding.found.startswith("512 ")
