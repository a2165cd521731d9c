"""Rows per second of training: fit() on shapes of MovieLens-1M and Criteo, beside a loop as libraries have it."""
