"""How every process of the service logs: one handler on standard error, as text for people or as JSON for machines.

Everybody logs through the standard library, so that uvicorn, aiohttp and warnings come out in the same form; structlog
renders. A request's id is not put into each message: the middleware leaves the request's scope in a context variable,
40 ns, and only what is really logged pays for looking into it. Never logged: tokens, units, contexts, query strings.

Source: structlog, "Standard Library Logging", ProcessorFormatter.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import MutableMapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Literal, Protocol

import structlog

Format = Literal["text", "json"]
Event = MutableMapping[str, Any]

CALL_KEY = "ctr.call"
"""Where the middleware keeps a request's `Named` in its scope."""
TRACE_KEY = "ctr.trace_id"
"""Where a trace's id is kept in the scope of a request that is traced."""
CURRENT: ContextVar[MutableMapping[str, Any] | None] = ContextVar("ctr_scope", default=None)
"""The scope of the request that is being answered; copied by asyncio into tasks and by `asyncio.to_thread`."""
_LONGEST_PATH = 200
_NO_ARM = "none"

logger = logging.getLogger(__name__)


class Named(Protocol):
    """What a request is called in the logs."""

    request_id: str
    arm: str


def configure(level: str, form: Format, process: str) -> None:
    """Log from now on, unless this process logs already.

    Args:
        level: the least severe one that is logged.
        form: text or json.
        process: what this process is: service, supervisor, worker, shadow, ...
    """
    logging.basicConfig(level=level.upper(), handlers=[_handler(form, process)])
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_of_thread


def formatter(form: Format, process: str, *, colors: bool = False) -> logging.Formatter:
    """Renders records of the standard library."""
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    before: list[structlog.typing.Processor] = [
        *(_identity(process), structlog.stdlib.ExtraAdder(), _without_colors, _name_request, stamp),
        structlog.stdlib.add_log_level,
    ]
    last = (
        _as_json
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=colors, pad_event_to=0, pad_level=False, exception_formatter=structlog.dev.plain_traceback
        )
    )
    exceptions = [structlog.processors.format_exc_info] if form == "json" else [_set_in]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=before,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *exceptions, last],
    )


def wanted() -> Format:
    """The form that the environment asks for, before or without the settings being read."""
    return "json" if os.environ.get("CTR_LOG_FORMAT") == "json" else "text"


def line(form: Format, event: str, *, level: str = "info", process: str = "service") -> str:
    """A line for the terminal that is not subject to a level: the greeting, or why a start failed."""
    if form == "text":
        return event if level == "info" else f"{level}: {event}"
    record = logging.LogRecord("service", getattr(logging, level.upper()), "", 0, event, None, None)
    return formatter(form, process).format(record)


def _handler(form: Format, process: str) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(form, process, colors=sys.stderr.isatty()))
    return handler


def _identity(process: str) -> structlog.typing.Processor:
    """Adds the logger's name and which process this is."""

    def add(_logger: Any, _method: str, event: Event) -> Event:
        return {**event, "logger": event["_record"].name, "process": process, "pid": os.getpid()}

    return add


def _without_colors(_logger: Any, _method: str, event: Event) -> Event:
    """Without the second copy of the message that uvicorn adds for its own formatter."""
    event.pop("color_message", None)
    return event


def _name_request(_logger: Any, _method: str, event: Event) -> Event:
    """Adds the id, arm and path of the request during which something is logged."""
    scope = CURRENT.get()
    call: Named | None = None if scope is None else scope.get(CALL_KEY)
    if scope is None or call is None:
        return event
    event.setdefault("request_id", call.request_id)
    if call.arm != _NO_ARM:
        event.setdefault("arm", call.arm)
    event.setdefault("path", scope["path"][:_LONGEST_PATH])
    if TRACE_KEY in scope:
        event.setdefault("trace_id", scope[TRACE_KEY])
    return event


def _as_json(_logger: Any, _method: str, event: Event) -> str:
    """ASCII alone: no byte of a path or message can break a line or a terminal."""
    first = {name: event.pop(name) for name in ("timestamp", "level", "logger", "event")}
    return json.dumps({**first, **event}, default=str)


def _set_in(_logger: Any, _method: str, event: Event) -> Event:
    """What a message quotes cannot pass for a line of its own, nor move the cursor."""
    lines = str(event["event"]).split("\n")
    event["event"] = "\n    ".join(map(_printable, lines))
    return event


def _printable(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logger.critical("the process ends by an exception", exc_info=(kind, error, trace))


def _log_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not issubclass(ended.exc_type, SystemExit):
        name = "?" if ended.thread is None else ended.thread.name
        logger.critical(
            "thread %s ends by an exception", name, exc_info=(ended.exc_type, ended.exc_value, ended.exc_traceback)
        )
