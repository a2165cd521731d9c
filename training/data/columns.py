"""Columns of text as codes: code 0 is the empty text, code k the k-th distinct text of its column to appear.

Everything that is said of a value (its id, whether it is a click, what is wrong with it) is then said once per distinct
text, and rows are numbers. In C where `training.native._columns` was built (a million Criteo rows a second on one
core), else in Python (fifteen times slower) with the same codes. Categories of polars, shared between blocks, gave
117,000 to 209,000 rows a second here, and 247,000 hashed, which is not exact.
"""

try:
    from training.native._columns import Columns

    COMPILED = True
except ImportError:
    from training.data.columns_python import Columns  # type: ignore[assignment] # the same codes, in Python

    COMPILED = False

SHORT, LONG, QUOTE = -1, -2, -3
"""What may be wrong with a line: too few columns, too many, a quote that is not closed or is followed by text."""

__all__ = ["COMPILED", "LONG", "QUOTE", "SHORT", "Columns"]
