"""What commands say: greeting, warnings, tables, documentation, usage errors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from entrepot.observability.metric_definitions import METRIC_DEFINITIONS
from entrepot.ops.application import COMMANDS, run_command_line
from entrepot.ops.documentation import render_commands_table, render_metrics_table, render_settings_table
from entrepot.ops.options import make_flags
from entrepot.ops.output import format_table
from entrepot.settings import setting_fields


def test_a_relative_data_directory_on_the_command_line_is_meant_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert make_flags(Path("data"), "127.0.0.1:1") == {
        "data.directory": str(tmp_path / "data"),
        "http.listen": "127.0.0.1:1",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["serve", "--nonsense"],
        ["version", "-o", "xml"],
        ["settings", "nonsense"],
        ["serve", "extra"],
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code = run_command_line(arguments)

    assert code == 2
    assert capsys.readouterr().err != ""


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.words))
def test_every_command_has_help(
    command: object, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    words = request.node.callspec.id.split(" ")

    code = run_command_line([*words, "--help"])

    assert code == 0
    assert f"Usage: entrepot {' '.join(words)}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["serve"], "7 a rebuild of it is not finished"),
        (["verify"], "4 interrupted"),
        (["audit", "verify"], "3 the log can't be read"),
    ],
)
def test_a_command_with_exit_codes_of_its_own_tells_them(
    words: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line([*words, "--help"]) == 0
    assert code in " ".join(capsys.readouterr().out.split())


def test_documentation_lists_everything_there_is() -> None:
    settings, metrics, commands = render_settings_table(), render_metrics_table(), render_commands_table()

    assert re.findall(r"^\| `([^`]+)`", settings, re.MULTILINE) == [field.key for field in setting_fields()]
    assert re.findall(r"^\| `([^`]+)`", metrics, re.MULTILINE) == [
        metric.name for metric in METRIC_DEFINITIONS
    ]
    assert re.findall(r"^\| `entrepot ([^`]+)`", commands, re.MULTILINE) == [
        " ".join(command.words) for command in COMMANDS
    ]


def test_documentation_tables_are_well_formed() -> None:
    for table in (render_settings_table(), render_metrics_table(), render_commands_table()):
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(columns) == 1


def test_columns_line_up() -> None:
    assert format_table(("A", "B"), [("long", "x"), ("s", "")]) == "A     B\nlong  x\ns"
