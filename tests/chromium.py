"""Drives headless Chromium over its DevTools pipe, with the standard library: opens and measures a page."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_SECONDS = 60.0
_AS_THREE_AND_FOUR = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find_chromium() -> str | None:
    """Return the path of a Chromium on this machine, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass
class Page:
    """What happened while a page was open: its errors and warnings, and requests other than for itself."""

    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class Chromium:
    """A running browser with one tab; see `open_chromium`."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._numbers = count(1)
        self._rest = b""
        self._events: list[dict[str, Any]] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the tab's answer to a DevTools command."""
        return self._call(method, session=self._session, **parameters)

    def show(self, address: str, *, width: int, height: int = 900, dark: bool = False) -> Page:
        """Open ``address`` in a window of ``width`` CSS pixels and wait until it has loaded."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        mobile = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )
        self._events.clear()
        self.call("Page.navigate", url=address)
        deadline = time.monotonic() + _SECONDS
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._events.append(self._message(deadline))
        time.sleep(0.2)  # wait for what a script starts after loading
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return self._what_happened(address)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Write a PNG of the page, all of it or only what the window shows."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _what_happened(self, address: str) -> Page:
        page = Page()
        for event in self._events:
            method, told = event["method"], event["params"]
            if method == "Network.requestWillBeSent" and told["request"]["url"] != address:
                page.requests.append(told["request"]["url"])
            elif method == "Runtime.exceptionThrown":
                page.complaints.append(json.dumps(told["exceptionDetails"]))
            elif method == "Log.entryAdded" or (
                method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert")
            ):
                page.complaints.append(json.dumps(told))
        # Pictures embedded in the page are not requests.
        page.requests = [url for url in page.requests if not url.startswith("data:")]
        return page

    def _call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + _SECONDS
        while True:
            answer = self._message(deadline)
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            if "method" in answer:
                self._events.append(answer)

    def _message(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(self._read, 2**20) if ready else b""
            if not piece:
                raise TimeoutError("Chromium does not answer")
            self._rest += piece
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)


@contextmanager
def open_chromium(program: str) -> Iterator[Chromium]:
    """Start a browser with its own folder, and stop it at the end."""
    to_browser, write = os.pipe()
    read, from_browser = os.pipe()
    # Chromium reads commands from descriptor 3 and answers on 4. A Python process in between moves
    # its own descriptors there, since in this process 3 and 4 may already be in use.
    inside, outside = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser, from_browser))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", _AS_THREE_AND_FOUR, str(inside), str(outside)),
                *(program, *_FLAGS, f"--user-data-dir={folder}", "about:blank"),
            ],
            pass_fds=(inside, outside),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (to_browser, from_browser, inside, outside):
            os.close(end)
        try:
            yield Chromium(write, read)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(write)
            os.close(read)
