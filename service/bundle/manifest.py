"""manifest.json: what a bundle says about itself, written by export and read strictly by the service."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from service.bundle.embedding import STORED_AS
from service.bundle.errors import BundleError

FORMAT_VERSION = 4
Part = TypeVar("Part")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Flops:
    """Multiplications per candidate (a multiply-add counts once, the convention of KD-DAGFM's Table 3)."""

    effective: float
    """What the model's equations need for one full row."""
    executed: float
    """What the exported graph runs per candidate at `candidates`, its share of the context work included."""
    candidates: int
    """The N at which `executed` holds."""
    once: float = 0.0
    """What the graph runs once per request, whatever its N: the context's part."""

    def __post_init__(self) -> None:
        # Every answer adds them to a counter, and a counter takes no negative and no infinite number.
        if not all(0 <= count < math.inf for count in (self.effective, self.executed, self.once)):
            raise BundleError(f"manifest.json: {self}, expected finite counts of at least 0; export again")

    def of_request(self, candidates: int) -> float:
        """Multiplications the graph runs for one request of N candidates."""
        return self.once + candidates * (self.executed - self.once / self.candidates)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """probability = sigmoid(slope · logit + intercept); the identity unless a calibration was fitted."""

    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        if not all(abs(value) <= sys.float_info.max for value in (self.slope, self.intercept)):
            raise BundleError(f"manifest.json: calibration is {self}, expected finite numbers")


@dataclass(frozen=True, kw_only=True)
class Graph:
    """The exported graph: which equivalent form was kept, and what each form took."""

    form: str
    opset: int
    timings_us: dict[str, dict[str, float]]
    """Form → N → median microseconds of one run, one thread, on the exporting machine."""
    small_form: str = ""
    """The form of model_small.onnx, which answers small requests; empty where the bundle has no such file."""
    small_up_to: int = 0
    """Most candidates of a request that model_small.onnx answers; 0 where there is none."""

    def __post_init__(self) -> None:
        if self.small_up_to < 0 or bool(self.small_form) != bool(self.small_up_to):
            raise BundleError(
                f"manifest.json: graph.small_form is {self.small_form!r} and small_up_to {self.small_up_to}, "
                "expected a form and at least 1, or '' and 0; export again"
            )

    def form_for(self, candidates: int) -> str:
        """The form that answers a request of N candidates."""
        return self.small_form if candidates <= self.small_up_to else self.form


@dataclass(frozen=True, kw_only=True)
class StoredTable:
    """How the embedding table is stored, and what of the trained model's quality that costs."""

    stored_as: str
    """`float32`, `float16` or `int8`."""
    bytes: int
    """Of rows and scales."""
    bytes_as_float32: int
    auc_change: float = 0.0
    """AUC on the validation rows: with the stored table minus with the trained one."""
    log_loss_change: float = 0.0

    def __post_init__(self) -> None:
        if self.stored_as not in STORED_AS or not (math.isfinite(self.auc_change + self.log_loss_change)):
            raise BundleError(f"manifest.json: {self}, expected one of {STORED_AS} and finite changes; export again")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything about a bundle that is not its weights.

    Raises:
        BundleError: a name or version that could not stand in a URL or a path.
    """

    name: str
    version: str
    architecture: str
    schema_digest: str
    parameters: int
    flops: Flops
    graph: Graph
    calibration: Calibration
    metrics: dict[str, float]
    """Offline metrics, e.g. test_auc, test_log_loss."""
    lineage: dict[str, Any]
    """Recipe, digest of the data, teacher, time of export: how to make this again."""
    embedding: StoredTable | None = None
    """None if the graph holds its table itself."""
    files: dict[str, str]
    """File name → sha256, every file of the bundle but this one."""
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        for key, value in (("name", self.name), ("version", self.version)):
            if not NAME.fullmatch(value):
                raise BundleError(f"manifest.json: {key} is {value!r}, expected to match {NAME.pattern}")

    @property
    def model(self) -> str:
        """`name@version`, as every answer names it."""
        return f"{self.name}@{self.version}"

    def to_json(self) -> dict[str, Any]:
        """The manifest as it stands in manifest.json."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, described: Any) -> Manifest:
        """Inverse of `to_json`; raises BundleError on a missing, unknown or mistyped key or another format."""
        found = described.get("format_version") if isinstance(described, Mapping) else None
        if found != FORMAT_VERSION:
            raise BundleError(f"manifest.json: format_version is {found!r}, expected {FORMAT_VERSION}; export again")
        parts = {"flops": Flops, "graph": Graph, "calibration": Calibration}
        if isinstance(described, Mapping) and described.get("embedding") is not None:
            parts["embedding"] = StoredTable
        values = {key: _read(parts[key], value, key) if key in parts else value for key, value in described.items()}
        return _read(cls, values, "manifest")


_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "Flops": (Flops,),
    "Graph": (Graph,),
    "Calibration": (Calibration,),
    "StoredTable | None": (StoredTable, type(None)),
}


def _read(part: type[Part], described: Any, where: str) -> Part:
    """An instance of the dataclass `part` from JSON, every key present, known and of its type."""
    expected = {field.name: str(field.type) for field in dataclasses.fields(part)}  # type: ignore[arg-type]
    if not isinstance(described, Mapping) or set(described) != set(expected):
        got = sorted(described) if isinstance(described, Mapping) else described
        raise BundleError(f"manifest.json: {where} has {got!r}, expected the keys {sorted(expected)}")
    for key, type_name in expected.items():
        types = _JSON_TYPES.get(type_name, (dict,))
        if not isinstance(described[key], types) or isinstance(described[key], bool):
            raise BundleError(f"manifest.json: {where}.{key} is {described[key]!r:.80}, expected {type_name}")
    return part(**described)
