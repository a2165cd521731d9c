"""Rows and tables: a table is a list of rows, a row a recipe per member, and everything needed to print it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from training.reproduce.published import Printed, Scores
from training.study.recipe import Recipe, Training


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table.

    Attributes:
        label: as the paper writes it.
        members: what is trained; several are an ensemble, whose logits are averaged.
        published: what the paper prints for this very data set.
        published_gap: what the paper prints for another data set, as a difference to `against`.
        against: label of the row it is compared with, seed by seed; None: with nothing.
    """

    label: str
    members: tuple[Recipe, ...]
    published: Scores | None = None
    published_gap: Scores | None = None
    against: str | None = None

    def trainings(self, seed: int) -> tuple[Training, ...]:
        """What has to be trained for one seed."""
        return tuple(Training(recipe=recipe, seed=seed) for recipe in self.members)


def row_of(printed: Printed, label: str, members: Recipe | Sequence[Recipe], against: str | None = None) -> Row:
    """A row with what its paper prints."""
    return Row(
        label=label,
        members=(members,) if isinstance(members, Recipe) else tuple(members),
        published=printed.scores(label),
        published_gap=None if against is None else printed.gap(label, against),
        against=against,
    )


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table or a figure: a name to ask for it by, a title, and its rows."""

    name: str
    title: str
    rows: tuple[Row, ...]

    def row(self, label: str) -> Row:
        """The row of a label."""
        return next(row for row in self.rows if row.label == label)


def trainings_of(tables: Sequence[Table], seeds: Sequence[int]) -> Iterator[Training]:
    """What all rows of some tables take, a seed after the other: after the first seed every row has a figure."""
    for seed in seeds:
        for table in tables:
            for row in table.rows:
                yield from row.trainings(seed)
