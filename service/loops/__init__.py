"""The loops over the values of one request: text to ids, ids checked and counted, logits to probabilities.

In C where `service.native._encode` was built, else in Python (`service.loops.python`): the same functions with the same
results, so that nobody who calls them need know which. Every function writes into an array of the caller. Those that
count return a sum, the others -1 or the position of the first value that is not what it has to be; saying what is wrong
is left to the caller.
"""

try:
    from service.native._encode import Table, check_column, check_ids, count, count_up_to, encode_row, probabilities

    COMPILED = True
except ImportError:
    from service.loops.python import (  # type: ignore[assignment] # the same functions, in Python
        Table,
        check_column,
        check_ids,
        count,
        count_up_to,
        encode_row,
        probabilities,
    )

    COMPILED = False

FINE = -1
"""Every value was what it has to be."""

__all__ = [
    "COMPILED",
    "FINE",
    "Table",
    "check_column",
    "check_ids",
    "count",
    "count_up_to",
    "encode_row",
    "probabilities",
]
