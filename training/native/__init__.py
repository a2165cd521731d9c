"""Compiled parts of training. Optional: without a C compiler Python and torch do the same, more slowly."""
