"""``entrepot doctor``: looks at everything a start depends on, and says what to do about what is wrong."""

from __future__ import annotations

import dataclasses
import os
from functools import partial
from typing import TYPE_CHECKING

from entrepot.ops.checks.accounts import check_master_key_file, examine_accounts
from entrepot.ops.checks.certificate import check_certificate
from entrepot.ops.checks.database import examine_database
from entrepot.ops.checks.dictionary import check_dictionary
from entrepot.ops.checks.directories import (
    check_config_file,
    check_data_directory,
    check_free_space,
    check_metadata_filesystem,
    check_secret_files,
    check_storage_root,
)
from entrepot.ops.checks.finding import Finding, failed
from entrepot.ops.checks.forecast import check_free_files
from entrepot.ops.checks.host import check_clock, check_descriptor_limit, check_python, check_sqlite
from entrepot.ops.checks.network import check_exposure, check_ops_listener, check_public_listener
from entrepot.ops.checks.ownership import check_ownership
from entrepot.ops.checks.storage_match import check_storage_match
from entrepot.ops.checks.stores import check_metadata, check_object_store
from entrepot.ops.checks.suspicion import check_suspicion
from entrepot.ops.checks.sync_speed import check_sync_speed
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_OK
from entrepot.ops.options import ConfigOption, DataOption, ListenOption, load_with_flags, make_flags
from entrepot.ops.output import OutputOption, format_json
from entrepot.settings import LoadedSettings, Settings, SettingsError, uses_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["doctor", "examine_host", "examine_node", "render_findings"]


def doctor(
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    listen: ListenOption = None,
    output: OutputOption = "text",
) -> int:
    """Check this machine, the settings and the stores; exit 1 if something would keep the registry from working."""
    findings = list(examine_host())
    try:
        loaded = load_with_flags(config, make_flags(data, listen))
    except SettingsError as error:
        remedy = "Correct it; entrepot settings show tells where values come from."
        findings += [failed("settings", problem, remedy) for problem in error.problems]
    else:
        findings += examine_node(loaded)
    sound = all(finding.status != "fail" for finding in findings)
    if output == "json":
        rows = [dataclasses.asdict(finding) for finding in findings]
        print(format_json({"ok": sound, "findings": rows}))
    else:
        print(render_findings(findings))
    return EXIT_OK if sound else EXIT_CHECK_FAILED


def examine_host() -> Iterator[Finding]:
    """Yield what needs no settings to be checked."""
    yield from _guard("python", check_python)
    yield from _guard("clock", check_clock)
    yield from _guard("open-files", check_descriptor_limit)


def examine_node(loaded: LoadedSettings) -> Iterator[Finding]:
    """Yield the checks that apply to these settings, those that ask another machine last."""
    settings = loaded.settings
    yield from _guard("settings", lambda: check_config_file(loaded))
    yield from _guard("secret-files", lambda: check_secret_files(loaded, os.environ))
    if not uses_postgresql(settings):
        yield from _guard("sqlite", check_sqlite)
    checks: dict[str, Callable[[Settings], Finding]] = {
        "data-directory": check_data_directory,
        "file-system": check_metadata_filesystem,
        "ownership": check_ownership,
        "free-space": check_free_space,
        "free-files": check_free_files,
        "sync-speed": check_sync_speed,
        "disk-flushes": check_suspicion,
        "http.listen": check_public_listener,
        "ops.listen": check_ops_listener,
        "exposure": check_exposure,
        "certificate": check_certificate,
        "dictionary": check_dictionary,
        "master-key-file": check_master_key_file,
    }
    for name, check in checks.items():
        yield from _guard(name, partial(check, settings))
    yield from _examine_stores(settings)


def _examine_stores(settings: Settings) -> Iterator[Finding]:
    """Ask a store that does not answer once only: each question would wait for it again."""
    metadata = list(_guard("metadata", partial(check_metadata, settings)))
    check_blobs = check_object_store if settings.storage.driver == "s3" else check_storage_root
    blobs = list(_guard("blobs", partial(check_blobs, settings)))
    yield from (*metadata, *blobs)
    if any(finding.status == "fail" for finding in metadata):
        return
    yield from _guard_all("database", partial(examine_database, settings))
    if settings.access.accounts:
        yield from _guard_all("accounts", partial(examine_accounts, settings))
    if all(finding.status != "fail" for finding in blobs):
        yield from _guard("storage-match", partial(check_storage_match, settings))


def _guard(name: str, check: Callable[[], Finding]) -> Iterator[Finding]:
    return _guard_all(name, lambda: (check(),))


def _guard_all(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Run a check; one that breaks is a finding like any other, and must not hide those after it."""
    try:
        yield from check()
    except PermissionError as error:
        message = f"this user may not look at {error.filename}"
        yield failed(name, message, "Run this as the user that the registry runs as.")
    except Exception as error:  # noqa: BLE001 - supervises the checks, which meet machines nobody foresaw
        message = f"the check itself broke: {type(error).__name__}: {error}"
        yield failed(name, message, "Report this as a fault.")


def render_findings(findings: list[Finding]) -> str:
    """Return one line for each finding, with the remedy below, and a last line that sums up."""
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{finding.status:<4}  {finding.check:<14}  {finding.message}")
        if finding.remedy:
            lines.append(f"{'':<22}→ {finding.remedy}")
    counts = {
        status: sum(finding.status == status for finding in findings) for status in ("ok", "warn", "fail")
    }
    lines.append(f"{counts['ok']} ok, {counts['warn']} warnings, {counts['fail']} failed")
    return "\n".join(lines)
