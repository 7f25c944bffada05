"""A headless Chromium that a test opens pages in, spoken to over DevTools' own pipe: what it lays out is what a reader sees."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from servers import UnavailableError

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
         "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")  # fmt: skip

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
    "--remote-debugging-pipe",
)  # fmt: skip
_THEIR_INPUT, _THEIR_OUTPUT = 3, 4
"""The file descriptors on which Chromium listens and speaks."""


class Page:
    """One tab. Sizes are in CSS pixels."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to_browser = to_browser
        self._from_browser = from_browser
        self._read = b""
        self._last_id = 0
        self._session = ""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable")
        self._frame = self._call("Page.getFrameTree")["frameTree"]["frame"]["id"]

    def show(self, html: str, *, width: int, phone: bool = False) -> None:
        """Lay ``html`` out ``width`` wide and as high as it gets."""
        self._resize(width, 800, phone)
        self._call("Page.setDocumentContent", frameId=self._frame, html=html)
        self._resize(width, int(self.ask("Math.ceil(document.documentElement.scrollHeight)")), phone)

    def go(self, url: str, *, width: int) -> None:
        """Open an address, wait until all of it is there, and lay it out ``width`` wide and as high as it gets."""
        self._resize(width, 800, False)
        self._call("Page.navigate", url=url)
        self._wait_for("Page.loadEventFired")
        self._resize(width, int(self.ask("Math.ceil(document.documentElement.scrollHeight)")), False)

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self) -> bytes:
        """What is shown, as a PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def _resize(self, width: int, height: int, phone: bool) -> None:
        scale = 2 if phone else 1
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone)

    # -- the pipe --------------------------------------------------------------------------------------------------------------

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": params} | ({"sessionId": self._session} if self._session else {})
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to_browser, data) :]
        while True:
            answer = self._next()
            if answer.get("id") == self._last_id:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result

    def _wait_for(self, event: str) -> None:
        while self._next().get("method") != event:
            pass

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            part = os.read(self._from_browser, 1 << 20)
            assert part, "Chromium has ended"
            self._read += part
        message, _, self._read = self._read.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


def binary() -> str:
    """A Chromium or Chrome of this machine; ``KAYAN_TEST_CHROMIUM`` names another. Raises UnavailableError."""
    for name in filter(None, (os.environ.get("KAYAN_TEST_CHROMIUM"), *NAMES)):
        if found := shutil.which(name):
            return found
    raise UnavailableError("no Chromium: install chromium-headless-shell, chromium or Chrome, or set KAYAN_TEST_CHROMIUM to one")


@contextlib.contextmanager
def page() -> Iterator[Page]:
    """A browser with one page, gone at the end."""
    program = binary()
    theirs_to_read, to_browser = (_high(end) for end in os.pipe())
    from_browser, theirs_to_write = (_high(end) for end in os.pipe())

    def hand_over() -> None:
        os.dup2(theirs_to_read, _THEIR_INPUT)
        os.dup2(theirs_to_write, _THEIR_OUTPUT)

    with tempfile.TemporaryDirectory(prefix="kayan-chromium-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={profile}"], preexec_fn=hand_over, pass_fds=(_THEIR_INPUT, _THEIR_OUTPUT),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"HOME": profile},
        )  # fmt: skip
        os.close(theirs_to_read)
        os.close(theirs_to_write)
        try:
            yield Page(to_browser, from_browser)
        finally:
            process.kill()
            process.wait()
            os.close(to_browser)
            os.close(from_browser)


def _high(descriptor: int) -> int:
    """The same under a number that is not one of Chromium's."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    finally:
        os.close(descriptor)


def write_picture(page: Page, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(page.picture())
