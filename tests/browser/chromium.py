"""The system's Chromium, and a page in it that watches itself."""

import shutil
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import ConsoleMessage, Page, Request

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str:
    """The path of the browser. Raises AssertionError saying how to install one: without it nothing is proved."""
    for program in PROGRAMS:
        path = shutil.which(program)
        if path:
            return path
    raise AssertionError(
        f"NO BROWSER: none of {', '.join(PROGRAMS)} is on the PATH, so the live page cannot be tested. "
        "Install one: `apt-get update && apt-get install -y chromium`."
    )


@dataclass  # without slots: playwright notes the handlers on the object
class Watch:
    """What a page asked for and complained of."""

    page: Page
    host: str
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    """Addresses of other hosts that the page asked for."""

    def start(self) -> None:
        """Watches from now on."""
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", self._request)

    def assert_clean(self) -> None:
        """Nothing in the console, nothing asked of another host."""
        assert not self.complaints, f"the page complained: {self.complaints}"
        assert not self.foreign, f"the page asked another host: {self.foreign}"

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        if urlsplit(request.url).netloc != self.host:
            self.foreign.append(request.url)
