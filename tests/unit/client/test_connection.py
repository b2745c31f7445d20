"""What the client makes of answers, and of none: exit codes, advice, pages, trust."""

from __future__ import annotations

import contextlib
import json
import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.client.addresses import parse_address
from entrepot.client.connection import Api
from entrepot.client.errors import EXIT_CODES
from tests.processes.certificates import make_certificate
from tests.running.free_ports import find_free_port
from tests.unit.client.scripted_api import Answer, Asked, refusal, scripted_api

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.client.conftest import Client
    from tests.unit.client.scripted_api import ScriptedApi


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, 1),
        (401, 3),
        (403, 1),
        (404, 4),
        (405, 1),
        (409, 5),
        (412, 5),
        (422, 1),
        (429, 6),
        (500, 1),
        (502, 6),
        (503, 6),
        (504, 6),
        (507, 1),
    ],
)
def test_each_refusal_has_its_exit_code_message_and_request_id(
    client: Client, api: ScriptedApi, status: int, code: int
) -> None:
    client.log_in(api)
    api.on("POST /projects", refusal(status, "because", x_request_id="req-9"))

    result = client.run("project", "create", "team")

    lines = result.err.splitlines()
    assert result.code == code
    assert code in EXIT_CODES
    assert lines[0] == "entrepot: because"
    assert lines[-1] == "Request id: req-9"
    assert len(lines) == (2 if status in {400, 403, 503} else 3)  # these say themselves what helps


def test_a_registry_without_its_database_is_told_of_in_its_own_words(
    client: Client, api: ScriptedApi
) -> None:
    """With when to try again, and by which number the log tells more."""
    client.log_in(api)
    message = "the registry's database does not answer; try again"
    api.on("GET /projects", refusal(503, message, code="UNAVAILABLE", retry_after="1", x_request_id="req-9"))

    result = client.run("project", "list")

    assert (result.code, result.err.splitlines()) == (
        6,
        [f"entrepot: {message}", "Try again in 1 second.", "Request id: req-9"],
    )


@pytest.mark.parametrize("status", [400, 403])
def test_a_refusal_without_a_word_is_explained_by_the_client(
    client: Client, api: ScriptedApi, status: int
) -> None:
    client.log_in(api)
    api.on("POST /projects", Answer(status))

    result = client.run("project", "create", "team")

    assert result.err.splitlines()[0] == f"entrepot: HTTP status {status}"
    assert len(result.err.splitlines()) == 2


def test_a_refusal_says_when_to_come_back(client: Client, api: ScriptedApi) -> None:
    client.log_in(api)
    api.on("GET /projects", refusal(429, "locked out", retry_after="60"))

    assert "Try again in 60 seconds." in client.run("project", "list").err.splitlines()


@pytest.mark.parametrize(
    ("answer", "code", "remedy"),
    [
        (
            refusal(429, "no", code="LOCKED_OUT"),
            3,
            "Too many wrong passwords: wait, or have an administrator unlock the account.",
        ),
        (refusal(429, "no", code="TOO_MANY_REQUEST"), 6, "Send fewer requests at once."),
        (Answer(429, raw=b"<html>a proxy's</html>"), 6, "Send fewer requests at once."),
    ],
)
def test_many_requests_are_not_taken_for_wrong_passwords(
    client: Client, api: ScriptedApi, answer: Answer, code: int, remedy: str
) -> None:
    client.log_in(api)
    api.on("GET /projects", answer)

    result = client.run("project", "list")

    assert (result.code, result.err.splitlines()[1]) == (code, remedy)


def test_a_refusal_can_not_steer_the_terminal(client: Client, api: ScriptedApi) -> None:
    client.log_in(api)
    api.on("GET /projects", refusal(403, "\x1b]0;owned\x07", x_request_id="a\x9bb"))

    assert "\x1b" not in client.run("project", "list").err


def test_an_answer_of_a_proxy_is_told_by_its_status(client: Client, api: ScriptedApi) -> None:
    client.log_in(api)
    api.on("GET /projects", Answer(502, raw=b"<html>Bad Gateway</html>"))

    result = client.run("project", "list")

    assert (result.code, result.err.splitlines()[0]) == (6, "entrepot: HTTP status 502")


