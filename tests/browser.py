"""A headless Chromium for tests, spoken to over its own pipe: no WebSocket library, no port, no network.

``--remote-debugging-pipe`` makes Chromium read DevTools commands from file descriptor 3 and write answers and events to
4, each a JSON text that ends with a zero byte.
"""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

_PATIENCE_S = 60.0
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--mute-audio",
    "--remote-debugging-pipe",
)  # fmt: skip


def chromium() -> str:
    """The path of a Chromium, or the reason why a test is skipped."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    return found


class Browser:
    """One page of one Chromium; what it says on the console and what it asks for is kept."""

    def __init__(self, folder: Path) -> None:
        program = chromium()
        own_in, self._out = os.pipe()
        self._in, own_out = os.pipe()
        # Away from 3 and 4 first, or one end could overwrite the other in the child.
        child_in, child_out = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (own_in, own_out))
        self._process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
            preexec_fn=lambda: (os.dup2(child_in, 3, True), os.dup2(child_out, 4, True)),  # type: ignore[func-returns-value]
        )  # fmt: skip
        for end in (own_in, own_out, child_in, child_out):
            os.close(end)
        self._numbers = itertools.count(1)
        self._rest = b""
        self.console: list[str] = []
        self.requests: list[str] = []
        target = self.ask("Target.createTarget", {"url": "about:blank"}, page=False)["targetId"]
        attached = self.ask("Target.attachToTarget", {"targetId": target, "flatten": True}, page=False)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, parameters: dict[str, Any] | None = None, page: bool = True) -> dict[str, Any]:
        """Sends a command and waits for its answer."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters or {}}
        if page:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self, patience_s: float = _PATIENCE_S) -> dict[str, Any]:
        until = time.monotonic() + patience_s
        while b"\0" not in self._rest:
            left = until - time.monotonic()
            ready = left > 0 and select.select([self._in], [], [], left)[0]
            data = os.read(self._in, 1 << 20) if ready else b""
            if not data:
                raise TimeoutError("Chromium does not answer")
            self._rest += data
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._note(message)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        told = message.get("params", {})
        match message.get("method"):
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.console.append(" ".join(str(one.get("value")) for one in told["args"]))
            case "Runtime.exceptionThrown":
                self.console.append(json.dumps(told["exceptionDetails"]))
            case "Log.entryAdded":
                self.console.append(told["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])

    def open(self, file: Path, width: int = 1440, height: int = 900, scheme: str = "light") -> None:
        """Opens a file and waits until its script is through."""
        self.console.clear()
        self.requests.clear()
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        self.ask("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.ask("Page.navigate", {"url": file.as_uri()})
        self.wait("document.readyState === 'complete' && document.documentElement.dataset.ready === 'true'")

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        wanted = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self.ask("Runtime.evaluate", wanted)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        """Waits until an expression is true."""
        until = time.monotonic() + _PATIENCE_S
        while not self.value(expression):
            assert time.monotonic() < until, f"never true: {expression}"
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        """Clicks what a selector finds, with the mouse, where a person would."""
        self.value(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        place = self.value(
            f"(() => {{ const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.ask(
                "Input.dispatchMouseEvent",
                {"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1},
            )

    def press(self, key: str, code: int, text: str = "") -> None:
        """Presses a key."""
        pressed = {"key": key, "windowsVirtualKeyCode": code, **({"text": text} if text else {})}
        self.ask("Input.dispatchKeyEvent", {"type": "keyDown", **pressed})
        self.ask("Input.dispatchKeyEvent", {"type": "keyUp", "key": key, "windowsVirtualKeyCode": code})

    def picture(self, file: Path, clip: str = "") -> None:
        """A screenshot of what is on show, or of the element that a selector finds."""
        wanted: dict[str, Any] = {"format": "png"}
        if clip:
            box = self.value(
                f"(() => {{ const box = document.querySelector({json.dumps(clip)}).getBoundingClientRect();"
                " return [box.x + scrollX, box.y + scrollY, box.width, box.height]; })()"
            )
            wanted |= {
                "captureBeyondViewport": True,
                "clip": {"x": box[0], "y": box[1], "width": box[2], "height": box[3], "scale": 1},
            }
        file.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", wanted)["data"]))

    def close(self) -> None:
        """Ends Chromium."""
        try:
            self.ask("Browser.close", page=False)
            self._process.wait(timeout=20)
        except (TimeoutError, OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        finally:
            os.close(self._in)
            os.close(self._out)
