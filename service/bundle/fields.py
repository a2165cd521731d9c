"""Fields, their roles, and the schema that orders them.

A schema is an ordered list of fields. Context fields come first, and that order is the topological order of the
student's DAG: a context node receives from context nodes only, so its state is computed once per request.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from service.bundle.errors import BundleError
from service.bundle.numeric import NumericRule, numeric_rule_from_json


class Role(StrEnum):
    """Who shares a field's value within one request."""

    CONTEXT = "context"
    """Same for all candidates: user, device, time, page."""
    CANDIDATE = "candidate"
    """One value per candidate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One named input column.

    A field with a numeric rule takes numbers; every other field is categorical and takes strings or integers.
    """

    name: str
    role: Role
    numeric: NumericRule | None = None

    @property
    def kind(self) -> str:
        """`numeric` or `categorical`."""
        return "categorical" if self.numeric is None else "numeric"

    def to_json(self) -> dict[str, Any]:
        """The field as it stands in schema.json."""
        described: dict[str, Any] = {"name": self.name, "role": self.role.value, "kind": self.kind}
        if self.numeric is not None:
            described["numeric"] = self.numeric.to_json()
        return described

    @classmethod
    def from_json(cls, described: Any) -> Field:
        """Inverse of `to_json`; raises BundleError on anything it would not write itself."""
        try:
            numeric = described.get("numeric")
            field = cls(
                name=str(described["name"]),
                role=Role(described["role"]),
                numeric=None if numeric is None else numeric_rule_from_json(numeric),
            )
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise BundleError(f"schema: field {described!r} is not a field description: {error}") from error
        if field.to_json() != dict(described):
            raise BundleError(f"schema: field {described!r} reads back as {field.to_json()!r}; expected the same")
        return field


@dataclass(frozen=True)
class Schema:
    """The ordered fields of one model: unique names, context first.

    Raises:
        BundleError: no candidate field, a name twice, or a context field after a candidate field.
    """

    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        if len(set(names)) != len(names):
            raise BundleError(f"schema: field names must be unique: got {names}")
        roles = [field.role for field in self.fields]
        if roles != sorted(roles, key=[Role.CONTEXT, Role.CANDIDATE].index):
            raise BundleError(f"schema: context fields must come before candidate fields: got {names} as {roles}")
        if Role.CANDIDATE not in roles:
            raise BundleError(f"schema: at least one candidate field is needed: got {names} as {roles}")

    @classmethod
    def of(cls, fields: Sequence[Field]) -> Schema:
        """A schema of these fields, context fields moved to the front, each role keeping its own order."""
        return cls(tuple(sorted(fields, key=lambda field: field.role is Role.CANDIDATE)))

    @cached_property
    def context(self) -> tuple[Field, ...]:
        """The Fc context fields, in order."""
        return tuple(field for field in self.fields if field.role is Role.CONTEXT)

    @cached_property
    def candidate(self) -> tuple[Field, ...]:
        """The Ff candidate fields, in order."""
        return tuple(field for field in self.fields if field.role is Role.CANDIDATE)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: two models share ids only if they share this and the vocabularies."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The schema as it stands in schema.json."""
        return {"fields": [field.to_json() for field in self.fields]}

    @classmethod
    def from_json(cls, described: Any) -> Schema:
        """Inverse of `to_json`; raises BundleError on anything else."""
        fields = described.get("fields") if isinstance(described, Mapping) else None
        if not isinstance(fields, list) or set(described) != {"fields"}:
            raise BundleError(f"schema: expected {{'fields': [...]}}, got {described!r:.200}")
        return cls(tuple(Field.from_json(field) for field in fields))
