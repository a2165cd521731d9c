"""The fields of one role in a request: exactly these, each where it belongs, and ids within their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.api.problems import Problem, ProblemError, shown
from service.bundle import Encoder, Ids, Raw, Role
from service.loops import FINE, check_column, check_ids


class RoleFields:
    """What a request may say about the fields of one role.

    Args:
        encoder: the bundle's encoder.
        role: whose fields these are.
    """

    def __init__(self, encoder: Encoder, role: Role) -> None:
        schema = encoder.schema
        self.fields, others = (
            (schema.context, schema.candidate) if role is Role.CONTEXT else (schema.candidate, schema.context)
        )
        sizes = dict(zip((field.name for field in schema.fields), encoder.sizes, strict=True))
        self.names = tuple(field.name for field in self.fields)
        self.described = f"{role.value} fields {', '.join(self.names) or '(none)'}"
        """What is expected, for errors."""
        self._set = frozenset(self.names)
        self._others = frozenset(field.name for field in others)
        self._other_role = Role.CANDIDATE if role is Role.CONTEXT else Role.CONTEXT
        self._sizes = tuple(sizes[name] for name in self.names)
        self._sizes_F = np.array(self._sizes, np.int64)

    def check(self, got: Mapping[str, Any], where: str, position: int | None = None) -> None:
        """Raise ProblemError unless `got` has exactly these fields; says which is misplaced, unknown or missing."""
        if got.keys() != self._set:
            raise self._wrong(got, where, position)

    def check_columns(self, columns: Mapping[str, Any], where: str) -> int:
        """N, the common length of the fields' columns; raises ProblemError unless each is a list of that length."""
        self.check(columns, where)
        rows = -1
        for name in self.names:
            column = columns[name]
            if type(column) is not list:
                detail = f"{where}.{name} is {shown(column)}, expected a list with one value per candidate"
                raise ProblemError(
                    Problem.MALFORMED_REQUEST, detail, field=name, got=shown(column), expected="a list of values"
                )
            if len(column) != rows:
                if rows >= 0:
                    raise self._ragged(name, len(column), rows, where)
                rows = len(column)
        return rows

    def columns_of(self, rows: Sequence[Any], where: str) -> dict[str, list[Raw]]:
        """Rows turned into columns; raises ProblemError at the first that is no object with exactly these fields."""
        for position, row in enumerate(rows):
            if type(row) is not dict:
                detail = f"{where}[{position}] is {shown(row)}, expected an object {{field: value}}"
                raise ProblemError(
                    Problem.MALFORMED_REQUEST, detail, position=position, got=shown(row), expected="an object"
                )
            if row.keys() != self._set:
                raise self._wrong(row, f"{where}[{position}]", position)
        return {name: [row[name] for row in rows] for name in self.names}

    def ids_of_row(self, row: Mapping[str, Any], where: str) -> Ids:
        """Ids [1, F] of {field: id}; raises ProblemError for what is no id of its field."""
        ids_1F = np.empty((1, len(self.names)), np.int32)
        place = check_ids([row[name] for name in self.names], self._sizes_F, ids_1F)
        if place != FINE:
            name = self.names[place]
            raise self._bad_id(row[name], place, f"{where}.{name}", None)
        return ids_1F

    def ids_of_columns(self, columns: Mapping[str, list[Any]], rows: int, where: str) -> Ids:
        """Ids [N, F] of {field: [id, ...]}, checked by `check_columns`; raises ProblemError for what is no id."""
        ids_NF = np.empty((rows, len(self.names)), np.int32)
        for place, (name, size) in enumerate(zip(self.names, self._sizes, strict=True)):
            position = check_column(columns[name], size, ids_NF[:, place])
            if position != FINE:
                raise self._bad_id(columns[name][position], place, f"{where}.{name}[{position}]", position)
        return ids_NF

    def _bad_id(self, value: object, place: int, where: str, position: int | None) -> ProblemError:
        got, expected = shown(value), f"an id from 0 to {self._sizes[place] - 1}, 1 for an unknown value"
        return ProblemError(
            Problem.BAD_VALUE,
            f"{where} is {got}, expected {expected}",
            field=self.names[place],
            position=position,
            got=got,
            expected=expected,
        )

    def _ragged(self, name: str, length: int, rows: int, where: str) -> ProblemError:
        got, expected = f"{length} values", f"{rows}, as {self.names[0]!r} has"
        detail = f"{where}.{name} has {got}, expected {expected}"
        return ProblemError(Problem.RAGGED_COLUMNS, detail, field=name, got=got, expected=expected)

    def _wrong(self, got: Mapping[str, Any], where: str, position: int | None) -> ProblemError:
        """The error for an object that has not exactly these fields."""
        expected = self.described
        for name in got:
            if name in self._others:
                other = self._other_role.value
                detail = f"{where} has {name!r}, which is a {other} field; expected the {expected}"
                return ProblemError(
                    Problem.MISPLACED_FIELD, detail, field=name, position=position, got=where, expected=expected
                )
        for name in got:
            if name not in self._set:
                detail = f"{where} has an unknown field {shown(name)}; expected the {expected}"
                return ProblemError(
                    Problem.UNKNOWN_FIELD, detail, field=name[:80], position=position, expected=expected
                )
        missing = next(name for name in self.names if name not in got)
        detail = f"{where} lacks {missing!r}; expected the {expected}"
        return ProblemError(Problem.MISSING_FIELD, detail, field=missing, position=position, expected=expected)
