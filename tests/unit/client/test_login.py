"""Logging in and out: what is asked of the registry, what is kept, and who can read it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from entrepot.auth.errors import PasswordChangeRequiredError
from entrepot.client.logins import Login, LoginFile
from tests.unit.client.scripted_api import Answer, Asked, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.client.conftest import Client
    from tests.unit.client.scripted_api import ScriptedApi

_ALICE = {"user_id": 7, "username": "alice", "sysadmin_flag": False}
_TOKEN = {"id": "t1", "name": "here", "secret": "ept_new", "expires_at": "2026-12-27T10:00:00.000Z"}


def _welcoming(api: ScriptedApi) -> None:
    api.on("GET /users/current", _ALICE)
    api.on("POST /access-tokens", _TOKEN, status=201)


def test_s15_login_keeps_a_token_of_thirty_days_and_not_the_password(
    client: Client, api: ScriptedApi
) -> None:
    _welcoming(api)

    result = client.run("login", api.address, "-u", "alice", "--password-stdin", stdin="correct horse\n")

    assert (result.code, result.out) == (0, "")
    assert result.err == f"Logged in to {api.url} as alice; the login ends 2026-12-27 10:00:00+00:00.\n"
    assert [one.credentials for one in api.asked] == ["alice:correct horse"] * 2
    assert api.document_of("POST /access-tokens")["expires_in_days"] == 30
    assert client.stored() == {
        "format": 1,
        "current": api.url,
        "servers": {
            api.url: {
                "user": "alice",
                "kind": "token",
                "secret": "ept_new",
                "token_id": "t1",
                "expires_at": "2026-12-27T10:00:00.000Z",
            }
        },
    }


def test_s27_only_its_owner_can_open_the_file_whatever_the_umask(client: Client, api: ScriptedApi) -> None:
    _welcoming(api)
    before = os.umask(0)
    try:
        client.run("login", api.address, "-u", "alice", "--password-stdin", stdin="p\n")
    finally:
        os.umask(before)

    assert stat.S_IMODE(client.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(client.file.parent.stat().st_mode) == 0o700
    assert [path.name for path in client.file.parent.iterdir()] == ["client.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_s27_a_file_that_others_can_open_is_not_used(client: Client, api: ScriptedApi, mode: int) -> None:
    client.log_in(api)
    client.file.chmod(mode)

    result = client.run("whoami")

    assert result.code == 2
    assert "chmod 600" in result.err
    assert api.asked == []


def test_tokens_of_two_logins_have_different_names(client: Client, api: ScriptedApi) -> None:
    _welcoming(api)
    for _ in range(2):
        client.run("login", api.address, "-u", "alice", "--password-stdin", stdin="p\n")

    names = [one.document["name"] for one in api.asked if one.method == "POST"]
    assert len(set(names)) == 2
    assert all(1 <= len(name) <= 64 for name in names)


def test_a_second_login_removes_the_token_of_the_first(client: Client, api: ScriptedApi) -> None:
    _welcoming(api)
    client.run("login", api.address, "-u", "alice", "--password-stdin", stdin="p\n")
    api.on("POST /access-tokens", {**_TOKEN, "id": "t2", "secret": "ept_second"}, status=201)
    api.on("DELETE /access-tokens/t1")

    client.run("login", api.address, "-u", "alice", "--password-stdin", stdin="p\n")

    assert api.asked[-1].path == "/access-tokens/t1"
    assert api.asked[-1].credentials == "alice:ept_new"
    assert client.stored()["servers"][api.url]["token_id"] == "t2"


def test_a_wrong_password_ends_with_3_and_leaves_the_file_as_it_was(client: Client, api: ScriptedApi) -> None:
    api.on("GET /users/current", refusal(401, "wrong name or password", x_request_id="r-1"))

    result = client.run("login", api.address, "-u", "alice", "--password-stdin", stdin="wrong\n")

    assert result.code == 3
    assert result.err.splitlines()[0] == "entrepot: wrong name or password"
    assert result.err.splitlines()[-1] == "Request id: r-1"
    assert not client.file.exists()


def test_without_access_tokens_the_password_is_kept_only_if_that_is_said(
    client: Client, api: ScriptedApi
) -> None:
    api.on("GET /users/current", _ALICE)

    refused = client.run("login", api.address, "-u", "alice", "--password-stdin", stdin="p\n")
    exists = client.file.exists()
    said = client.run(
        "login", api.address, "-u", "alice", "--password-stdin", "--store-password", stdin="p\n"
    )

    assert (refused.code, exists) == (1, False)
    assert "--store-password" in refused.err
    assert said.code == 0
    assert client.stored()["servers"][api.url] == {"user": "alice", "kind": "password", "secret": "p"}


def test_a_password_that_has_to_be_changed_is_told_where_nobody_can_be_asked(
    client: Client, api: ScriptedApi
) -> None:
    api.on("GET /users/current", _ALICE)
    api.on("POST /access-tokens", refusal(403, "the password has to be changed first"))

    result = client.run("login", api.address, "-u", "alice", "--password-stdin", stdin="p\n")

    assert (result.code, client.file.exists()) == (1, False)
    assert result.err.splitlines()[0] == "entrepot: the password has to be changed first"
    assert "at a terminal" in result.err


@pytest.mark.parametrize(("name", "secret"), [("a:b", "p"), ("a", ""), ("a", "\udcff")])
def test_what_can_be_no_credentials_is_usage(
    client: Client, api: ScriptedApi, name: str, secret: str
) -> None:
    result = client.run("login", api.address, "-u", name, "--password-stdin", stdin=f"{secret}\n")

    assert result.code == 2
    assert api.asked == []


def test_logins_at_the_same_time_do_not_lose_one_another(tmp_path: Path) -> None:
    file = LoginFile(tmp_path / "entrepot" / "client.json")
    urls = [f"https://r{number}.example" for number in range(12)]

    def log_in(url: str) -> None:
        login = Login(url, "alice", "token", "ept_1")
        file.change(lambda logins: logins.with_login(login))

    with ThreadPoolExecutor(len(urls)) as pool:
        list(pool.map(log_in, urls))

    assert sorted(file.load().by_url) == sorted(urls)


def test_a_robot_logs_in_with_its_secret(client: Client, api: ScriptedApi) -> None:
    api.on("GET /users/current", refusal(404, "there is no such person"))

    result = client.run("login", api.address, "-u", "robot$ci", "--password-stdin", stdin="ers_1\n")

    assert result.code == 0
    assert api.lines() == ["GET /users/current"]
    assert client.stored()["servers"][api.url]["secret"] == "ers_1"


def test_an_access_token_is_kept_as_it_is(client: Client, api: ScriptedApi) -> None:
    api.on("GET /users/current", refusal(403, "an access token with limits has no account"))

    result = client.run("login", api.address, "-u", "alice", "--password-stdin", stdin="ept_mine\n")

    assert result.code == 0
    assert client.stored()["servers"][api.url] == {"user": "alice", "kind": "token", "secret": "ept_mine"}


def test_a_page_that_is_no_registry_is_no_login(client: Client, api: ScriptedApi) -> None:
    api.on("GET /users/current", Answer(raw=b"<html>welcome</html>"))

    result = client.run("login", api.address, "-u", "alice", "--password-stdin", stdin="p\n")

    assert result.code == 1
    assert "no JSON" in result.err


def test_logout_removes_the_token_with_itself(client: Client, api: ScriptedApi) -> None:
    _welcoming(api)
    client.run("login", api.address, "-u", "alice", "--password-stdin", stdin="p\n")
    api.on("DELETE /access-tokens/t1")

    result = client.run("logout")

    assert (result.code, result.err) == (0, f"Logged out of {api.url}.\n")
    assert (api.asked[-1].method, api.asked[-1].credentials) == ("DELETE", "alice:ept_new")
    assert client.stored() == {"format": 1, "current": api.url, "servers": {}}
    assert client.run("project", "list").err.splitlines() == [
        f"entrepot: logged out of {api.url}",
        f"Log in again: entrepot login {api.url}",
    ]


def test_logout_forgets_the_login_even_when_the_token_can_not_be_removed(
    client: Client, api: ScriptedApi
) -> None:
    _welcoming(api)
    client.run("login", api.address, "-u", "alice", "--password-stdin", stdin="p\n")
    api.on("DELETE /access-tokens/t1", refusal(503, "internal server error"))

    result = client.run("logout")

    assert result.code == 6
    assert "Its token is still good until 2026-12-27 10:00:00+00:00" in result.err
    assert client.stored()["servers"] == {}


def test_login_at_a_registry_without_accounts_says_so(client: Client, api: ScriptedApi) -> None:
    api.on("GET /users/current", refusal(404, "this registry has no such endpoint", code="UNSUPPORTED"))

    result = client.run("login", api.address, "-u", "alice", "--password-stdin", stdin="p\n")

    assert result.code == 1
    assert result.err.splitlines() == [
        f"entrepot: {api.url} has no accounts, so there is nobody to log in as",
        "Use it without logging in, or have access.accounts switched on in its settings.",
    ]


def test_logout_of_a_token_that_ended_is_done(client: Client, api: ScriptedApi) -> None:
    _welcoming(api)
    client.run("login", api.address, "-u", "alice", "--password-stdin", stdin="p\n")
    api.on("DELETE /access-tokens/t1", refusal(401, "expired"))

    assert client.run("logout").code == 0
    assert client.run("logout").code == 3


def test_several_registries_have_one_that_is_meant(client: Client, api: ScriptedApi) -> None:
    client.log_in(api)
    document = client.stored()
    other = {"user": "bob", "kind": "password", "secret": "b"}
    document["servers"]["https://other.example"] = other
    client.file.write_text(json.dumps(document))

    names = client.run("server", "list", "-o", "name").out.split()
    used = client.run("server", "use", "other.example")

    assert names == [api.url, "https://other.example"]
    assert used.err == "The current registry is https://other.example.\n"
    assert client.stored()["current"] == "https://other.example"
    assert client.run("server", "use", "nowhere.example").code == 3


def _logged_in_elsewhere_too(client: Client, api: ScriptedApi) -> str:
    """Log in to the registry, beside one where somebody is logged in already; return that one's URL."""
    client.log_in(api)
    document = client.stored()
    other = f"http://localhost:{api.port}"
    document["servers"][other] = {"user": "bob", "kind": "password", "secret": "b"}
    client.file.write_text(json.dumps(document))
    return other


