"""Whatever an operator can set, see, call or receive has its place in the reference."""

from __future__ import annotations

import functools
import re

import pytest

from entrepot.auth.audit_actions import AuditAction
from entrepot.distribution_api.routes import ROUTES
from entrepot.kernel.failpoints import Failpoint
from entrepot.metadata.sql.catalogue import STATEMENTS
from entrepot.observability.metric_definitions import METRIC_DEFINITIONS
from entrepot.oci.error_codes import ErrorCode
from entrepot.ops.application import COMMANDS
from entrepot.ops.ending import EXIT_CODES, exit_codes_of
from entrepot.processes.errors import ExitCode
from entrepot.settings import setting_fields
from tests.architecture.source_files import product_files
from tests.docs.error_reference import error_classes, outcome_of
from tests.docs.interface_reference import TOKEN_OPERATIONS, ops_paths, token_paths
from tests.docs.pages import load_page, load_pages
from tests.docs.source_facts import failpoint_places, log_events, outbox_kinds


@functools.cache
def _text(path: str) -> str:
    return load_page(path).text


def _expectations() -> list[tuple[str, str]]:
    """Return page and the text that must stand on it, in backticks."""
    expected = [("docs/reference/settings.md", field.key) for field in setting_fields()]
    expected += [("docs/reference/settings.md", field.environment_variable) for field in setting_fields()]
    expected += [("docs/reference/errors.md", code.code) for code in ErrorCode]
    expected += [("docs/reference/errors.md", kind.__name__) for kind in error_classes()]
    expected += [("docs/reference/metrics.md", metric.name) for metric in METRIC_DEFINITIONS]
    expected += [("docs/reference/events.md", name) for name in log_events()]
    expected += [("docs/reference/events.md", kind.name) for kind in outbox_kinds()]
    expected += [("docs/reference/endpoints.md", route.operation) for route in ROUTES]
    expected += [("docs/reference/endpoints.md", route.endpoint.value) for route in ROUTES]
    expected += [("docs/reference/endpoints.md", path) for path in (*ops_paths(), *token_paths())]
    expected += [("docs/reference/commands.md", f"entrepot {' '.join(one.words)}") for one in COMMANDS]
    expected += [("docs/reference/commands.md", code.name) for code in ExitCode]
    expected += [("docs/reference/statements.md", statement.name) for statement in STATEMENTS]
    expected += [("docs/reference/failpoints.md", point.value) for point in Failpoint]
    expected += [("docs/architecture/crash-safety.md", point.value) for point in Failpoint]
    return expected


@pytest.mark.parametrize("page", sorted({page for page, _ in _expectations()}))
def test_the_page_names_everything_of_its_kind(page: str) -> None:
    """Nothing that the code knows is missing from its page."""
    names = [name for path, name in _expectations() if path == page]
    assert [name for name in names if f"`{name}`" not in _text(page)] == []
    assert len(names) >= 2


def test_the_source_is_really_read() -> None:
    """The facts taken from the source are not empty, and hold one of each kind that is known to be there."""
    assert {"request.completed", "process.crashed", "process.exited", "library.message"} <= set(log_events())
    assert "manifest.put" in {kind.name for kind in outbox_kinds()}
    assert set(failpoint_places()) == {point.name for point in Failpoint}


def test_every_error_is_seen_or_known_to_stay_inside() -> None:
    """What neither an edge maps nor a command shows is on this short list, so that a new class is thought about."""
    inside = {kind.__name__ for kind in error_classes() if outcome_of(kind) == "stays inside"}

    assert len(error_classes()) > 60
    assert inside == {
        *("RegistryError", "ClientGoneError", "DocumentError", "InvalidJsonError"),
        *("LifespanError", "WorkerEndedError"),
    }


def test_the_help_and_the_page_of_commands_tell_the_same_exit_codes() -> None:
    page = " ".join(_text("docs/reference/commands.md").split())
    common = EXIT_CODES.partition("; ")[0].removeprefix("Exit codes: ")
    audit = exit_codes_of(("audit", "verify")).removeprefix("Exit codes: ")

    assert f"on the host but `serve`: {common}." in page
    assert f"`entrepot audit verify` has four: {audit}" in page


@pytest.mark.parametrize("guide", ["docs/operations/guide.md", "docs/operations/guide.zh-CN.md"])
def test_the_guides_name_every_exit_code(guide: str) -> None:
    heading = "## Exit codes" if guide.endswith("guide.md") else "## 退出码"
    section = _text(guide).split(heading, 1)[1].split("\n## ", 1)[0]
    assert [code.value for code in ExitCode if str(code.value) not in section] == []


@pytest.mark.parametrize("guide", ["docs/operations/guide.md", "docs/operations/guide.zh-CN.md"])
def test_the_guides_name_every_check_of_the_doctor(guide: str) -> None:
    """A finding that somebody reads has its line in the guide."""
    files = [file.text for file in product_files() if "/ops/checks/" in file.path]
    found = {
        name
        for text in files
        for name in re.findall(r'(?:passed|warned|failed|_check_\w+)\(\s*"([a-z-]+)"', text)
    }

    assert {"clock", "data-directory", "storage-match", "durability"} <= found
    assert [name for name in sorted(found) if f"`{name}`" not in _text(guide)] == []


def test_no_log_event_is_invented() -> None:
    """Names of events that the pages quote exist in the code."""
    families = {name.split(".")[0] for name in log_events()} - {"setting"}
    known = set(log_events()) | {route.operation for route in ROUTES} | {point.value for point in Failpoint}
    known |= {".".join(file.path.removesuffix(".py").split("/")[-2:]) for file in product_files()}
    known |= {*TOKEN_OPERATIONS.values(), *(action.value for action in AuditAction)}
    known |= {field.key for field in setting_fields()} | {kind.name for kind in outbox_kinds()}
    quoted = {
        word
        for page in load_pages()
        for word in page.text.split("`")[1::2]
        if word.split(".")[0] in families and word.replace(".", "").isalpha() and word.count(".") >= 1
    }
    # Fields of log lines and packages share their first word with events.
    assert (
        quoted - known - {"request.id", "process.role", "process.pid", "request.path", "metadata.sql"}
        == set()
    )
