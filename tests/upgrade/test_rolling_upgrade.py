"""Two versions on one database and one bucket, as while nodes are upgraded one by one (F19)."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest

from entrepot.metadata.sql.schema import load_migrations
from tests.blackbox.clients.tokens import bearer_client
from tests.plumbing.evidence import LongRun, write_evidence
from tests.processes.running import wait_for
from tests.running.control_client import Account, ControlClient
from tests.running.entrepot import RunningEntrepot
from tests.running.with_accounts import ADMINISTRATOR, PASSWORD
from tests.upgrade.accounts import APPLICATION, Accounts
from tests.upgrade.content import Expectations, begin_upload, push_everything
from tests.upgrade.frozen_data import FROZEN, compatible_names, schema_of
from tests.upgrade.old_program import HistoryMissingError, OldCode, OldEntrepot, check_out, knows_accounts
from tests.upgrade.pulling import finish_uploads, push_again, require_everything

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.drivers.postgres_server import PostgresServer
    from tests.drivers.s3_server import S3Server

pytestmark = pytest.mark.long


@pytest.fixture(params=compatible_names())
def frozen_name(request: pytest.FixtureRequest) -> str:
    """Return each version in turn that may still run beside the head."""
    name: str = request.param
    return name


@pytest.fixture
def old_source(frozen_name: str, tmp_path: Path) -> Path:
    """Take the frozen version out of the history."""
    frozen = json.loads((FROZEN / frozen_name / "postgresql.json").read_bytes())
    try:
        return check_out(OldCode(frozen["source"], frozen["lock"]), tmp_path / "old")
    except HistoryMissingError as error:
        pytest.fail(f"{frozen_name} is not in the history here (git fetch --unshallow): {error}")


@pytest.fixture
def shared_settings(
    frozen_name: str, old_source: Path, postgres_server: PostgresServer, s3_server: S3Server
) -> dict[str, dict[str, Any]]:
    """Return one database, one part of the bucket and one master key for all nodes of a test.

    The head has accounts if the version before had them, else it goes on without, as an operator has to say.
    """
    settings: dict[str, dict[str, Any]] = {
        "metadata": {"url": postgres_server.create_database()},
        "storage": {"driver": "s3"},
        "storage.s3": {
            "endpoint": s3_server.endpoint_url,
            "bucket": s3_server.bucket,
            "prefix": f"rolling-{frozen_name}/",
            "access_key": s3_server.access_key_id,
            "secret_key": s3_server.secret_access_key,
        },
    }
    if knows_accounts(old_source):
        settings["access"] = {"accounts": True}
        settings["secrets"] = {"master_key": base64.b64encode(bytes(range(32))).decode()}
    return settings


@pytest.fixture(scope="module")
def tried(rotating_seed: int) -> Iterator[dict[str, int]]:
    """Gather how many pushes went to the old node of each version; written as evidence when all of them passed."""
    run = LongRun(rotating_seed)
    pushes: dict[str, int] = {}
    yield pushes
    if sorted(pushes) == compatible_names():
        facts = {
            "operations": sum(pushes.values()),
            "setup": "postgresql+s3",
            "head_schema": load_migrations()[-1].version,
            "pushes_to_the_old_node": pushes,
        }
        write_evidence("rolling-upgrade", facts, run, covers=("src/entrepot", "tests/upgrade"))


class _SteadyPushes:
    """Pushes images to one node, one after the other, until told to stop."""

    def __init__(self, node: RunningEntrepot, auth: httpx.Auth | None) -> None:
        self._node = node
        self._auth = auth
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._push_on)
        self.pushed = 0
        self.failure: str | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def wait_for(self, count: int) -> None:
        """Wait until so many more images were pushed."""
        wanted = self.pushed + count
        wait_for(lambda: self.pushed >= wanted or self.failure, 60, lambda: "no push was finished")
        assert self.failure is None, self.failure

    def _push_on(self) -> None:
        while not self._ended.is_set() and self.failure is None:
            try:
                push_again(self._node.url, 1000 + self.pushed, "rolling/old", auth=self._auth)
            except (AssertionError, OSError) as error:
                self.failure = f"{error}\n{self._node.log_tail()}"
            else:
                self.pushed += 1


def test_two_versions_serve_one_database_while_it_is_migrated(
    frozen_name: str,
    old_source: Path,
    shared_settings: dict[str, dict[str, Any]],
    tried: dict[str, int],
    tmp_path: Path,
) -> None:
    """No push to the old node fails, before, during and after the migration, and each node serves what the other took.

    Each goes on with uploads that the other one began. An old node that is started afterwards refuses. Where there are
    accounts, each lets in whom the other one gave a token.
    """
    newest = load_migrations()[-1].version
    first = {"ENTREPOT_ADMIN_PASSWORD": ADMINISTRATOR.secret} if knows_accounts(old_source) else {}
    old = OldEntrepot(tmp_path / "node-old", old_source, settings=shared_settings, environment=first)
    new = RunningEntrepot(tmp_path / "node-new", settings=shared_settings)
    try:
        old.start()
        old.wait_until_ready()
        expected = Expectations(commit="", source="", lock="", engine="postgresql")
        if first:
            expected.accounts = Accounts(ADMINISTRATOR)
            _make_projects(old)
        auth = expected.auth
        push_everything(old.host, expected, tmp_path)
        new.write_settings()
        with _SteadyPushes(old, auth) as pushes:
            pushes.wait_for(2)
            command = [sys.executable, "-m", "entrepot", "migrate", "--config", str(new._settings_file)]
            subprocess.run(command, check=True, timeout=60)
            pushes.wait_for(2)
            new.start()
            new.wait_until_ready()
            pushes.wait_for(2)
            require_everything(new.url, expected)
            finish_uploads(new.url, expected.uploads, auth)
            push_again(new.url, seed=5000, auth=auth)
            with httpx.Client(base_url=new.url, auth=auth) as client:
                begun = begin_upload(client, "rolling/new", seed=11, size=8000, offset=3000)
            finish_uploads(old.url, [begun], auth)
            pushes.wait_for(2)
        for number in range(pushes.pushed):
            for node in (old, new):
                assert _pull_status(node, f"rolling/old/manifests/pushed-{1000 + number}", auth) == 200
        assert _pull_status(old, f"{APPLICATION}/manifests/pushed-5000", auth) == 200
        if first:
            _require_that_tokens_hold(old, new)
            _require_that_tokens_hold(new, old)
        if schema_of(frozen_name) < newest:
            _require_that_it_refuses(OldEntrepot(tmp_path / "late", old_source, settings=shared_settings))
        assert old.events("request.failed") == []
        for node in (old, new):
            node.stop()
        tried[frozen_name] = pushes.pushed
    finally:
        for node in (old, new):
            node.end()


def _make_projects(node: RunningEntrepot) -> None:
    for project in ("team", "library", "rolling"):
        ControlClient(node.host, ADMINISTRATOR).create_project(project)


def _pull_status(node: RunningEntrepot, path: str, auth: httpx.Auth | None) -> int:
    return httpx.get(f"{node.url}/v2/{path}", auth=auth).status_code


def _require_that_tokens_hold(issuer: RunningEntrepot, other: RunningEntrepot) -> None:
    """A person made on one node gets a token there, and pulls from the other one."""
    account = Account(f"person-{issuer.port}", PASSWORD)
    control = ControlClient(issuer.host, ADMINISTRATOR)
    control.create_user(account)
    control.add_member("team", account.name, "guest")
    with bearer_client(issuer.url, account, APPLICATION, "pull") as client:
        path = f"{other.url}/v2/{APPLICATION}/manifests/pushed-5000"
        assert client.get(path).status_code == 200
        assert client.delete(path).status_code == 401


def _require_that_it_refuses(late: OldEntrepot) -> None:
    """Whether it ends or tries again is the older program's own way; it says why, and serves nothing."""
    late.start()
    try:
        sentence = "this program is older than the database"
        wait_for(lambda: sentence in late.log_text(), 60, late.log_tail)
        assert late.get_ops("/readyz")[0] != 200
        assert late.events("process.ready", **{"process.role": "parent", "role": "http"}) == []
    finally:
        late.end()
