"""``entrepot serve``: reads the settings, says what a person needs to know, and hands over to the parent process."""

from __future__ import annotations

import sys
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import Parameter

from entrepot import __version__
from entrepot.observability.structlog_import import import_structlog
from entrepot.ops.options import (
    ConfigOption,
    DataOption,
    ListenOption,
    load_command_settings,
    load_with_flags,
    make_flags,
)
from entrepot.processes.data_directory import RUN_DIRECTORY
from entrepot.settings import (
    Settings,
    http_listen,
    metadata_path,
    ops_listen,
    public_url,
    storage_root,
    uses_postgresql,
)

__all__ = ["render_greeting", "render_warnings", "serve"]

_InsecureOption = Annotated[
    bool,
    Parameter(
        name="--insecure-anonymous",
        negative="",
        help="Let everybody who reaches the listener push, pull and overwrite. For trials in a closed network.",
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
    settings = load_command_settings(config, flags).settings
    for line in render_warnings(settings):
        print(line, file=sys.stderr)
    if _is_for_a_person(settings):
        print(render_greeting(settings), file=sys.stderr, flush=True)
    import_structlog()
    from entrepot.processes import parent  # noqa: PLC0415  # imports structlog, which was to be imported first

    return parent.run(settings, reload_settings=lambda: load_with_flags(config, flags).settings)


def render_greeting(settings: Settings) -> str:
    """Return where the data lies, where the registry listens, and three lines for the first push."""
    database = "PostgreSQL" if uses_postgresql(settings) else str(metadata_path(settings))
    s3 = settings.storage.s3
    blobs = f"s3 bucket {s3.bucket}" if settings.storage.driver == "s3" else str(storage_root(settings))
    image = f"{urlsplit(public_url(settings)).netloc}/demo/hello-world"
    return "\n".join(
        (
            f"Entrepot {__version__}",
            f"  data      {settings.data.directory}",
            f"  metadata  {database}",
            f"  blobs     {blobs}",
            f"  clients   {public_url(settings)}",
            f"  health    http://{ops_listen(settings)}/readyz",
            "The first push (docker pull hello-world, if you have it not):",
            f"  docker tag hello-world {image}",
            f"  docker push {image}",
            f"  docker pull {image}",
        )
    )


def render_warnings(settings: Settings) -> tuple[str, ...]:
    """Return what must not be overlooked, loud enough not to be."""
    if not settings.access.insecure_anonymous:
        return ()
    listen = http_listen(settings)
    reach = "everybody on this machine" if listen.is_loopback else f"everybody who can reach {listen}"
    return (
        "*" * 78,
        f"WARNING: access.insecure_anonymous is on: {reach}",
        "WARNING: can push, pull and overwrite images without a name or a password.",
        "*" * 78,
    )


def _is_for_a_person(settings: Settings) -> bool:
    """Greet at a terminal, with console logs and at the first start; else standard error holds log lines only."""
    first_start = not (settings.data.directory / RUN_DIRECTORY).exists()
    return first_start or settings.log.format == "console" or sys.stderr.isatty()