def test_after_a_logout_no_other_registry_takes_the_place_of_the_current_one(
    client: Client, api: ScriptedApi
) -> None:
    """The next line of a script would delete something there."""
    other = _logged_in_elsewhere_too(client, api)

    left = client.run("logout")
    deleted = client.run("project", "delete", "team", "--yes")
    password = client.run("user", "password", "--user", "eve", "--password-stdin", stdin="a\nb\n")

    assert left.err.splitlines() == [
        f"Logged out of {api.url}.",
        "No other registry takes its place: choose one with entrepot server use, or log in again.",
    ]
    assert deleted.code == 3
    assert deleted.err.splitlines() == [
        f"entrepot: logged out of {api.url}",
        f"Log in again: entrepot login {api.url}",
        f"Or choose another one: entrepot server use {other}",
    ]
    assert password.code == 2
    assert api.asked == []
    api.on("GET /projects", [])
    assert client.run("project", "list", "--server", other).code == 0
    client.run("server", "use", other)
    assert client.run("project", "list").code == 0
    assert [one.credentials for one in api.asked] == ["bob:b", "bob:b"]


def test_a_logout_of_another_registry_leaves_the_current_one(client: Client, api: ScriptedApi) -> None:
    other = _logged_in_elsewhere_too(client, api)
    api.on("GET /projects", [])

    assert client.run("logout", other).err == f"Logged out of {other}.\n"
    assert client.run("project", "list").code == 0


