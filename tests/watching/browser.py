"""A real browser without a window: Debian's chromium, driven over its debugging protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from tornado.websocket import WebSocketClientConnection, websocket_connect

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
_START_S = 30


class Browser:
    """One tab; made by :func:`browsing`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = asyncio.new_event_loop()
        pages = requests.get(f"http://127.0.0.1:{port}/json/list", timeout=30).json()
        url = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self._socket = self._loop.run_until_complete(_connect(url))
        self._number = 0
        self.log: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result; keep what the page complains of."""
        return self._loop.run_until_complete(self._call(method, parameters))

    async def _call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters}
        await self._socket.write_message(json.dumps(message))
        while True:
            answer = json.loads(await asyncio.wait_for(self._socket.read_message(), 60))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self._hear(answer)

    def _hear(self, event: dict[str, Any]) -> None:
        details = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.log.append(json.dumps(details["exceptionDetails"])[:500])
        elif event.get("method") == "Log.entryAdded" and details["entry"]["level"] == "error":
            self.log.append(f"{details['entry']['text']} {details['entry'].get('url', '')}")

    def size(self, width: int, height: int) -> None:
        """Set the size of the window in pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def dark(self, on: bool) -> None:
        """Prefer a dark theme, or a light one."""
        feature = {"name": "prefers-color-scheme", "value": "dark" if on else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def open(self, url: str) -> None:
        """Go to a page, and wait until Bokeh has drawn it."""
        self.call("Page.navigate", url=url)
        self.wait(
            "window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle"
            f" && location.href.startsWith({json.dumps(url[:20])})"
        )

    def evaluate(self, script: str) -> Any:
        """Return what a script in the page gives, or what its promise comes to."""
        result = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, script: str, seconds: float = 30) -> Any:
        """Wait until a script gives something true."""
        end = time.monotonic() + seconds
        while not (found := self.evaluate(script)):
            assert time.monotonic() < end, f"it did not become true: {script}; {self.log}"
            time.sleep(0.1)
        return found

    def picture(self, path: Path) -> None:
        """Write a picture of the window to a PNG file."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """Leave the tab."""
        self._loop.run_until_complete(self._leave())
        self._loop.close()

    async def _leave(self) -> None:
        self._socket.close()
        await asyncio.sleep(0.05)


async def _connect(url: str) -> WebSocketClientConnection:
    return await websocket_connect(url, max_message_size=2**28)


@contextlib.contextmanager
def browsing() -> Iterator[Browser]:
    """Yield a browser with a profile of its own."""
    program = shutil.which("chromium")
    assert program, "this test needs Debian's chromium: apt-get install chromium"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            browser = Browser(_port(Path(profile, "DevToolsActivePort")))
            try:
                yield browser
            finally:
                browser.close()
        finally:
            process.terminate()
            process.wait(30)


def _port(path: Path) -> int:
    """Return the port that a browser writes to a file once it listens there."""
    end = time.monotonic() + _START_S
    while not (path.exists() and (lines := path.read_text().split())):
        assert time.monotonic() < end, "chromium did not start"
        time.sleep(0.05)
    return int(lines[0])
