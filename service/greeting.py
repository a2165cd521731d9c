"""What the service says once it is ready: a curl line that works as it stands, and where the metrics are."""

from __future__ import annotations

import json
import shlex

from service import logs
from service.app import Service
from service.bundle import Bundle
from service.models import example_requests
from service.state import STUDENT

SHOWN_CANDIDATES = 3
"""Candidates in the printed curl line."""


def greeting(app: Service, url: str) -> str:
    """What to do with the service at `url`: a request to send, or the reason why it is not ready."""
    student = app.service_state.arms.get(STUDENT)
    metrics = f"metrics: {url}/metrics"
    if student is None:
        return f"not ready: {app.service_state.not_ready().detail}\n{metrics}"
    lines = [f"serving {student.model.name} on {url}", curl_line(student.model.bundle, url), metrics, f"page: {url}/"]
    lines += [f"no {arm}: {reason}" for arm, reason in app.service_state.reasons.items()]
    return "\n".join(lines)


def announced(text: str) -> str:
    """A greeting as the terminal gets it, or as one line of a log: that has no curl line, whose context is a user's."""
    form = logs.wanted()
    told = text.splitlines() if form == "text" else [line for line in text.splitlines() if not line.startswith("curl ")]
    return logs.line(form, "\n".join(told))


def curl_line(bundle: Bundle, url: str) -> str:
    """A command that asks the service at `url` for the first few candidates of the bundle's example."""
    forms = example_requests(bundle)
    request = forms.get("items") or forms["columns"]
    key = "items" if "items" in request else "candidates"
    sent = request[key]
    request[key] = (
        sent[:SHOWN_CANDIDATES]
        if isinstance(sent, list)
        else {name: column[:SHOWN_CANDIDATES] for name, column in sent.items()}
    )
    body = shlex.quote(json.dumps(request, ensure_ascii=False))
    return f"curl -s {url}/predict -H 'Content-Type: application/json' -d {body}"


def base_url(host: str, port: int) -> str:
    """The URL under which this machine reaches a service that listens on `host`."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
