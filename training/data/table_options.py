"""[data] set = "table": what a file of one's own holds, said in TOML. See training/configs/own-data.toml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic import Field as Option

from service.bundle import Role
from service.bundle.numeric import TRANSFORMS

Share = Annotated[float, Option(gt=0, lt=0.5)]


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class FieldOptions(_Options):
    """One of [[data.fields]]."""

    name: str = Option(min_length=1)
    """The field's name, as requests will say it."""
    role: Role
    """`context`: the same for all candidates of a request; `candidate`: one value each."""
    kind: Literal["categorical", "numeric"] = "categorical"
    """Text and integers that are looked up, or numbers."""
    column: str | None = None
    """The file's column, where it is not called like the field."""
    transform: str | None = None
    """Numeric: the number as a category, after one of the transforms `floor` and `log_squared`."""
    edges: tuple[float, ...] | None = None
    """Numeric: the number as the bucket between these edges."""
    quantiles: int | None = Option(default=None, ge=2, le=1000)
    """Numeric: as `edges`, as many buckets of about equally many training rows."""
    min_count: int | None = Option(default=None, ge=1)
    """Rows that a value needs to have an id of its own; `min_count` of [data] where it is not given."""

    @model_validator(mode="after")
    def _one_rule(self) -> FieldOptions:
        rules = [name for name in ("transform", "edges", "quantiles") if getattr(self, name) is not None]
        if self.kind == "numeric" and len(rules) != 1:
            raise ValueError(f"a numeric field takes one of transform, edges, quantiles: {self.name} has {rules}")
        if self.kind == "categorical" and rules:
            raise ValueError(f"{rules[0]} is for numeric fields: {self.name} is categorical")
        if self.transform is not None and self.transform not in TRANSFORMS:
            raise ValueError(f"transform of {self.name} is {self.transform!r}, expected one of {sorted(TRANSFORMS)}")
        if self.edges is not None and (not self.edges or sorted(set(self.edges)) != list(self.edges)):
            raise ValueError(f"edges of {self.name} must ascend: got {self.edges}")
        return self


class ClickOptions(_Options):
    """[data.click]"""

    column: str
    """The file's column: 0 or 1, or any number where `at_least` is given."""
    at_least: float | None = None
    """A row is clicked if its number is this or more."""


class SplitOptions(_Options):
    """[data.split]: who trains, who decides, who tests."""

    by: Literal["random", "time"] = "random"
    """`random`: shuffled by `seed`; `time`: the latest rows test, the ones before validate."""
    seed: int = Option(default=2022, ge=0)
    """Of the shuffle."""
    validation: Share = 0.1
    """Share of the rows."""
    test: Share = 0.1
    """Share of the rows."""
    column: str | None = None
    """By time: a column of numbers or ISO 8601 times."""
    validation_from: str | float | None = None
    """By time, instead of shares: rows from here on validate."""
    test_from: str | float | None = None
    """By time, instead of shares: rows from here on test."""

    @model_validator(mode="after")
    def _time_needs_a_column(self) -> SplitOptions:
        if (self.by == "time") != (self.column is not None):
            raise ValueError(f"a split by time, and only that, takes column: by is {self.by!r}, column {self.column!r}")
        if (self.validation_from is None) != (self.test_from is None):
            raise ValueError("validation_from and test_from go together")
        if self.validation_from is not None and self.by != "time":
            raise ValueError("validation_from and test_from are for a split by time")
        return self


class ItemOptions(_Options):
    """[data.item]: makes a catalogue, so that requests may name items alone."""

    field: str
    """The candidate field whose values are the items' ids."""
    changed: Literal["error", "last"] = "error"
    """What to do where an item's candidate fields differ between rows: refuse, or keep the last row's."""


class TeacherOptions(_Options):
    """[data.teachers.NAME]: what another model said of these rows."""

    column: str
    """The file's column."""
    gives: Literal["logit", "probability"]
    """What stands in it; probabilities must lie strictly between 0 and 1."""


class TableOptions(_Options):
    """[data] set = "table"."""

    name: str = Option(default="table", pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """The data set's name."""
    files: tuple[str, ...] = ()
    """Files, folders or patterns such as `clicks/*.csv.gz`, read in the order of their names; --data replaces them."""
    format: Literal["csv", "parquet"] | None = None
    """By the files' names where it is not given."""
    separator: str = Option(default=",", min_length=1, max_length=1)
    """CSV: what separates columns."""
    click: ClickOptions
    """The column that says whether a row was clicked."""
    fields: tuple[FieldOptions, ...] = Option(min_length=1)
    """The fields."""
    split: SplitOptions = SplitOptions()
    """Training, validation and test rows."""
    item: ItemOptions | None = None
    """The field that names items, if rows are about items of a catalogue."""
    group: str | None = None
    """The field within whose values rows are ranked (GAUC), a user's id say."""
    min_count: int = Option(default=1, ge=1)
    """Rows that a value needs to have an id of its own."""
    count_on: Literal["all", "train"] = "train"
    """Rows that are counted for `min_count`. The training rows by default: what serving will meet tomorrow is not in
    the log of today either, so validation then says what an unknown value costs."""
    teachers: dict[str, TeacherOptions] = {}
    """Columns of other models' logits or probabilities, by the name that the configuration gives them."""

    @model_validator(mode="after")
    def _names_fit(self) -> TableOptions:
        names = [field.name for field in self.fields]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"fields: {twice} occur more than once")
        if not any(field.role is Role.CANDIDATE for field in self.fields):
            raise ValueError(f"fields: at least one needs role 'candidate': got {names}")
        for key, wanted in (("item", self.item and self.item.field), ("group", self.group)):
            if wanted is not None and wanted not in names:
                raise ValueError(f"{key} names {wanted!r}, expected one of the fields {names}")
        return self
