"""``entrepot audit fetch``: an auditor's own copy of the audit log, in the form that `audit verify` proves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import Parameter

from entrepot.client.choosing import open_api
from entrepot.client.errors import EXIT_REFUSED, EXIT_USAGE, ClientError
from entrepot.client.new_files import new_file
from entrepot.client.options import ANYWHERE, TargetOption
from entrepot.client.times import FromOption, ToOption, read_span, time_in_utc

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

__all__ = ["fetch_export"]

_FileArgument = Annotated[Path, Parameter(help="File to write, which must not exist yet.")]
_END_BYTES: Final = 8192
"""The last lines are shorter: what was written, and who signed that."""


class _Line(msgspec.Struct, frozen=True):
    type: str = ""


def fetch_export(
    file: _FileArgument,
    /,
    *,
    since: FromOption = "",
    until: ToOption = "",
    target: TargetOption = ANYWHERE,
) -> None:
    """Fetch all records of some times, signed by the registry; prove them with `entrepot audit verify FILE`."""
    bounds = zip(("since", "until"), read_span(since, until), strict=True)
    query = {name: time_in_utc(bound) for name, bound in bounds if bound is not None}
    try:
        with new_file(file) as opened, open_api(target) as api:
            count = _write(opened, api.stream("/audit-log-export", query))
    except FileExistsError as error:
        raise ClientError(EXIT_USAGE, f"entrepot: {file} exists; it would be overwritten") from error
    except OSError as error:
        raise ClientError(EXIT_USAGE, f"entrepot: {file} can't be written: {error.strerror}") from error
    print(f"{count} bytes written to {file}")


def _write(opened: BinaryIO, pieces: Iterable[bytes]) -> int:
    """Write what comes and return how many bytes it was, if it came to its end."""
    count, last = 0, b""
    for piece in pieces:
        opened.write(piece)
        count += len(piece)
        last = (last + piece)[-_END_BYTES:]
    if not _is_whole(last):
        raise ClientError(
            EXIT_REFUSED,
            "entrepot: the export broke off; nothing was kept",
            "Fetch it again; the registry's log tells what failed.",
        )
    return count


def _is_whole(last: bytes) -> bool:
    """Whether these are the last bytes of an export; only `verify` can tell more."""
    if not last.endswith(b"\n"):
        return False
    kinds = [_kind_of(line) for line in last.splitlines()[-2:]]
    return kinds[-1] == "end" or kinds == ["end", "signature"]


def _kind_of(line: bytes) -> str:
    try:
        return msgspec.json.decode(line, type=_Line).type
    except (msgspec.MsgspecError, UnicodeError):
        return ""
