"""Compiled parts of preparing data. Optional: without a C compiler the same is done in Python, more slowly."""
