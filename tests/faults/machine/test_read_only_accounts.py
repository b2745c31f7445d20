"""F9 with accounts: everything lies on a volume that turned read-only, and a process that serves clients starts on it.

Whatever would have to be recorded in the database is refused, and a login is (I11): nobody guesses passwords uncounted
(I6). What was proven before goes on: tokens to their end, and for a minute credentials that a process remembers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import pytest

from entrepot.processes.assignment import Role
from tests.faults.machine.content import RefusedError, content_of, push_content
from tests.faults.machine.remote import BROKEN, remote_client
from tests.faults.machine.volumes import MIB, ext4_volume, repair_ext4, report_damage
from tests.faults.pushing import AcknowledgementLog
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import is_alive, wait_for
from tests.running.control_client import Account
from tests.running.with_accounts import ADMINISTRATOR, PASSWORD, EntrepotWithAccounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.asgi.client import AsgiClient, AsgiReply
    from tests.faults.machine.content import Content
    from tests.faults.machine.findings import Findings

_BUFFERED: Final = 20
"""Records that each process may keep in memory (`audit_log.buffer_records`)."""
_NOT_WRITABLE: Final = 5
"""The exit code of a start on a directory that takes no writes."""
_BOB: Final = Account("bob", PASSWORD)
_WRONG: Final = Account("bob", "Wrong-Meadow-30")


class _Site:
    """A registry with a public and a private project, an image in each, and two people of whom one logged in."""

    def __init__(self, registry: EntrepotWithAccounts, scratch: Path) -> None:
        self.registry = registry
        self.anybody = remote_client(registry.port)
        self.public = content_of("one layer", 1, "open/app")
        self.private = content_of("one layer", 2, "closed/app")
        self._acknowledged = AcknowledgementLog.open(scratch / "acknowledged")

    def client(self, authorization: str) -> AsgiClient:
        return dataclasses.replace(self.anybody, headers={"Authorization": authorization})

    @property
    def administrator(self) -> AsgiClient:
        return self.client(ADMINISTRATOR.basic)

    async def fill(self) -> None:
        control = self.registry.control()
        control.create_project("open", public="true")
        control.create_project("closed")
        control.create_user(_BOB)
        control.add_member("closed", "bob", "guest")
        for content in (self.public, self.private):
            project = content.repository.partition("/")[0]
            control.call("POST", f"/projects/{project}/repositories", {"name": "app"}, status=201)
            await self.push(content)

    async def push(self, content: Content) -> None:
        await push_content(self.administrator, content, self._acknowledged)

    async def token(self, client: AsgiClient, content: Content) -> AsgiReply:
        return await client.request("GET", f"/service/token?scope=repository:{content.repository}:pull")

    async def token_by_password(self, account: Account) -> AsgiReply:
        form = {
            "grant_type": "password",
            "service": "entrepot",
            "client_id": "test",
            "username": account.name,
            "password": account.secret,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.anybody.request("POST", "/service/token", headers, [urlencode(form).encode()])

    async def bearer(self, client: AsgiClient, content: Content) -> AsgiClient:
        reply = await self.token(client, content)
        assert reply.status == 200, reply
        return self.client(f"Bearer {json.loads(reply.body)['token']}")

    async def pull(self, client: AsgiClient, content: Content) -> AsgiReply:
        """Ask for the manifest, which leaves one note."""
        return await client.request("GET", f"/v2/{content.repository}/manifests/latest")

    async def require_push_refused(self) -> None:
        """A push by somebody whose credentials are remembered, or are not: 503, and it may be repeated."""
        with pytest.raises(RefusedError) as refusal:
            await self.push(content_of("one layer", 9, "closed/app"))
        _require_unavailable(refusal.value.reply)

    def control_status(self, method: str, path: str, document: object = None) -> int:
        return self.registry.control().request(method, path, document).status

    def kill_http(self) -> None:
        self.registry.kill(Role.HTTP)
        wait_for(self._is_answering, PATIENCE_SECONDS, self.registry.log_tail)

    def _is_answering(self) -> bool:
        try:
            return self.registry.get("/v2/", 10)[0] == 401
        except BROKEN:
            return False

    def buffered(self) -> float:
        """How many records wait in memory."""
        _, body = self.registry.get_ops("/metrics")
        found = [
            line for line in body.decode().splitlines() if line.startswith("registry_audit_buffer_records")
        ]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    def is_write_ready(self) -> bool:
        return self.registry.get_ops("/readyz/write")[0] == 200


@contextlib.contextmanager
def _site(tmp_path: Path, volume: Path) -> Iterator[_Site]:
    registry = EntrepotWithAccounts(
        tmp_path / "registry",
        settings={"storage": {"min_free_bytes": 0}, "audit_log": {"buffer_records": _BUFFERED}},
        data_directory=volume,
    )
    registry.start()
    try:
        registry.wait_until_ready()
        yield _Site(registry, tmp_path)
    finally:
        processes = registry.processes()
        registry.end()
        wait_for(lambda: not any(is_alive(pid) for pid in processes), PATIENCE_SECONDS, registry.log_tail)


def _require_unavailable(reply: AsgiReply) -> None:
    """The same for a right secret as for a wrong one: neither attempt could be counted."""
    assert (reply.status, reply.error_code(), reply.headers["retry-after"]) == (503, "UNAVAILABLE", "1")


async def _require_what_was_proven_goes_on(site: _Site, held: AsgiClient) -> None:
    """Two notes: tokens that were issued before are good to their end, and nobody in particular gets new ones."""
    assert (await site.pull(held, site.private)).status == 200
    assert (await site.pull(await site.bearer(site.anybody, site.public), site.public)).status == 200
    assert site.registry.get_ops("/readyz")[0] == 200


async def _require_logins_refused(site: _Site, account: Account) -> None:
    for presented in (account, _WRONG):
        client = site.client(presented.basic)
        _require_unavailable(await site.pull(client, site.private))
        _require_unavailable(await site.token(client, site.private))
        granted = await site.token_by_password(presented)
        assert (granted.status, json.loads(granted.body)["error"]) == (503, "temporarily_unavailable")
    session = {"username": account.name, "password": account.secret}
    assert site.control_status("POST", "/sessions", session) == 503


async def test_f9_accounts_on_a_volume_that_turns_read_only_and_a_process_that_starts_on_it_i6_i11(
    tmp_path: Path, findings: Findings
) -> None:
    with ext4_volume(tmp_path / "volume", 64 * MIB, options="errors=remount-ro") as volume:
        with _site(tmp_path, volume) as site:
            await site.fill()
            held = await site.bearer(site.administrator, site.private)
            report_damage(volume)

            await _require_what_was_proven_goes_on(site, held)
            assert (await site.pull(site.administrator, site.private)).status == 200  # is remembered
            assert site.control_status("GET", "/users/current") == 200
            _require_unavailable(await site.token(site.administrator, site.private))  # would leave a record
            assert site.control_status("POST", "/projects", {"project_name": "new"}) == 503
            await _require_logins_refused(site, _BOB)
            await site.require_push_refused()
            wait_for(
                lambda: site.buffered() == 3, PATIENCE_SECONDS, lambda: f"{site.buffered()} records wait"
            )

            site.kill_http()
            await _require_what_was_proven_goes_on(site, held)
            for account in (ADMINISTRATOR, _WRONG):  # nobody is remembered here
                _require_unavailable(await site.pull(site.client(account.basic), site.private))
            assert site.control_status("GET", "/users/current") == 503
            await site.require_push_refused()
            wait_for(lambda: not site.is_write_ready(), PATIENCE_SECONDS, lambda: "still ready to write")
            # Two records wait by now. As many as are allowed are answered, and not one more.
            statuses = [(await site.pull(held, site.private)).status for _ in range(_BUFFERED)]
            assert statuses == [200] * (_BUFFERED - 2) + [503] * 2
            refused = await site.pull(await site.bearer(site.anybody, site.public), site.public)
            _require_unavailable(refused)

            site.registry.end()
            site.registry.start()
            assert site.registry.wait_exit() == _NOT_WRITABLE
        repair_ext4(volume)
        with _site(tmp_path, volume) as site:
            for account in (ADMINISTRATOR, _BOB):
                client = await site.bearer(site.client(account.basic), site.private)
                assert (await site.pull(client, site.private)).status == 200
        findings.note("F9", "accounts, ext4 that turned itself read-only", statuses=[503])
