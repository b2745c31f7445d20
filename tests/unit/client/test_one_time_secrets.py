"""A secret that is shown once is not lost in silence: not without an output, on a full disk, or at Ctrl-C."""

from __future__ import annotations

import io
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.unit.client.scripted_api import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from tests.unit.client.conftest import Client
    from tests.unit.client.scripted_api import Asked, ScriptedApi

_MADE: Final = {"id": 51, "name": "ci", "secret": "ept_once", "expires_at": None}
_MAKING: Final = [
    (
        "token create ci",
        "POST /access-tokens",
        "the access token ci was created, but the token",
        "Delete it, and create another: entrepot token delete ci",
    ),
    (
        "robot create ci --allow *=repository:pull",
        "POST /robots",
        "the robot ci was created, but the new secret",
        "Have another made: entrepot robot rotate ci",
    ),
    (
        "robot rotate ci --project team",
        "PATCH /robots/51",
        "the secret of the robot ci was replaced, but the new secret",
        "Have another made: entrepot robot rotate ci --project team",
    ),
]


@pytest.fixture(autouse=True)
def _registry(client: Client, api: ScriptedApi) -> None:
    """A registry that makes whatever it is asked for."""
    client.log_in(api, kind="password")
    api.on("GET /projects/team", {"project_id": 5, "name": "team", "metadata": {}})
    api.on("GET /robots", [{"id": 51, "name": "robot$team+ci", "expires_at": -1, "permissions": []}])
    for _, request, _, _ in _MAKING:
        api.on(request, _MADE)


@pytest.mark.parametrize(("command", "request_line", "lost", "remedy"), _MAKING)
def test_a_secret_that_can_not_be_shown_is_refused_or_told(
    client: Client,
    api: ScriptedApi,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    request_line: str,
    lost: str,
    remedy: str,
) -> None:
    """Without an output nothing is done; a full one shows only when it is too late."""
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", None)
        closed = client.run(*command.split())
    asked = api.lines()
    with Path("/dev/full").open("w", encoding="utf-8") as full, monkeypatch.context() as patched:
        patched.setattr("sys.stdout", full)
        unheard = client.run(*command.split())

    assert (closed.code, asked) == (2, [])
    assert closed.err.endswith("could not be shown. Nothing was done\n")
    assert request_line in api.lines()
    assert unheard.code == 1
    assert unheard.err == f"entrepot: {lost} could not be shown: No space left on device. {remedy}\n"


class _Said(io.StringIO):
    """Standard error, which tells another thread that something was said on it."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.Event()

    def write(self, text: str, /) -> int:
        """Take a text."""
        written = super().write(text)
        self.heard.set()
        return written


@pytest.fixture
def ended() -> Iterator[threading.Event]:
    """Heed Ctrl-C, which who runs in the background is born to ignore; set as soon as one ends the command."""
    came = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        came.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, end)
    yield came
    assert signal.signal(signal.SIGINT, before) is end, "the command kept the signal to itself"


@pytest.mark.parametrize(("presses", "code"), [(1, 0), (2, 130)], ids=["once", "twice"])
def test_ctrl_c_waits_for_a_secret_that_is_on_its_way_unless_it_comes_again(
    client: Client,
    api: ScriptedApi,
    monkeypatch: pytest.MonkeyPatch,
    ended: threading.Event,
    presses: int,
    code: int,
) -> None:
    """The registry has made it by then; a second time means that whoever waits has had enough of it."""
    said = _Said()
    monkeypatch.setattr("sys.stderr", said)
    waiting = threading.main_thread().ident
    assert waiting is not None

    def press(_: Asked) -> Answer:
        signal.pthread_kill(waiting, signal.SIGINT)
        said.heard.wait(60)
        for _again in range(100 if presses == 2 else 0):  # one that falls into a handler waits for the next
            signal.pthread_kill(waiting, signal.SIGINT)
            if ended.wait(0.1):
                break
        return Answer(201, _MADE)

    api.on_call("POST /access-tokens", press)

    result = client.run("token", "create", "ci", "-o", "name")

    assert (result.code, result.out) == (code, "" if code else "ept_once\n")
    assert "this ends when the token is shown" in said.getvalue()
    assert ended.is_set() is (presses == 2)
