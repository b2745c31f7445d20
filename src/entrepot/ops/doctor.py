"""``entrepot doctor``: looks at everything a start depends on, and says what to do about what is wrong."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

from entrepot.ops.checks.certificate import check_certificate
from entrepot.ops.checks.directories import (
    check_config_file,
    check_data_directory,
    check_free_space,
    check_metadata_filesystem,
    check_storage_root,
)
from entrepot.ops.checks.finding import Finding, failed
from entrepot.ops.checks.host import check_clock, check_descriptor_limit, check_python, check_sqlite
from entrepot.ops.checks.network import check_exposure, check_ops_listener, check_public_listener
from entrepot.ops.checks.stores import check_metadata, check_object_store
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_OK
from entrepot.ops.options import ConfigOption, DataOption, ListenOption, load_with_flags, make_flags
from entrepot.ops.output import OutputOption, format_json
from entrepot.settings import LoadedSettings, Settings, SettingsError, uses_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    if not uses_postgresql(settings):
        yield from _guard("sqlite", check_sqlite)
    checks: dict[str, Callable[[Settings], Finding]] = {
        "data-directory": check_data_directory,
        "file-system": check_metadata_filesystem,
        "free-space": check_free_space,
        "http.listen": check_public_listener,
        "ops.listen": check_ops_listener,
        "exposure": check_exposure,
        "certificate": check_certificate,
        "metadata": check_metadata,
        "blobs": check_object_store if settings.storage.driver == "s3" else check_storage_root,
    }
    for name, check in checks.items():
        yield from _guard(name, partial(check, settings))


def _guard(name: str, check: Callable[[], Finding]) -> Iterator[Finding]:
    """Run a check; one that breaks is a finding like any other, and must not hide those after it."""
    try:
        yield check()
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
