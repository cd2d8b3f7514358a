"""How long a page's own thread works at a stretch, by the trace of Chromium's developer tools.

Counted is the thread's processor time, which is about the same on a busy machine.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

_TASKS: Final = "disabled-by-default-devtools.timeline"
_MARKS: Final = "blink.user_timing"
_MARK: Final = "performance.mark('traced')"
_WAIT_S: Final = 300


def longest_task_ms(page: WebDriver, act: Callable[[], None]) -> float:
    """Return the longest task of the page's thread while something is done, in milliseconds.

    Args:
        page: What is shown when all is done has to be of the same origin as before.
        act: Does it, and waits until it is done.
    """
    from websocket import create_connection  # Selenium brings it

    address = page.capabilities["goog:chromeOptions"]["debuggerAddress"]
    with urllib.request.urlopen(f"http://{address}/json/version") as answer:
        url = json.load(answer)["webSocketDebuggerUrl"]
    socket = create_connection(url, timeout=_WAIT_S, suppress_origin=True)
    try:
        kinds = {"includedCategories": [_TASKS, _MARKS], "excludedCategories": ["*"]}
        socket.send(_command("Tracing.start", traceConfig=kinds, transferMode="ReportEvents"))
        act()
        page.execute_script(_MARK)
        socket.send(_command("Tracing.end"))
        return _longest_ms(_events(socket))
    finally:
        socket.close()


def _command(method: str, **parameters: object) -> str:
    return json.dumps({"id": 1, "method": method, "params": parameters})


def _events(socket: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return what was traced, once all of it has come."""
    events: list[dict[str, Any]] = []
    while True:
        told = json.loads(socket.recv())
        if told.get("method") == "Tracing.dataCollected":
            events += told["params"]["value"]
        if told.get("method") == "Tracing.tracingComplete":
            return events


def _longest_ms(events: list[dict[str, Any]]) -> float:
    """Return the longest task of the thread that set the mark."""
    thread = next((one["pid"], one["tid"]) for one in events if one["name"] == "traced")
    tasks = [one for one in events if one["name"] == "RunTask" and "tdur" in one]
    return float(max(one["tdur"] for one in tasks if (one["pid"], one["tid"]) == thread) / 1000)
