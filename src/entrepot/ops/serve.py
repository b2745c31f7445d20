"""``entrepot serve``: reads the settings, says what a person needs to know, and hands over to the parent process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from entrepot.observability.structlog_import import import_structlog
from entrepot.ops.checks.dictionary import require_dictionary
from entrepot.ops.checks.first_password import require_first_password
from entrepot.ops.greeting import render_greeting, render_next_steps, render_warnings
from entrepot.ops.options import (
    ConfigOption,
    DataOption,
    ListenOption,
    load_with_flags,
    make_flags,
    problems_end_the_command,
)
from entrepot.processes.data_directory import RUN_DIRECTORY

if TYPE_CHECKING:
    from entrepot.settings import Settings

__all__ = ["serve"]

_InsecureOption = Annotated[
    bool,
    Parameter(
        name="--insecure-anonymous",
        negative="",
        help="No accounts: let everybody who reaches the listener push, pull and overwrite. For trials in a closed "
        "network.",
    ),
]


def serve(
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    listen: ListenOption = None,
    insecure_anonymous: _InsecureOption = False,
) -> int:
    """Run the registry until it is told to stop (SIGTERM or Ctrl-C); SIGHUP reads settings and certificates again."""
    flags = make_flags(data, listen)
    if insecure_anonymous:
        flags["access.insecure_anonymous"] = True
    with problems_end_the_command():
        settings = require_dictionary(load_with_flags(config, flags))
    for line in render_warnings(settings):
        print(line, file=sys.stderr)
    import_structlog()
    require_first_password(settings)
    greet = _is_for_a_person(settings)
    if greet:
        print(render_greeting(settings), file=sys.stderr, flush=True)
    from entrepot.processes import parent  # noqa: PLC0415  # imports structlog, which was to be imported first

    return parent.run(
        settings,
        reload_settings=lambda: require_dictionary(load_with_flags(config, flags)),
        on_ready=(lambda: _say_next_steps(settings)) if greet else None,
    )


def _say_next_steps(settings: Settings) -> None:
    print(render_next_steps(settings), file=sys.stderr, flush=True)


def _is_for_a_person(settings: Settings) -> bool:
    """Greet at a terminal, with console logs and at the first start; else standard error holds log lines only."""
    first_start = not (settings.data.directory / RUN_DIRECTORY).exists()
    return first_start or settings.log.format == "console" or sys.stderr.isatty()