def test_s29_a_redirect_is_not_followed_with_the_credentials(client: Client, api: ScriptedApi) -> None:
    with scripted_api() as elsewhere:
        client.log_in(api)
        api.on("GET /projects", Answer(307, headers={"Location": f"{elsewhere.url}/api/v2.0/projects"}))

        result = client.run("project", "list")

    assert result.code == 1
    assert elsewhere.url in result.err
    assert elsewhere.asked == []


def test_a_registry_that_is_not_there_ends_with_6(client: Client, api: ScriptedApi) -> None:
    port = find_free_port()
    client.log_in(api)

    result = client.run("login", f"127.0.0.1:{port}", "-u", "a", "--password-stdin", stdin="p\n")

    assert result.code == 6
    assert (
        result.err.splitlines()[0]
        == f"entrepot: http://127.0.0.1:{port} can't be reached: Connection refused"
    )


def _pages(total: int, asked: Asked) -> Answer:
    page, size = int(asked.query["page"]), int(asked.query["page_size"])
    numbers = range((page - 1) * size, min(page * size, total))
    more = page * size < total
    link = {"Link": f'</api/v2.0/projects?page={page + 1}&page_size={size}>; rel="next"'} if more else {}
    return Answer(document=[{"name": f"p{number}"} for number in numbers], headers=link)


@pytest.mark.parametrize(
    ("limit", "names", "requests"),
    [((), 250, 3), (("--limit", "0"), 250, 3), (("--limit", "7"), 7, 1), (("--limit", "130"), 130, 2)],
)
def test_pages_are_followed_as_far_as_is_wanted(
    client: Client, api: ScriptedApi, limit: tuple[str, ...], names: int, requests: int
) -> None:
    client.log_in(api)
    api.on_call("GET /projects", lambda asked: _pages(250, asked))

    result = client.run("project", "list", "-o", "name", *limit)

    assert result.out.split() == [f"p{number}" for number in range(names)]
    assert len(api.asked) == requests


def test_what_a_link_adds_to_the_way_is_said_again_and_nothing_else_of_it(
    client: Client, api: ScriptedApi
) -> None:
    """As the audit log does, so that what is added meanwhile moves nothing."""
    client.log_in(api)
    way = "//elsewhere.example/other?mark=99-7-250&page=2&q=outcome=failure,username=a b&upto=106"
    links = iter([f'</api/v2.0/audit-logs?page=0>; rel="prev" , <{way}>; rel="next"', ""])
    api.on_call(
        "GET /audit-logs",
        lambda _asked: Answer(document=[{"id": 1, "username": "ann"}], headers={"Link": next(links)}),
    )

    client.run("audit", "list", "--limit", "0", "--outcome", "failure", "--user", "a b", "-o", "name")

    assert [asked.query for asked in api.asked] == [
        {"q": "username=a%20b,outcome=failure", "page": "1", "page_size": "100"},
        {
            "q": "outcome=failure,username=a b",
            "page": "2",
            "page_size": "100",
            "upto": "106",
            "mark": "99-7-250",
        },
    ]


