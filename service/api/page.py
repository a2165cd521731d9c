"""GET / and /web/{name}: the page that shows the service at work, from files that are read once.

A path from a request only ever looks a name up in a mapping. The page loads nothing from anywhere else and runs no
inline script or style, and its Content-Security-Policy lets the browser enforce that.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response

from service.api import openapi
from service.api.problems import Problem, ProblemError, shown

INDEX = "index.html"
FILE_PATH = "/web/{name}"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Suffix → media type of the files there are."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing inline, nothing from elsewhere, no frame around it, no text ever made into markup."""

_NAME = {"name": "name", "in": "path", "required": True, "description": "A file's name.", "schema": {"type": "string"}}
_FILES = Path(__file__).parents[1] / "web"
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",  # kept by the browser, asked for again with the ETag: an update shows at once
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One static file."""

    content: bytes
    media_type: str
    etag: str

    @classmethod
    def read(cls, path: Path) -> PageFile:
        """The file at `path`; its ETag is its digest."""
        content = path.read_bytes()
        return cls(content, TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')

    def response(self, request: Request) -> Response:
        """The file, or 304 to a browser that has it."""
        headers = {**_HEADERS, "etag": self.etag}
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if self.etag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers=headers, media_type=self.media_type)


def read_files() -> dict[str, PageFile]:
    """Name → file, for every static file of the page."""
    return {path.name: PageFile.read(path) for path in sorted(_FILES.iterdir()) if path.suffix in TYPES}


def add_page_routes(router: APIRouter) -> None:
    """GET / and GET /web/{name}."""
    files = read_files()

    @router.get("/", summary="A page that shows the service at work", response_class=Response)
    async def page(request: Request) -> Response:
        return files[INDEX].response(request)

    @router.get(
        FILE_PATH,
        summary="A file of the page",
        response_class=Response,
        openapi_extra={"parameters": [_NAME]},
        responses=openapi.problem_responses(404),
    )
    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        found = files.get(name)
        if found is None:
            raise ProblemError(Problem.NOT_FOUND, f"the page has no file {shown(name)}; / is the page")
        return found.response(request)
