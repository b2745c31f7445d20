"""Options that the client's commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from cyclopts import Parameter

__all__ = [
    "ANYWHERE",
    "CaFileOption",
    "LimitOption",
    "Output",
    "OutputOption",
    "PasswordFileOption",
    "PasswordStdinOption",
    "PlainHttpOption",
    "Target",
    "TargetOption",
    "YesOption",
]

Output: TypeAlias = Literal["table", "json", "name"]

OutputOption: TypeAlias = Annotated[
    Output,
    Parameter(
        name=["--output", "-o"],
        help="table for people; json, what the API said, for programs; name, one a line, for scripts.",
    ),
]
LimitOption: TypeAlias = Annotated[
    int, Parameter(name="--limit", help="At most so many items; 0 for all of them.")
]
YesOption: TypeAlias = Annotated[bool, Parameter(name=["--yes", "-y"], negative="", help="Do not ask.")]
PasswordStdinOption: TypeAlias = Annotated[
    bool,
    Parameter(
        name="--password-stdin", negative="", help="Read the password from the first line of standard input."
    ),
]
PasswordFileOption: TypeAlias = Annotated[
    Path | None, Parameter(name="--password-file", help="Read the password from the first line of a file.")
]
CaFileOption: TypeAlias = Annotated[
    Path | None,
    Parameter(name="--ca-file", help="PEM file of the authority that signed the registry's certificate."),
]
PlainHttpOption: TypeAlias = Annotated[
    bool,
    Parameter(
        name="--plain-http", negative="", help="Send credentials without TLS, also beyond this machine."
    ),
]


@dataclass(frozen=True, slots=True)
class Target:
    """Which registry is asked, and how it is reached."""

    server: Annotated[
        str,
        Parameter(
            name="--server",
            help="The registry; else what REGISTRY_CLIENT_SERVER names, else the current one: `entrepot server list`.",
        ),
    ] = ""
    ca_file: CaFileOption = None
    plain_http: PlainHttpOption = False


TargetOption: TypeAlias = Annotated[Target, Parameter(name="*")]

ANYWHERE: Final = Target()
"""What holds when nothing is said."""
