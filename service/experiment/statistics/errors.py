"""What is said when data cannot answer a question."""

from __future__ import annotations


class StatisticsError(ValueError):
    """The data lack what the formula needs; the message names it. Nothing here answers NaN instead."""
