"""Looks whether everybody can still do what they could, and no more, and whether the audit log is whole."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import httpx

from entrepot.ops.application import run_command_line
from tests.processes.running import wait_for
from tests.running.authorising import TokenAuthorisation
from tests.running.control_client import ControlClient
from tests.upgrade.accounts import APPLICATION
from tests.upgrade.content import TOOLS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.running.control_client import Account
    from tests.running.entrepot import RunningEntrepot
    from tests.upgrade.accounts import Accounts, Json, Record

__all__ = ["require_accounts", "require_proof", "require_records"]

_MANIFESTS: Final = f"/v2/{APPLICATION}/manifests"
_DONE: Final = {"pull": 200, "push": 201, "delete": 202}
_DRAIN_SECONDS: Final = 60.0
_PAGE: Final = 100


def require_accounts(registry: RunningEntrepot, accounts: Accounts) -> None:
    """Let everybody log in, pull, push and delete, and read what the administrator set."""
    with httpx.Client(base_url=registry.url, timeout=60) as client:
        _require_acts(client, accounts)
        for account in accounts.kept_out:
            assert client.get(f"{_MANIFESTS}/v1", auth=_basic(account)).status_code == 401, account.name
        assert client.get(f"{_MANIFESTS}/v1").status_code == 401, "everybody pulls from a private project"
        assert client.get(f"/v2/{TOOLS}/manifests/v3").status_code == 200, "nobody pulls from a public one"
        _require_tokens(client, accounts)
    control = ControlClient(registry.host, accounts.administrator)
    for path, document in accounts.documents.items():
        found = control.get(path)
        assert _holds(found, document), f"{path}: {document} is not in {found}"


def _require_acts(client: httpx.Client, accounts: Accounts) -> None:
    """Everybody pulls, pushes a tag and deletes another one, with their name and secret: what they may, they can."""
    administrator = _basic(accounts.administrator)
    pulled = client.get(f"{_MANIFESTS}/v1", auth=administrator)
    pushed: dict[str, Any] = {
        "content": pulled.content,
        "headers": {"Content-Type": pulled.headers["content-type"]},
    }
    for number, holder in enumerate(accounts.holders):
        victim, auth = f"{_MANIFESTS}/for-{number}", _basic(holder.account)
        assert client.put(victim, auth=administrator, **pushed).status_code == 201
        answers = {
            "pull": client.get(f"{_MANIFESTS}/v1", auth=auth),
            "push": client.put(f"{_MANIFESTS}/by-{number}", auth=auth, **pushed),
            "delete": client.delete(victim, auth=auth),
        }
        found = {act: answer.status_code for act, answer in answers.items()}
        assert found == {act: done if act in holder.may else 403 for act, done in _DONE.items()}, holder


def _require_tokens(client: httpx.Client, accounts: Accounts) -> None:
    """Tokens are issued for a password and for the refresh token of then, and are good for something."""
    account = accounts.named("developer")
    authorisation = TokenAuthorisation(account)
    assert client.get(f"{_MANIFESTS}/v1", auth=authorisation).status_code == 200
    form = {
        "grant_type": "refresh_token",
        "refresh_token": accounts.refresh_token,
        "service": "entrepot",
        "client_id": "docker",
        "scope": f"repository:{APPLICATION}:pull",
    }
    issued = client.post("/service/token", data=form)
    assert issued.status_code == 200, issued.text
    bearer = {"Authorization": f"Bearer {issued.json()['access_token']}"}
    assert client.get(f"{_MANIFESTS}/v1", headers=bearer).status_code == 200


def require_records(registry: RunningEntrepot, accounts: Accounts) -> None:
    """Find every record of then in the log, those who may read it and nobody else, and what lay in files of the node.

    Call it before anybody but the administrator asks: that leaves records of the same kind.
    """
    control = ControlClient(registry.host, accounts.administrator)
    wanted = Counter(accounts.noted)
    wait_for(
        lambda: {each: _count(control, *each) for each in wanted} == wanted,
        _DRAIN_SECONDS,
        lambda: f"not taken over: {wanted}",
    )
    found = _listed(control)
    expected = {record.id: _as_listed(record) for record in accounts.records}
    assert {number: found.get(number) for number in expected} == expected
    for account in accounts.readers_of_the_log:
        assert control.acting_as(account).get("/audit-logs?page_size=1"), account.name
    developer = control.acting_as(accounts.named("developer"))
    assert developer.request("GET", "/audit-logs").status == 403


def _count(control: ControlClient, user: str, action: str) -> int:
    return len(control.get(f"/audit-logs?q={quote(f'username={user},operation={action}')}"))


def _as_listed(record: Record) -> tuple[str, str, str, str]:
    return record.user, record.action, record.outcome, record.about


def _listed(control: ControlClient) -> dict[int, tuple[str, str, str, str]]:
    """Return the whole log by number, as it is shown."""
    found: dict[int, tuple[str, str, str, str]] = {}
    page = 1
    while entries := control.get(f"/audit-logs?page_size={_PAGE}&page={page}"):
        for entry in entries:
            found[entry["id"]] = tuple(
                entry[name] for name in ("username", "operation", "outcome", "resource")
            )
        page += 1
    return found


def require_proof(registry: RunningEntrepot, accounts: Accounts, checkpoints: Path, directory: Path) -> None:
    """Export the log of a registry that is stopped, and prove the export with what was kept of the old version.

    `checkpoints` is a copy of its own, which nobody has added to since.
    """
    export, key = directory / "audit.jsonl", directory / "audit.pem"
    key.write_text(accounts.public_key)
    _export(registry, export)
    verdict = _verify(export, "--checkpoints", str(checkpoints), "--public-key", str(key))
    places = {
        line["entrepot"]["record_id"]: line["entrepot"]["sequence"]
        for line in map(json.loads, export.read_text().splitlines())
        if isinstance(line.get("entrepot"), dict)
    }
    assert verdict["faults"] == []
    assert (verdict["first"], verdict["last"], verdict["signed"]) == (1, len(places), len(places))
    assert verdict["uncovered"] is None
    sealed = {record.record_id: record.sequence for record in accounts.records if record.sequence}
    assert max(sealed.values()) == accounts.signed
    assert {record_id: places.get(record_id) for record_id in sealed} == sealed
    behind = {record.record_id for record in accounts.records} - set(sealed)
    assert {record_id for record_id in behind if places.get(record_id, 0) > accounts.signed} == behind


def _export(registry: RunningEntrepot, export: Path) -> None:
    command = [sys.executable, "-m", "entrepot", "audit", "export", "--config", str(registry._settings_file)]
    done = subprocess.run(
        [*command, "--output", str(export)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def _verify(export: Path, *kept: str) -> dict[str, Any]:
    """Run the command in this process, since it needs nothing of its own."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        assert run_command_line(("audit", "verify", str(export), *kept, "-o", "json")) == 0, shown.getvalue()
    verdict: dict[str, Any] = json.loads(shown.getvalue())
    return verdict


def _basic(account: Account) -> tuple[str, str]:
    return account.name, account.secret


def _holds(found: Json, document: Json) -> bool:
    """Whether a document says all that another one does; it may say more."""
    if isinstance(document, dict):
        return isinstance(found, dict) and all(
            name in found and _holds(found[name], value) for name, value in document.items()
        )
    if isinstance(document, list):
        return isinstance(found, list) and all(
            any(_holds(other, entry) for other in found) for entry in document
        )
    return found == document
