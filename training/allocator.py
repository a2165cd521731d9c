"""glibc's allocator, told to keep what was freed: a training step asks for the same large buffers again and again.

By default every tensor over some megabytes is mapped from the kernel and given back, and each step pays for a page
fault per 4 KiB: 45 % of the time of a CIN's step. Here nothing is mapped and the heap is not trimmed. Price: the
process keeps the memory of its largest step until it ends. Source: mallopt(3). Alternative: another allocator by
LD_PRELOAD, which whoever starts Python would have to know of.
"""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_KEEP_ALL = 2**31 - 1
_GROW_BY = 64 * 2**20


def keep_freed_memory() -> bool:
    """Keep freed memory in this process; False where the C library is not glibc, and nothing changes."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _KEEP_ALL), (_TOP_PAD, _GROW_BY))
    return all(mallopt(option, value) == 1 for option, value in settings)
