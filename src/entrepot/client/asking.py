"""Asks the person at the terminal: for secrets, which never are arguments, and before something is gone for good."""

from __future__ import annotations

import getpass
import hmac
import sys
from typing import TYPE_CHECKING

from entrepot.client.errors import EXIT_REFUSED, EXIT_USAGE, ClientError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ask_line", "ask_new_secret", "ask_secret", "is_terminal", "read_secret", "require_consent"]


def is_terminal() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty()


def ask_line(prompt: str, instead: str) -> str:
    """Ask for a line. Raises ClientError when nobody is there; `instead` then says what to do."""
    if not is_terminal():
        raise ClientError(EXIT_USAGE, "entrepot: there is no terminal to ask at", instead)
    print(prompt, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def ask_secret(prompt: str, instead: str) -> str:
    """Ask for a secret without showing it.

    Raises:
        ClientError: nobody is there, or nothing was typed.
    """
    if not is_terminal():
        raise ClientError(EXIT_USAGE, "entrepot: there is no terminal to ask at", instead)
    return _required(_typed(prompt))


def ask_new_secret(prompt: str, instead: str) -> str:
    """Ask twice for a secret that is about to be set, as what one can't see is easily mistyped.

    Raises:
        ClientError: nobody is there, or the two differ.
    """
    first = ask_secret(prompt, instead)
    again = _typed("Once more: ")
    if not hmac.compare_digest(first.encode(), again.encode()):
        raise ClientError(EXIT_USAGE, "entrepot: the two are not the same; nothing was changed")
    return first


def read_secret(file: Path | None, *, stdin: bool) -> str:
    """Return a secret from the first line of a file or the next line of standard input; empty if neither is asked for.

    Raises:
        ClientError: both are asked for, the file can't be read, or there is nothing in it.
    """
    if file is not None and stdin:
        raise ClientError(
            EXIT_USAGE, "entrepot: the secret comes from a file or from standard input, not both"
        )
    if stdin:
        try:
            return _required(sys.stdin.readline().rstrip("\r\n"))
        except UnicodeDecodeError as error:
            raise ClientError(EXIT_USAGE, "entrepot: what standard input holds is not UTF-8") from error
    if file is None:
        return ""
    try:
        with file.open(encoding="utf-8") as opened:
            return _required(opened.readline().rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise ClientError(EXIT_USAGE, f"entrepot: {file}: {error}") from error


def require_consent(question: str, *, yes: bool) -> None:
    """Go on only when somebody agrees.

    Raises:
        ClientError: they do not, or nobody is there and `--yes` was not said.
    """
    if yes:
        return
    answer = ask_line(f"{question} [y/N] ", "Say --yes if you mean it.")
    if answer.lower() not in {"y", "yes"}:
        raise ClientError(EXIT_REFUSED, "entrepot: nothing was changed")


def _typed(prompt: str) -> str:
    """Read a line that is not shown; the end of input, by Control-D, counts as nothing."""
    try:
        return getpass.getpass(prompt)
    except EOFError:
        return ""


def _required(secret: str) -> str:
    if not secret:
        raise ClientError(EXIT_USAGE, "entrepot: the secret is empty")
    return secret
