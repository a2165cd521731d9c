"""What is installed and built here."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from service.doctor.finding import Finding, Subject, ok, problem, warning

EXTRAS = {"postgres": "psycopg", "otel": "opentelemetry.exporter.otlp", "parquet": "pyarrow", "objects": "fsspec"}
"""Extra → a module that only it brings."""


def interpreter(_subject: Subject) -> Iterator[Finding]:
    """Python and the server's fast parts, which uvicorn would silently go without."""
    yield ok("python", f"{platform.python_version()} on {platform.machine()}")
    for name in ("uvloop", "httptools"):
        if find_spec(name) is None:
            yield problem(name, "not installed", "installed: the server is started with it", f"pip install {name}")
        else:
            yield ok(name, version(name))


def extensions(_subject: Subject) -> Iterator[Finding]:
    """The C extensions: without them the same answers, later."""
    for name, without in (("_dagfm", "onnxruntime scores"), ("_encode", "values are looked up in Python")):
        check = f"C extension {name}"
        try:
            module = import_module(f"service.native.{name}")
        except ImportError as error:
            todo = "install a C compiler (gcc or clang) and pip install . again"
            yield warning(check, f"not built, {without}: {error}", "built", todo)
        else:
            levels = f": {', '.join(module.levels())}" if hasattr(module, "levels") else ""
            yield ok(check, f"built{levels}")


def extras(subject: Subject) -> Iterator[Finding]:
    """Optional parts: a problem only where the settings need one."""
    settings = subject.settings
    needed = {
        "postgres": settings.events.startswith(("postgres:", "postgresql:")),
        "otel": bool(settings.traces),
    }
    for extra, module in EXTRAS.items():
        check = f"extra {extra}"
        if _is_there(module):
            yield ok(check, _installed(module))
        elif needed.get(extra, False):
            yield problem(check, "not installed", "installed: the settings need it", f"pip install '.[{extra}]'")
        else:
            yield ok(check, "not installed, not needed")


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even its parent
        return False


def _installed(module: str) -> str:
    distribution = {"opentelemetry.exporter.otlp": "opentelemetry-exporter-otlp-proto-http"}.get(module, module)
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return "installed"
