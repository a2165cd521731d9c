"""The port to listen on, arms that other services answer for, the collector of traces."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from service.bundle import Bundle, BundleError, read_bundle
from service.doctor.clock import skew
from service.doctor.finding import Finding, Subject, ok, problem, warning
from service.doctor.holders import holders
from service.greeting import base_url
from service.remote import SHOWN, is_url

WAIT_S = 3.0
"""Seconds in which something on the network must answer."""
_REFUSED = 400


class Answer(NamedTuple):
    """What an HTTP server said."""

    status: int
    content: bytes
    date_s: float | None
    """Its Date header, seconds since 1970."""
    asked_s: float
    """The middle between asking and hearing, by the clock here."""


def port(subject: Subject) -> Iterator[Finding]:
    """Whether the ports are free, or who has them."""
    settings = subject.settings
    for number in (settings.port, settings.admin_port):
        if number is not None:
            yield _port(subject, number)


def _port(subject: Subject, number: int) -> Finding:
    settings = subject.settings
    check = f"port {number}"
    if number == 0:
        return ok(check, "a free one is chosen at the start")
    try:
        with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, number))
            probe.listen(1)
    except OSError as error:
        return _taken(subject, number, error)
    return ok(check, f"free on {settings.host}")


def _taken(subject: Subject, number: int, error: OSError) -> Finding:
    settings = subject.settings
    check = f"port {number}"
    ours = _service_at(base_url(settings.host, number))
    if ours is not None:
        return ok(check, f"this service answers there already: {ours}")
    who = ", ".join(holders(number, subject.root)) or "nobody this user may see"
    found = f"{error.strerror or error} on {settings.host}; listening: {who}"
    return problem(check, found, "free", "stop what uses it, or give another CTR_PORT, CTR_ADMIN_PORT or CTR_HOST")


def _service_at(url: str) -> str | None:
    """What a service of this kind says at `url`, None where there is another or none."""
    try:
        said = json.loads(_ask(f"{url}/readyz").content)
    except (OSError, HTTPException, ValueError):
        return None
    if not isinstance(said, dict):
        return None
    return f"ready, {said['arms']}" if "arms" in said else said.get("detail")


def arms(subject: Subject) -> Iterator[Finding]:
    """Every arm elsewhere, asked for the student's own example."""
    remotes = {name: where for name, where in subject.settings.arms.items() if is_url(where)}
    if not remotes:
        return
    try:
        bundle = read_bundle(subject.settings.student_bundle)
    except BundleError as error:
        yield problem("arms elsewhere", f"not asked: {error}", "a student's bundle", "give a good student first")
        return
    for name, url in remotes.items():
        yield from _arm(name, url, bundle)


def _arm(name: str, url: str, bundle: Bundle) -> Iterator[Finding]:
    example = {"context": bundle.example["context"], "candidates": bundle.example["candidates"]}
    check, expected = f"arm {name}", f"{len(bundle.example['probabilities'])} probabilities"
    todo = "start that service, or correct its URL in CTR_ARMS"
    try:
        answer = _ask(url, json.dumps(example).encode())
    except (OSError, HTTPException) as error:
        yield problem(check, f"{url}: {_why(error)}", expected, todo)
        return
    got = _probabilities(answer.content)
    if answer.status >= _REFUSED or got != len(bundle.example["probabilities"]):
        shown = answer.content[:SHOWN].decode("utf-8", "replace")
        yield problem(check, f"{url}: HTTP {answer.status}: {shown}", expected, "give it a bundle of the same schema")
    else:
        yield ok(check, f"{url} answers the student's example")
    if answer.date_s is not None:
        yield skew(check, answer.date_s + 0.5, answer.asked_s, 0.5)  # a date is cut to whole seconds
    yield from _fields(check, url, bundle)


def _fields(check: str, url: str, bundle: Bundle) -> Iterator[Finding]:
    """Whether its model has the student's fields, where it is a service that says."""
    here = [(field.name, field.role.value) for field in bundle.schema.fields]
    parts = urlsplit(url)
    try:
        said = json.loads(_ask(f"{parts.scheme}://{parts.netloc}/models").content)["arms"]
        there = [(field["name"], field["role"]) for field in next(iter(said.values()))["fields"]]
    except (OSError, HTTPException, ValueError, LookupError, TypeError, StopIteration, AttributeError):
        return
    if there == here:
        yield ok(f"schema of {check}", f"the student's {len(here)} fields")
    else:
        differ = sorted({name for name, _ in {*here} ^ {*there}}) or ["their order"]
        todo = "export both bundles from the same data"
        yield warning(f"schema of {check}", f"differs in {', '.join(differ)}", "the student's fields", todo)


def collector(subject: Subject) -> Iterator[Finding]:
    """Whether something listens where traces go; without it requests are answered all the same."""
    url = urlsplit(subject.settings.traces)
    if not url.hostname:
        yield ok("traces", "off: CTR_TRACES is empty")
        return
    where = (url.hostname, url.port or {"http": 80, "https": 443}[url.scheme])
    try:
        socket.create_connection(where, WAIT_S).close()
    except OSError as error:
        found = f"{where[0]} port {where[1]}: {error.strerror or error}"
        yield warning("traces", found, "a collector that listens", "start it, or correct CTR_TRACES; spans are dropped")
    else:
        yield ok("traces", f"a collector listens at {where[0]} port {where[1]}")


def _ask(url: str, body: bytes | None = None) -> Answer:
    """An answer, whatever its status; raises OSError or HTTPException where there is none."""
    began = time.time()
    try:
        request = Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - the settings' own URL
        with urlopen(request, timeout=WAIT_S) as response:  # noqa: S310 - as above
            status, content, date = response.status, response.read(), response.headers["Date"]
    except HTTPError as error:
        status, content, date = error.code, error.read(), error.headers["Date"]
    ended = time.time()
    sent = None if date is None else parsedate_to_datetime(date).timestamp()
    return Answer(status, content, sent, (began + ended) / 2)


def _probabilities(content: bytes) -> int | None:
    try:
        said: Any = json.loads(content)
        return len(said["probabilities"])
    except (ValueError, LookupError, TypeError):
        return None


def _why(error: Exception) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    return f"{getattr(reason, 'strerror', None) or reason}"
