"""Blocks of whole lines of a text file, plain or gzip: what is read at once, whatever the size of the file.

A block is read ahead in a thread while the one before is coded. Lines may hold line
ends in quotes: a block then ends where no quote is open.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, cast

from training.data.click_log import DataError

BLOCK_BYTES = 8 << 20
LARGEST_LINE = 1 << 28
"""Bytes after which a quote that nobody closed is an error and not a long value."""


def blocks(path: Path, *, quoted: bool, size: int = BLOCK_BYTES) -> Iterator[tuple[bytes, int]]:
    """Blocks of whole lines, each with the bytes of the file read so far; the last line gets a line end if it has none.

    Args:
        path: the file; a name that ends in .gz is decompressed.
        quoted: whether a line end in quotes is part of a value.
        size: bytes read at once.

    Raises:
        DataError: not there, cut short, not gzip, or a quote is never closed.
    """
    with _opened(path) as (file, position), ThreadPoolExecutor(1) as ahead:
        rest: list[bytes] = []
        following = ahead.submit(file.read, size)
        for _ in count():
            piece = _result(path, following.result)
            if not piece:
                break
            following = ahead.submit(file.read, size)
            rest.append(piece)
            cut = _last_line_end(rest, quoted=quoted)
            if cut:
                whole = b"".join(rest)
                yield whole[:cut], position()
                rest = [whole[cut:]]
            elif sum(map(len, rest)) > LARGEST_LINE:
                raise DataError(
                    f"{path}: found {LARGEST_LINE >> 20} MiB without the end of a line; is a quote left open?"
                )
        last = b"".join(rest)
        if last:
            yield last + b"\n", position()


def _result(path: Path, result: Callable[[], bytes]) -> bytes:
    try:
        return result()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: not a whole gzip file ({error}); fetch it again") from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """The file's content, and how many bytes of the file itself were read."""
    try:
        raw = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: not readable ({error.strerror}); expected a file (--data PATH)") from error
    with raw:
        file = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        yield cast("IO[bytes]", file), raw.tell


def _last_line_end(pieces: list[bytes], *, quoted: bool) -> int:
    """Where the last whole line of the pieces, joined, ends; 0 if none does."""
    if not quoted:
        end = pieces[-1].rfind(b"\n") + 1
        return end and sum(map(len, pieces[:-1])) + end
    whole = b"".join(pieces)
    end = whole.rfind(b"\n") + 1
    quotes = whole.count(b'"', 0, end)
    while end and quotes % 2:
        earlier = whole.rfind(b"\n", 0, end - 1) + 1
        quotes -= whole.count(b'"', earlier, end)
        end = earlier
    return end
