"""The report of a reproduction as plain data: what `report.json` holds and the Markdown is written from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.machine import machine
from training.models.registry import build
from training.reproduce.claims import claims
from training.reproduce.measure import Figures, Measure
from training.reproduce.published import Scores
from training.reproduce.rows import Row, Table
from training.reproduce.statistics import Spread, compare
from training.study.settings import Settings

Plain = dict[str, Any]


def report(settings: Settings, tables: Sequence[Table], measure: Measure, latencies: Mapping[str, Plain]) -> Plain:
    """Everything measured so far; rows that no seed has finished are listed as missing."""
    meta = measure.store.prepared.meta
    told = {table.name: _table(settings, table, measure, latencies) for table in tables}
    return {
        "study": settings.study.name,
        "data": {key: meta[key] for key in ("name", "digest", "rows", "click_rate", "vocabulary_sizes")},
        "seeds": list(settings.study.seeds),
        "machine": machine(),
        "remark": settings.study.remark,
        "claims": claims(told, settings.data.name),
        "tables": told,
    }


def _table(settings: Settings, table: Table, measure: Measure, latencies: Mapping[str, Plain]) -> Plain:
    seeds = settings.study.seeds
    figures = {row.label: {seed: measure.figures(row, seed) for seed in seeds} for row in table.rows}
    notes = settings.notes.get(table.name, {})
    rows = [_row(row, notes.get(row.label, ""), figures, latencies, measure) for row in table.rows]
    return {"title": table.title, "note": notes.get("all", ""), "rows": rows}


def _row(
    row: Row,
    note: str,
    figures: Mapping[str, Mapping[int, Figures | None]],
    latencies: Mapping[str, Plain],
    measure: Measure,
) -> Plain:
    plain: Plain = {
        "label": row.label,
        "published": _scores(row.published),
        "published_gap": _scores(row.published_gap),
    }
    plain["note"] = note
    plain |= _costs(row, measure)
    plain["latency"] = latencies.get(row.label)
    found = {seed: each for seed, each in figures[row.label].items() if each is not None}
    plain["seeds"] = list(found)
    if not found:
        return plain
    for name in ("auc", "log_loss", "seconds", "epochs"):
        values = [getattr(each, name) for each in found.values()]
        spread = Spread.of(values)
        plain[name] = {"mean": spread.mean, "deviation": spread.deviation, "values": values}
    if row.against is not None:
        plain["against"] = _against(row.against, found, figures[row.against])
    return plain


def _against(label: str, found: Mapping[int, Figures], other: Mapping[int, Figures | None]) -> Plain | None:
    pairs = [(each, against) for seed, each in found.items() if (against := other.get(seed)) is not None]
    if not pairs:
        return None
    plain: Plain = {"label": label, "seeds": len(pairs)}
    for name in ("auc", "log_loss"):
        result = compare([getattr(ours, name) for ours, _ in pairs], [getattr(theirs, name) for _, theirs in pairs])
        plain[name] = {"difference": result.difference, "p": result.p}
    return plain


def _costs(row: Row, measure: Measure) -> Plain:
    """Parameters and FLOPs, summed over an ensemble's members."""
    sizes = measure.store.prepared.encoder.sizes
    models = [build(recipe.model.name, recipe.model.options.model_dump(), sizes) for recipe in row.members]
    return {
        "model": " + ".join(sorted({recipe.model.name for recipe in row.members})),
        "parameters": sum(model.parameter_count() for model in models),
        "interaction_parameters": sum(model.interaction_parameters() for model in models),
        "flops": sum(model.flops() for model in models),
    }


def _scores(scores: Scores | None) -> Plain | None:
    return None if scores is None else {"auc": scores.auc, "log_loss": scores.log_loss}
