"""``entrepot completion``: a script with all commands and options in it, so that completing starts no program."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from entrepot.ops.application import build_application

__all__ = ["show_completion"]

_ShellArgument = Annotated[Literal["bash", "zsh", "fish"], Parameter(help="The shell.")]


def show_completion(shell: _ShellArgument, /) -> None:
    """Print the script; bash looks for it at ~/.local/share/bash-completion/completions/entrepot."""
    print(build_application().generate_completion(shell=shell))
