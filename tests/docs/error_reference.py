"""Reference of every error the program can raise: what becomes of it, and what somebody who meets it can do."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
from typing import Final

import entrepot
from entrepot.control_api.error_mapping import CONTROL_ERROR_TABLE
from entrepot.distribution_api.error_mapping import ERROR_TABLE
from entrepot.kernel.errors import EntrepotError
from entrepot.processes.errors import ExitCode
from tests.docs.meanings import meanings_of
from tests.docs.source_facts import attribute_docs
from tests.docs.tables import render_table

__all__ = ["error_classes", "outcome_of", "render_error_classes", "render_start_refusals"]

_ELSEWHERE: Final = {
    "LifecycleError": "exit code 3 of `entrepot verify`",
    "MassDamageError": "exit code 3 of `entrepot verify`",
    "ScrubBusyError": "exit code 3 of `entrepot verify`",
    "ScrubLostError": "exit code 3 of `entrepot verify`",
    "SettingsError": "exit code 2 of every command",
    "StartRefusedError": "exit code of `entrepot serve`",
    "CommandError": "exit code of the command",
    "RegistryUnusableError": "exit code 1 of the command, 3 of `entrepot verify` and `entrepot audit verify`",
    "InvalidMetadataAddressError": "exit code 1 of the command, 503 of the readiness check",
    "InvalidPoliciesError": "exit code 1 of `entrepot serve`",
    "NetworkFilesystemError": "exit code 1 of the command, 503 of the readiness check",
    "StoreHeldError": "exit code 1 of the command",
    "UnknownFailpointError": "exit code 1 of `entrepot serve`",
    "MasterKeyError": "exit code 1 of `entrepot serve` or of the command",
    "MasterKeyFileMissingError": "exit code 2 of `entrepot serve`, 1 of the command",
    "SigningKeyUnavailableError": "503 of the token service and of the readiness check",
    "MasterKeyMissingError": "exit code 1 of `entrepot serve` or of the command",
    "UnsealingError": "exit code 1 of `entrepot serve` or of the command",
    "KeyRotationError": "exit code 1 of the command",
    "KeyUnknownError": "exit code 1 of the command",
    "TokenRequestError": "400 of the token service",
    "GrantTypeError": "400 of the token service",
    "TokenFormTooLargeError": "413 of the token service",
    "TooManyTokensError": "429 of the token service",
    "LogUnavailableError": "a line of `entrepot support-bundle`",
    "NodeSilentError": "a line of `entrepot support-bundle`",
    "NoDatabaseYetError": "a line of `entrepot support-bundle`",
}
"""Where errors show that no request meets."""
_BENEATH_SERVERS: Final = frozenset(
    {
        "auth",
        "blobstore",
        "control_api",
        "distribution_api",
        "kernel",
        "metadata",
        "oci",
        "processes",
        "registry",
        "settings",
        "workers",
    }
)
"""Packages whose errors a server can meet; those of the others end a command."""


@functools.cache
def error_classes() -> tuple[type[EntrepotError], ...]:
    """Return every error class of the program but those private to a module, by name."""
    for module in pkgutil.walk_packages(entrepot.__path__, "entrepot."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: set[type[EntrepotError]] = set()
    waiting: list[type[EntrepotError]] = [EntrepotError]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        # Classes of tests have the same root.
        if kind.__module__.startswith("entrepot.") and not kind.__name__.startswith("_"):
            found.add(kind)
    return tuple(sorted(found - {EntrepotError}, key=lambda kind: kind.__name__))


def outcome_of(kind: type[EntrepotError]) -> str:
    """Return what a client or an operator gets to see of it."""
    for ancestor in kind.__mro__:
        if ancestor in ERROR_TABLE:
            status, code = ERROR_TABLE[ancestor]
            return f"{status} `{code.code}`"
        if ancestor in CONTROL_ERROR_TABLE:
            status, name = CONTROL_ERROR_TABLE[ancestor]
            return f"{status} `{name.value}`"
    if kind.__name__ in _ELSEWHERE:
        return _ELSEWHERE[kind.__name__]
    is_beneath = kind.__module__.split(".")[1] in _BENEATH_SERVERS
    return "stays inside" if is_beneath else "exit code 1 of the command"


def render_error_classes() -> str:
    """Return each error with what becomes of it, when it happens and what to do."""
    kinds = error_classes()
    remedies = meanings_of("errors", {kind.__name__ for kind in kinds})
    rows = [
        (f"`{kind.__name__}`", outcome_of(kind), _first_sentence(kind), remedies[kind.__name__])
        for kind in kinds
    ]
    return render_table(("Error", "Seen as", "When", "What to do"), rows)


def render_start_refusals() -> str:
    """Return what `entrepot serve` ends with, and what to do about it."""
    docs = attribute_docs("src/entrepot/processes/errors.py", "ExitCode")
    remedies = meanings_of("exit_codes", {code.name for code in ExitCode})
    rows = [(f"`{code.value}`", f"`{code.name}`", docs[code.name], remedies[code.name]) for code in ExitCode]
    return render_table(("Code", "Name", "Meaning", "What to do"), rows)


def _first_sentence(kind: type) -> str:
    text = " ".join((inspect.getdoc(kind) or "").split())
    sentence = re.split(r"[.;:] ", text + " ")[0].strip(".")
    if sentence.count("(") > sentence.count(")"):  # cut within an aside
        sentence = sentence.rpartition("(")[0].rstrip()
    return sentence + "."
