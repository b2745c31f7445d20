"""The file of words that no password may be, gone while it is needed: said to who starts, no reason to be down."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.processes.assignment import Role
from tests.running.entrepot import RunningEntrepot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PASSWORD: Final = "Brisk-Lantern-77"
_NOT_THERE: Final = "No such file or directory"


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """The file of words."""
    file = tmp_path / "words.txt"
    file.write_text("hovercraft\n")
    return file


@pytest.fixture
def registry(tmp_path: Path, words: Path) -> Iterator[RunningEntrepot]:
    """A registry with accounts and a dictionary, not started yet."""
    settings: dict[str, dict[str, Any]] = {
        "access": {"accounts": True},
        "admin": {"password": _PASSWORD},
        "passwords": {"dictionary_file": str(words)},
    }
    registry = RunningEntrepot(tmp_path / "registry", settings=settings)
    try:
        yield registry
    finally:
        registry.end()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, _NOT_THERE), (b"caf\xe9\n", "it is no text in UTF-8")],
    ids=["missing", "latin-1"],
)
def test_a_start_without_its_dictionary_ends_with_2_and_names_setting_file_and_reason(
    registry: RunningEntrepot, words: Path, content: bytes | None, reason: str
) -> None:
    """Nothing is started, so nothing is started again and again."""
    words.unlink()
    if content is not None:
        words.write_bytes(content)

    registry.start()

    assert registry.wait_exit(60) == 2, registry.log_tail()
    log = registry.log_tail()
    assert "passwords.dictionary_file (file " in log
    assert f"file {words} can't be read: {reason}" in log
    assert registry.events("process.started") == []


@pytest.mark.parametrize(
    ("make", "reason"), [(None, _NOT_THERE), (os.mkfifo, "is no file")], ids=["gone", "pipe"]
)
def test_i1_a_process_that_is_started_anew_serves_without_the_dictionary_and_says_so(
    registry: RunningEntrepot, words: Path, make: Callable[[Path], None] | None, reason: str
) -> None:
    """A list of words is no reason to be down: one HTTP process killed, its successor serves and warns."""
    registry.start()
    registry.wait_until_ready()
    assert registry.events("dictionary.unreadable") == []
    words.unlink()
    if make is not None:
        make(words)

    killed = registry.kill(Role.HTTP)
    registry.wait_for_event("process.ready", count=2, timeout_seconds=60, role="http")

    assert registry.pid(Role.HTTP) != killed
    assert registry.get("/v2/")[0] == 401
    assert registry.events("process.crashed") == []
    warning = registry.wait_for_event("dictionary.unreadable", path=str(words))
    assert warning["log.level"] == "warning"
    assert reason in warning["reason"]


def test_a_reload_without_the_dictionary_is_refused_with_the_reason_and_one_with_another_takes_effect(
    registry: RunningEntrepot, words: Path, tmp_path: Path
) -> None:
    """The processes stay as they are until the file can be read."""
    registry.start()
    registry.wait_until_ready()
    registry.wait_for_event("process.ready", timeout_seconds=60, role="background")
    before = {role: registry.pid(role) for role in Role}
    words.unlink()

    registry.parent.send_signal(signal.SIGHUP)
    refused = registry.wait_for_event("reload.refused", timeout_seconds=60)

    (problem,) = refused["problems"]
    assert problem.startswith("passwords.dictionary_file (file ")
    assert problem.endswith(f"file {words} can't be read: {_NOT_THERE}")
    assert {role: registry.pid(role) for role in Role} == before

    others = tmp_path / "others.txt"
    others.write_text("spinnaker\n")
    registry.settings["passwords"]["dictionary_file"] = str(others)
    registry.write_settings()
    registry.parent.send_signal(signal.SIGHUP)
    finished = registry.wait_for_event("reload.finished", timeout_seconds=60)

    assert "passwords.dictionary_file" in finished["changed"]
    assert registry.events("dictionary.unreadable") == []
