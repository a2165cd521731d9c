"""A real service on a real port, and a real Chromium that looks at its page.

The browser lives as long as one file's tests: while Playwright runs, the main thread has a running event loop, in which
the clients of other tests could not start theirs.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, Response, sync_playwright

from service.app import create_app
from service.settings import Settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
]
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
WAIT_MS = 12_000
"""Longer than a few rounds of the page's polling."""


@dataclass
class Served:
    """A service on a port of its own, which can be stopped and started again."""

    settings: Settings
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    server: uvicorn.Server | None = None
    thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.port = int(self.listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self, settings: Settings | None = None) -> None:
        """Serve, with other settings if given; the port stays the same."""
        if self.listener.fileno() == -1:
            self.listener = socket.create_server(("127.0.0.1", self.port))
        app = create_app(settings or self.settings)
        config = uvicorn.Config(
            app, http="httptools", lifespan="on", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]})
        self.thread.start()
        httpx.get(f"{self.url}/healthz", timeout=20)

    def stop(self) -> None:
        """Stop serving: whoever connects is refused."""
        if self.server is not None and self.thread is not None:
            self.server.should_exit = True
            self.thread.join(20)
        self.listener.close()
        self.server = self.thread = None

    def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a JSON body."""
        answer: dict[str, Any] = httpx.post(f"{self.url}{path}", json=body, timeout=10).json()
        return answer


@dataclass
class Watched:
    """A page, and everything it complained about or asked of other hosts."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", self._on_error)
        self.page.on("request", self._on_request)
        self.page.on("response", self._on_response)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(f"console: {message.text}")

    def _on_error(self, error: Error) -> None:
        self.complaints.append(f"error: {error}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith(self.base):
            self.complaints.append(f"another host: {request.url}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400 and "/experiment" not in response.url:
            self.complaints.append(f"{response.status}: {response.url}")


OpenPage = Callable[..., Watched]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser; without one the tests are skipped unless REQUIRE_CHROMIUM is 1."""
    if CHROMIUM is None:
        reason = "no chromium on the PATH; install one to test the page, REQUIRE_CHROMIUM=1 makes this a failure"
        if os.environ.get("REQUIRE_CHROMIUM") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def serving(settings: Settings) -> Iterator[Served]:
    """A started service, stopped at the end whatever happens."""
    served = Served(settings)
    served.start()
    try:
        yield served
    finally:
        served.stop()


@pytest.fixture(scope="session")
def served(outer_path: Path, bundles: Path) -> Iterator[Served]:
    """A DAGFM-outer with weights and a teacher, both asked a hundred times."""
    settings = Settings(student_bundle=outer_path.parent, teacher_bundle=bundles / "teacher")
    with serving(settings) as service:
        for turn in range(100):
            context = {"user": f"u{turn % 25}", "hour": turn % 24}  # five users in 25 are unknown
            body = {"context": context, "items": [f"i{i}" for i in range(1 + turn % 10)]}
            service.ask("/teacher/predict" if turn % 4 == 0 else "/predict", body)
        yield service


@pytest.fixture
def open_page(chromium: Browser, served: Served) -> Iterator[OpenPage]:
    """Opens pages; each must have complained about nothing when the test ends."""
    opened: list[Watched] = []

    def open_one(url: str | None = None, path: str = "/", **options: Any) -> Watched:
        base = url or served.url
        context = chromium.new_context(**{"viewport": DESKTOP, **options})
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        opened.append(Watched(page, base))
        page.goto(base + path)
        return opened[-1]

    yield open_one
    complaints = [complaint for watched in opened for complaint in watched.complaints]
    for watched in opened:
        watched.page.context.close()
    assert complaints == []