def test_a_connection_that_the_registry_left_while_somebody_was_asked_is_made_again(
    api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entrepot.client.connection._IDLE_SECONDS", 0.1)
    api.idle_seconds = 0.2
    api.on("GET /users/current", {"username": "alice"})
    asking = Api(parse_address(api.address), ("alice", "p"))
    try:
        asking.get("/users/current")
        time.sleep(0.5)
        asking.get("/users/current")
    finally:
        asking.close()

    assert len(api.asked) == 2


def test_an_empty_page_ends_the_walk_whatever_its_link_says(client: Client, api: ScriptedApi) -> None:
    client.log_in(api)
    api.on("GET /projects", Answer(document=[], headers={"Link": '</x>; rel="next"'}))

    assert client.run("project", "list").code == 0
    assert len(api.asked) == 1


def test_json_is_what_the_api_said_and_nothing_hidden_stands_in_it(client: Client, api: ScriptedApi) -> None:
    said: list[dict[str, Any]] = [{"name": "仓库\u202e\x9b", "later": {"added": [1]}}]
    client.log_in(api)
    api.on("GET /projects", said)

    out = client.run("project", "list", "-o", "json").out

    assert json.loads(out) == said
    assert "仓库" in out
    assert "\u202e" not in out
    assert "\x9b" not in out


@contextlib.contextmanager
def _encrypted_api(
    directory: Path, span: tuple[str, str] | None = None
) -> Iterator[tuple[ScriptedApi, Path]]:
    """Yield an API over TLS, and the file with its certificate, valid for the span of :func:`make_certificate`."""
    certificate, key = make_certificate(directory, "own", span)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with scripted_api(context) as api:
        yield api, certificate


def test_tls_needs_a_certificate_of_an_authority_that_is_named(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _encrypted_api(tmp_path) as (api, certificate):
        api.on("GET /users/current", {"user_id": 1, "username": "alice"})
        api.on("POST /access-tokens", {"id": "t", "secret": "ept_1"}, status=201)
        server = f"https://localhost:{api.port}"
        login = ("login", server, "-u", "alice", "--password-stdin")

        unknown = client.run(*login, stdin="p\n")
        monkeypatch.chdir(tmp_path)
        known = client.run(*login, "--ca-file", "own.crt", stdin="p\n")
        monkeypatch.chdir("/")
        later = client.run("whoami", "-o", "name")

    assert unknown.code == 6
    assert "Name the authority that signed it with --ca-file." in unknown.err
    assert (known.code, later.code, later.out) == (0, 0, "alice\n")
    assert client.stored()["servers"][server]["ca_file"] == str(certificate)


def test_with_the_file_of_an_authority_it_is_https_without_being_said(client: Client, tmp_path: Path) -> None:
    """Whoever names an authority means TLS, also on this machine; nothing is sent in the clear."""
    with _encrypted_api(tmp_path) as (api, certificate):
        api.on("GET /users/current", {"user_id": 1, "username": "alice"})
        api.on("POST /access-tokens", {"id": "t", "secret": "ept_1"}, status=201)
        login = (f"localhost:{api.port}", "-u", "alice", "--password-stdin", "--ca-file", str(certificate))

        result = client.run("login", *login, stdin="p\n")

        assert result.code == 0, result.err
        assert list(client.stored()["servers"]) == [f"https://localhost:{api.port}"]
        assert client.run("whoami", "--server", f"localhost:{api.port}", "-o", "name").out == "alice\n"
        api.on("PUT /users/1/password")
        named = ("--server", f"localhost:{api.port}", "--user", "alice", "--ca-file", str(certificate))
        assert client.run("user", "password", *named, "--password-stdin", stdin="p\nq\n").code == 0


def test_what_helps_against_a_certificate_is_not_what_was_given(client: Client, tmp_path: Path) -> None:
    other, _ = make_certificate(tmp_path, "other")
    with _encrypted_api(tmp_path) as (api, certificate):
        login = ("login", "-u", "alice", "--password-stdin", "--ca-file")

        misnamed = client.run(*login, str(certificate), f"https://127.0.0.1:{api.port}", stdin="p\n")
        mistaken = client.run(*login, str(other), f"https://localhost:{api.port}", stdin="p\n")

    assert (misnamed.code, mistaken.code, api.asked) == (6, 6, [])
    assert misnamed.err.splitlines()[-1].startswith("Name the registry as its certificate does")
    assert mistaken.err.splitlines()[-1] == f"{other} does not hold the authority that signed it."
    assert "--ca-file" not in misnamed.err + mistaken.err


@pytest.mark.parametrize("span", [("20200101", "20210101"), ("20980101", "20990101")])
def test_no_authority_helps_against_a_certificate_out_of_its_time(
    client: Client, tmp_path: Path, span: tuple[str, str]
) -> None:
    with _encrypted_api(tmp_path, span) as (api, certificate):
        login = ("login", f"localhost:{api.port}", "-u", "alice", "--password-stdin")

        result = client.run(*login, "--ca-file", str(certificate), stdin="p\n")

    assert (result.code, api.asked) == (6, [])
    assert result.err.splitlines()[-1].startswith("Have the certificate renewed, or set the clock")


def test_a_file_that_holds_no_authority_is_usage(client: Client, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    for file in (empty, tmp_path / "absent.pem"):
        result = client.run(
            "login", "registry.example", "-u", "a", "--password-stdin", "--ca-file", str(file), stdin="p\n"
        )
        assert result.code == 2
