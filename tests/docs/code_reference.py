"""Reference tables taken from the values the program itself runs on: settings, commands, errors, exit codes."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from entrepot.auth.cedar.policies import render_policies
from entrepot.auth.cedar.schema import render_schema
from entrepot.blobstore import keys
from entrepot.client.errors import EXIT_CODES
from entrepot.distribution_api.error_mapping import ERROR_TABLE
from entrepot.kernel.failpoints import Failpoint
from entrepot.oci.error_codes import ErrorCode
from entrepot.ops.application import COMMANDS, build_application
from entrepot.processes.errors import ExitCode
from entrepot.registry.journal.writer import ENTRY_KINDS
from entrepot.settings import setting_fields, show_value
from tests.docs.meanings import meanings_of
from tests.docs.source_facts import attribute_docs, failpoint_places, log_events, outbox_kinds
from tests.docs.tables import render_table

if TYPE_CHECKING:
    from entrepot.ops.application import Command
    from entrepot.settings import SettingField

__all__ = [
    "error_code_statuses",
    "render_cedar_policies",
    "render_cedar_schema",
    "render_client_exit_codes",
    "render_command_options",
    "render_error_codes",
    "render_exit_codes",
    "render_failpoints",
    "render_log_events",
    "render_outbox",
    "render_ranges",
    "render_secret_settings",
    "render_storage_layout",
]


def render_ranges() -> str:
    """Return the settings that accept a limited set of values, with that set."""
    rows = [(f"`{field.key}`", _accepted(field)) for field in setting_fields() if _accepted(field)]
    return render_table(("Key", "Accepted values"), rows)


def render_secret_settings() -> str:
    """Return the settings that are secrets, with both of their variables."""
    rows = [
        (f"`{field.key}`", f"`{field.environment_variable}`", f"`{field.environment_variable}_FILE`")
        for field in setting_fields()
        if field.is_secret
    ]
    return render_table(("Key", "The secret itself", "The file that it lies in"), rows)


def _accepted(field: SettingField) -> str:
    if field.choices:
        return ", ".join(f"`{choice}`" for choice in field.choices)
    least, most = field.setting.minimum, field.setting.maximum
    ends = [
        f"{word} `{show_value(field, int(number) if field.value_type is int else float(number))}`"
        for word, number in (("at least", least), ("at most", most))
        if number is not None
    ]
    return ", ".join(ends)


def render_command_options() -> str:
    """Return a section for each command with its options."""
    return "\n".join(_render_command(command) for command in COMMANDS)


def _render_command(command: Command) -> str:
    application = build_application()
    for word in command.words:
        application = application[word]
    rows: list[tuple[str, str]] = []
    for argument in application.assemble_argument_collection(parse_docstring=True):
        if argument.names == ("*",):  # only holds the options that follow it
            continue
        names = ", ".join(f"`{name}`" for name in argument.names)
        rows.append((names, argument.parameter.help or ""))
    options = render_table(("Option", "Meaning"), rows) if rows else "No options.\n"
    return f"### `entrepot {' '.join(command.words)}`\n\n{command.summary}\n\n{options}"


def render_client_exit_codes() -> str:
    """Return what commands that speak to a registry end with."""
    return render_table(("Code", "Meaning"), [(f"`{code}`", meaning) for code, meaning in EXIT_CODES.items()])


def render_exit_codes() -> str:
    """Return what `entrepot serve` ends with."""
    docs = attribute_docs("src/entrepot/processes/errors.py", "ExitCode")
    return render_table(
        ("Code", "Name", "Meaning"),
        [(f"`{code.value}`", f"`{code.name}`", docs[code.name]) for code in ExitCode],
    )


def error_code_statuses() -> dict[ErrorCode, set[int]]:
    """Return the HTTP statuses each code is sent with today."""
    statuses: dict[ErrorCode, set[int]] = {code: set() for code in ErrorCode}
    for status, code in ERROR_TABLE.values():
        statuses[code].add(status)
    return statuses


def render_error_codes() -> str:
    """Return every code with status, cause and remedy."""
    rows = [
        (
            f"`{code.code}`",
            ", ".join(str(status) for status in sorted(statuses)) or "not sent yet",
            code.message,
            code.cause,
            code.remedy,
        )
        for code, statuses in error_code_statuses().items()
    ]
    return render_table(("Code", "HTTP status", "Message", "Cause", "Remedy"), rows)


def render_log_events() -> str:
    """Return every event with level, source, facts and meaning."""
    events = log_events()
    meanings = meanings_of("log_events", set(events))
    rows = [
        (
            f"`{event.name}`",
            ", ".join(sorted(event.levels)),
            ", ".join(f"`{fact}`" for fact in sorted(event.facts)),
            meanings[event.name],
        )
        for event in events.values()
    ]
    return render_table(("Event", "Level", "Facts", "Meaning, and what to do"), rows)


def render_outbox() -> str:
    """Return every kind of outbox fact."""
    kinds = outbox_kinds()
    meanings = meanings_of("outbox", {kind.name for kind in kinds})
    rows = [
        (
            f"`{kind.name}`",
            f"`{kind.module}`",
            "yes" if kind.journalled else "no",
            "yes" if kind.name in ENTRY_KINDS else "no",
            meanings[kind.name],
        )
        for kind in kinds
    ]
    header = ("Kind", "Recorded by", "In the journal", "Own entry before the reply", "Meaning and payload")
    return render_table(header, rows)


def render_failpoints() -> str:
    """Return every failpoint in the order of a push, with where it stands and what a crash there leaves."""
    places = failpoint_places()
    meanings = meanings_of("failpoints", {point.value for point in Failpoint})
    rows = [
        (
            f"`{point.value}`",
            "<br>".join(f"`{one}`" for one in places.get(point.name, [])),
            meanings[point.value],
        )
        for point in Failpoint
    ]
    return render_table(("Failpoint", "Reached in", "A process killed here leaves"), rows)


def render_storage_layout() -> str:
    """Return the tree of keys as their module draws it."""
    drawing = (inspect.getdoc(keys) or "").split("::\n", 1)[1]
    lines = [line for line in drawing.splitlines() if line.startswith("    ") or not line]
    tree = "\n".join(line.removeprefix("    ") for line in lines).strip("\n")
    return f"```text\n{tree}\n```\n"


def render_cedar_schema() -> str:
    """Return the schema that policies are checked against."""
    return f"```cedar\n{render_schema().strip()}\n```"


def render_cedar_policies() -> str:
    """Return the policies of the built-in roles."""
    return f"```cedar\n{render_policies().strip()}\n```"
