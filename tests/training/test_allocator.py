"""In a process of its own: the allocator is the whole process's."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from training.allocator import keep_freed_memory
kept = sys.argv[1] == "kept" and keep_freed_memory()
def step():
    torch.ones(10_000_000).sum()
for _ in range(25):  # an aligned buffer fits into a hole only beside another: some more are made first
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    command = [sys.executable, "-c", FAULTS, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator alone is told")
def test_memory_that_was_freed_is_used_again_instead_of_being_mapped_anew() -> None:
    assert page_faults("kept") < 1_000 < page_faults("given back")