def test_a_login_that_fails_changes_no_current_registry_and_says_so(client: Client, api: ScriptedApi) -> None:
    other = _logged_in_elsewhere_too(client, api)
    before = client.stored()
    api.on("GET /users/current", refusal(401, "wrong name or password"))
    told = f"The current registry is still {api.url}."

    elsewhere = client.run("login", other, "-u", "eve", "--password-stdin", stdin="p\n")
    there = client.run("login", api.url, "-u", "eve", "--password-stdin", stdin="p\n")

    assert (elsewhere.code, there.code) == (3, 3)
    assert elsewhere.err.splitlines()[-1] == told
    assert told not in there.err
    assert client.stored() == before


def test_the_environment_is_enough_and_goes_before_the_file(
    client: Client, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.log_in(api)
    api.on("GET /projects", [])
    monkeypatch.setenv("REGISTRY_CLIENT_SERVER", api.address)
    monkeypatch.setenv("REGISTRY_CLIENT_USER", "robot$ci")
    monkeypatch.setenv("REGISTRY_CLIENT_SECRET", "ers_2")

    assert client.run("project", "list").code == 0
    assert api.asked[-1].credentials == "robot$ci:ers_2"
    monkeypatch.delenv("REGISTRY_CLIENT_USER")
    assert client.run("project", "list").code == 2


def test_nobody_logged_in_ends_with_3(client: Client) -> None:
    result = client.run("project", "list")

    assert result.code == 3
    assert result.err.splitlines()[0] == "entrepot: not logged in"


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "{}", "\x00"),
        '{"format": 2, "current": "", "servers": {}}',
        '{"format": 1, "current": 7, "servers": {}}',
    ],
)
def test_a_file_of_another_form_is_told_and_left_alone(client: Client, content: str) -> None:
    client.file.parent.mkdir()
    client.file.touch(mode=0o600)
    client.file.write_text(content)

    result = client.run("server", "list")

    assert result.code == 2
    assert client.file.read_text() == content


