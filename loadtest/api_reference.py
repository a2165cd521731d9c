"""`python -m loadtest.api_reference`: a service of its own is asked every route once, and docs/api.md written of it.

Answers are real, and so an example cannot show what no service says. What they hold depends on the bundle.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import typer

from loadtest.api_markdown import Answered, render
from loadtest.traffic.serve import Wanted, experiment_service
from service.bundle import current_version, make_current, replace_file

FIRST = (("PUT", "/experiment"), ("POST", "/predict"))
"""What is asked before everything else: the report needs an experiment, and someone who was in it."""
LAST = (("POST", "/experiment/kill"),)
_ADMIN = ("PUT /experiment", "POST /experiment/kill", "POST /models/")
_TIMEOUT_S = 60.0


class Asked(NamedTuple):
    """The service that is asked."""

    url: str
    admin_token: str
    hidden: str = ""
    """Left out of its answers: a folder that nobody else has."""


def ask_all(service: Asked) -> tuple[dict[str, Any], dict[tuple[str, str], Answered]]:
    """The service's OpenAPI document, and what it answered to each route's own example; changes its experiments."""
    document = json.loads(_get(f"{service.url}/openapi.json"))
    model = json.loads(_get(f"{service.url}/models"))["arms"]["student"]
    known = {"arm": "student", "model": "student", "version": model["version"], "name": "main.js"}
    known["field"] = model["fields"][0]["name"]
    keys = [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]
    order = [*FIRST, *(key for key in keys if key not in FIRST + LAST), *LAST]
    return document, {key: _ask(service, key, document["paths"][key[1]][key[0].lower()], known) for key in order}


def _ask(service: Asked, key: tuple[str, str], operation: Mapping[str, Any], known: Mapping[str, str]) -> Answered:
    method, template = key
    path = template.format(**known)
    headers = []
    body = _body_of(operation)
    if body is not None:
        headers.append("Content-Type: application/json")
    if f"{method} {template}".startswith(_ADMIN):
        headers.append(f"Authorization: Bearer {service.admin_token}")
    content = None if body is None else json.dumps(body).encode()
    request = Request(service.url + path, content, dict(h.split(": ") for h in headers), method=method)  # noqa: S310 - ours
    try:
        with urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
            status, kind, found = answer.status, answer.headers.get_content_type(), answer.read()
    except HTTPError as error:
        status, kind, found = error.code, error.headers.get_content_type(), error.read()
    shown = [header.replace(service.admin_token, "$CTR_ADMIN_TOKEN") for header in headers]
    return Answered(method, path, shown, body, status, _readable(kind, found.replace(service.hidden.encode(), b"")))


def _body_of(operation: Mapping[str, Any]) -> Any:
    """The JSON example of a route's body, of several the last: items, or several events."""
    described = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    examples = list(described.get("examples", {}).values())
    return examples[-1]["value"] if examples else described.get("example")


def _readable(kind: str, content: bytes) -> Any:
    if kind in {"application/json", "application/problem+json"}:
        return json.loads(content)
    return content.decode() if kind == "text/plain" else None


def _get(url: str) -> bytes:
    with urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - ours
        found: bytes = answer.read()
    return found


def _copied(root: Path, to: Path) -> Path:
    """A bundle's version that is current, alone under a root of its own: /rollback is asked too, and finds none."""
    version = current_version(root)
    if version is None:
        raise typer.BadParameter(f"{root}: no version is current; run `make train` or give a bundle's folder")
    shutil.copytree(root / version, to / root.name / version)
    make_current(to / root.name, version)
    return to / root.name


def main(
    student_bundle: Annotated[Path, typer.Option(help="Bundle of the student.")] = Path("bundles/student"),
    teacher_bundle: Annotated[Path, typer.Option(help="Bundle of the teacher.")] = Path("bundles/teacher"),
    out: Annotated[Path, typer.Option(help="Where the reference goes.")] = Path("docs/api.md"),
) -> None:
    """Write the API reference."""
    with tempfile.TemporaryDirectory() as folder:
        copies = [_copied(root, Path(folder) / "bundles") for root in (student_bundle, teacher_bundle)]
        wanted = Wanted(student=copies[0], teacher=copies[1])
        with experiment_service(wanted, Path(folder)) as served:
            document, answers = ask_all(Asked(served.url, served.admin_token, hidden=f"{folder}/"))
    replace_file(out, render(document, answers).encode())
    typer.echo(f"{out}: {len(answers)} routes")


if __name__ == "__main__":
    typer.run(main)
