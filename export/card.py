"""MODEL_CARD.md: what a bundle is, in a page, from the manifest's own numbers."""

from __future__ import annotations

from collections.abc import Sequence

from service.bundle import Field, Manifest, StoredTable

_TEMPLATE = """# {model}

{architecture} for click-through-rate prediction: one context and N candidates in, N click probabilities out.

| | |
|---|---|
| fields | {fields} |
| parameters | {parameters:,} |
| FLOPs per candidate | {effective:,.0f} effective, {executed:,.0f} executed at N = {candidates} (multiplications) |
| serving form | {form} |
| embedding table | {table} |
| data | {data} |
| digest of the data | `{digest}` |
| checkpoint | `{checkpoint}` |

## Measured offline

{metrics}

## Meant for

Ranking candidates of the catalogue it was trained with. Values outside its vocabularies are scored with the mean
embedding of their field. Probabilities are calibrated as well as the table above says, on data like its own.

## Made by

{recipe}
"""


def _table(stored: StoredTable | None) -> str:
    if stored is None:
        return "inside the graph"
    if stored.stored_as == "float32":
        return f"float32, {stored.bytes:,} bytes"
    return (
        f"{stored.stored_as}, {stored.bytes:,} bytes ({stored.bytes_as_float32:,} as float32); changes the validation "
        f"AUC by {stored.auc_change:+.6f} and the log loss by {stored.log_loss_change:+.6f}; the metrics below are "
        "those of the float32 table"
    )


def model_card(manifest: Manifest, fields: Sequence[Field]) -> str:
    """The card of a bundle, Markdown."""
    rows = [f"| {name} | {value:.5f} |" for name, value in manifest.metrics.items()]
    recipe = [f"    [{section}] {options}" for section, options in manifest.lineage["recipe"].items()]
    return _TEMPLATE.format(
        model=manifest.model,
        architecture=manifest.architecture,
        fields=", ".join(f"{field.name} ({field.role.value})" for field in fields),
        parameters=manifest.parameters,
        effective=manifest.flops.effective,
        executed=manifest.flops.executed,
        candidates=manifest.flops.candidates,
        form=manifest.graph.form,
        table=_table(manifest.embedding),
        data=manifest.lineage["data"]["name"],
        digest=manifest.lineage["data"]["digest"],
        checkpoint=manifest.lineage["checkpoint"],
        metrics="\n".join(["| metric | value |", "|---|---|", *rows]),
        recipe="\n".join(recipe),
    )