def test_s27_a_password_typed_at_a_terminal_is_not_shown(client: Client, api: ScriptedApi) -> None:
    """The terminal is a real one, and so is the reading without echo."""
    _welcoming(api)
    spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    command = [sys.executable, "-m", "entrepot", "login", api.address, "-u", "alice"]
    with subprocess.Popen(
        [sys.executable, "-c", spawn, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        seen = b""
        while not seen.endswith(f"at {api.url}: ".encode()):
            seen += os.read(process.stdout.fileno(), 1)
        process.stdin.write(b"hunter2\n")
        process.stdin.flush()
        seen += process.stdout.read()
        process.stdin.close()

    assert process.returncode == 0
    assert b"hunter2" not in seen
    assert api.asked[0].credentials == "alice:hunter2"


@pytest.mark.parametrize(("weak", "code"), [(0, 0), (2, 0), (3, 1)])
def test_a_password_that_has_to_be_changed_is_changed_at_the_login(
    client: Client, api: ScriptedApi, weak: int, code: int
) -> None:
    """A weak new one is told to be so, and asked for again: three times in all; no other command is named meanwhile."""
    due = str(PasswordChangeRequiredError())
    changed: list[object] = []

    def make(asked: Asked) -> Answer:
        good = asked.credentials == "alice:n3w"
        return Answer(201, _TOKEN) if good else refusal(403, due)

    def change(asked: Asked) -> Answer:
        changed.append(asked.document)
        return refusal(400, "the password is not accepted") if len(changed) <= weak else Answer()

    api.on("GET /users/current", _ALICE)
    api.on_call("POST /access-tokens", make)
    api.on_call("PUT /users/7/password", change)
    spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    command = [sys.executable, "-m", "entrepot", "login", api.address, "-u", "alice"]
    with subprocess.Popen(
        [sys.executable, "-c", spawn, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        seen = b""
        chosen = (("New password: ", "n3w"), ("Once more: ", "n3w")) * min(weak + 1, 3)
        for prompt, typed in ((f"at {api.url}: ", "old"), *chosen):
            while not seen.endswith(prompt.encode()):
                seen += os.read(process.stdout.fileno(), 1)
            process.stdin.write(f"{typed}\n".encode())
            process.stdin.flush()
        seen += process.stdout.read()
        process.stdin.close()

    assert process.returncode == code
    assert changed == [{"old_password": "old", "new_password": "n3w"}] * min(weak + 1, 3)
    assert seen.count(b"the password is not accepted") == weak
    assert b"The password has to be changed first." in seen
    assert b"entrepot user password" not in seen
    if code == 0:
        assert client.stored()["servers"][api.url]["secret"] == "ept_new"
