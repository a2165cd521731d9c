"""The API reference as Markdown: routes with their parameters, bodies, answers and errors, then types and problems.

Made from the OpenAPI document and from what a service answered, and from nothing else: what is missing here is missing
there. Viewers that render OpenAPI in a browser load their scripts from elsewhere; this can be read in a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GROUPS = (
    ("Predictions", ("/predict", "/student/", "/teacher/")),
    ("Feedback", ("/feedback",)),
    ("Experiments", ("/experiment",)),
    ("Models", ("/models",)),
    ("Open Inference Protocol v2", ("/v2",)),
    ("Operation", ("/healthz", "/readyz", "/metrics")),
    ("Page", ("/",)),
)
"""Heading → what its paths begin with; a path stands under the first that fits."""
INTRODUCTION = """\
# API reference

Made by `make api-docs` from `GET /openapi.json` and from what a service over MovieLens-1M answered; do not edit. Long
lists are cut with `"…"`. How to call it well: [for ranking engineers](ranking-engineer.md).
"""
_JSON = "application/json"
_MOST_MEMBERS = 3
_MOST_LINES = 8
_DEEPEST = 4
_WIDTH = 118


@dataclass(frozen=True)
class Answered:
    """One request and its answer, for the reference."""

    method: str
    path: str
    """With the values of its parameters."""
    headers: Sequence[str]
    body: Any
    """JSON, or None."""
    status: int
    answer: Any
    """Parsed JSON, or text; None where the answer is of no use to a reader."""


def render(document: Mapping[str, Any], answers: Mapping[tuple[str, str], Answered]) -> str:
    """The whole reference; `answers` by method in capitals and the path's template."""
    operations = [(m.upper(), path, o) for path, methods in document["paths"].items() for m, o in methods.items()]
    lines = [INTRODUCTION]
    for heading, _ in GROUPS:
        lines.append(f"\n## {heading}\n")
        for method, path, operation in operations:
            if next(group for group, of in GROUPS if path.startswith(of)) == heading:
                lines += _operation(method, path, operation, answers.get((method, path)))
    lines += _types(document["components"]["schemas"])
    lines += _problems(operations)
    return "\n".join(lines).rstrip() + "\n"


def _operation(method: str, path: str, operation: Mapping[str, Any], answered: Answered | None) -> Iterator[str]:
    yield f"### {method} {path}\n"
    yield f"{operation['summary']}."
    if description := operation.get("description"):
        yield f"\n{' '.join(description.split())}"
    if parameters := operation.get("parameters"):
        yield "\n| parameter | in | type | meaning |\n|---|---|---|---|"
        for one in parameters:
            meaning = one.get("description") or f"`{one.get('example', one['name'])}`"
            yield f"| `{one['name']}` | {one['in']} | {_type(one['schema'])} | {_cell(meaning)} |"
    yield from _bodies("Takes", operation.get("requestBody", {}).get("content", {}))
    yield from _bodies("Answers", operation["responses"].get("200", {}).get("content", {}))
    if answered is not None:
        yield from _example(answered)
    refusals = [status for status in operation["responses"] if status != "200"]
    if refusals:
        yield f"\nErrors: {', '.join(refusals)}; see [problems](#problems)."
    yield ""


def _bodies(verb: str, content: Mapping[str, Any]) -> Iterator[str]:
    for kind, described in content.items():
        schema = described.get("schema", {})
        known = schema.get("$ref")
        yield f"\n{verb} `{kind}`{f': {_type(schema)}.' if known else '.'}"


def _example(answered: Answered) -> Iterator[str]:
    yield "\n```http"
    yield "\n".join([f"{answered.method} {answered.path}", *answered.headers])
    if answered.body is not None:
        yield f"\n{written(shortened(answered.body))}"
    yield "```\n"
    if answered.answer is None:
        return
    if isinstance(answered.answer, str):
        yield "```text\n" + "\n".join(answered.answer.splitlines()[:_MOST_LINES]) + "\n…\n```"
    else:
        yield "```json\n" + written(shortened(answered.answer)) + "\n```"


def shortened(value: Any, depth: int = 0) -> Any:
    """JSON whose lists end with … after a few members, and that is … where it goes deep."""
    if depth > _DEEPEST and isinstance(value, dict | list) and value:
        return "…"
    if isinstance(value, dict):
        return {key: shortened(member, depth + 1) for key, member in value.items()}
    if isinstance(value, list):
        rest = ["…"] if len(value) > _MOST_MEMBERS else []
        return [shortened(member, depth + 1) for member in value[:_MOST_MEMBERS]] + rest
    return value


def written(value: Any, indent: str = "") -> str:
    """JSON with what fits on a line on one line."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(flat) <= _WIDTH or not isinstance(value, dict | list) or not value:
        return flat
    deeper = indent + "  "
    if isinstance(value, list):
        members, (left, right) = [written(member, deeper) for member in value], "[]"
    else:
        members = [f"{json.dumps(key)}: {written(member, deeper)}" for key, member in value.items()]
        left, right = "{}"
    separator = f",\n{deeper}"
    return f"{left}\n{deeper}{separator.join(members)}\n{indent}{right}"


def _types(schemas: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Types\n"
    for name in sorted(schemas):
        schema = schemas[name]
        yield f"### {name}\n"
        yield _cell(schema.get("description", "")) or _type(schema)
        if alternatives := schema.get("anyOf"):
            yield f"\n{' or '.join(map(_type, alternatives))}."
        if members := schema.get("properties"):
            yield "\n| member | type | meaning |\n|---|---|---|"
            required = schema.get("required", [])
            for member, of in members.items():
                must = "" if member in required else ", optional"
                yield f"| `{member}` | {_type(of)}{must} | {_cell(of.get('description', ''))} |"
        yield ""


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}" if "items" in schema else "list"
    values = schema.get("additionalProperties")
    if schema.get("type") == "object" and isinstance(values, dict):
        return f"object of {_type(values)}"
    return str(schema.get("type", "any"))


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _problems(operations: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Iterator[str]:
    """Every problem type that an operation documents."""
    responses = [response for _, _, operation in operations for response in operation["responses"].values()]
    contents = [response.get("content", {}).get("application/problem+json", {}) for response in responses]
    examples = [pair for content in contents for pair in content.get("examples", {}).items()]
    known = {slug: (example["value"]["status"], example["summary"]) for slug, example in examples}
    yield "\n## Problems\n"
    yield "The last word of an error's `type`, after `urn:problem-type:ctr:`. Under `/v2` an error is"
    yield '`{"error": detail}`, and what is 422 elsewhere is 400.\n'
    yield "| problem | status | meaning |\n|---|---|---|"
    for slug, (status, title) in sorted(known.items(), key=lambda item: (item[1][0], item[0])):
        yield f"| `{slug}` | {status} | {title} |"
