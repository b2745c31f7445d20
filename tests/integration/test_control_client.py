"""The tests' own client of the control API says what it is told to, and takes no wrong answer for a right one."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tests.running.control_client import Account, ControlClient, ControlError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANN = Account("ann", "canary")
_BASIC_OF_ANN = "Basic YW5uOmNhbmFyeQ=="


class _Scripted(http.server.BaseHTTPRequestHandler):
    """Writes down what it is asked, and answers what the test wants."""

    asked: ClassVar[list[tuple[str, str, str | None, Any]]] = []
    answer: ClassVar[tuple[int, dict[str, str], bytes]] = (200, {}, b"")

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        document = json.loads(body) if body else None
        self.asked.append((self.command, self.path, self.headers.get("Authorization"), document))
        status, headers, content = self.answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  # names that http.server asks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as http.server names it
        """Write nothing."""


@pytest.fixture
def host() -> Iterator[str]:
    """Serve on a free port."""
    _Scripted.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Scripted) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_a_project_is_asked_for_as_harbor_wants_it_and_its_number_is_read_from_location(host: str) -> None:
    _Scripted.answer = (201, {"Location": "/api/v2.0/projects/17"}, b"")

    assert ControlClient(host, _ANN).create_project("team", public="true") == 17
    assert _Scripted.asked == [
        (
            "POST",
            "/api/v2.0/projects",
            _BASIC_OF_ANN,
            {"project_name": "team", "metadata": {"public": "true"}},
        )
    ]


def test_a_member_is_added_by_the_number_of_the_role(host: str) -> None:
    _Scripted.answer = (201, {"Location": "/api/v2.0/projects/team/members/4"}, b"")

    assert ControlClient(host, _ANN).add_member("team", "bob", "team-lead") == 4
    assert _Scripted.asked == [
        (
            "POST",
            "/api/v2.0/projects/team/members",
            _BASIC_OF_ANN,
            {"role_id": 4, "member_user": {"username": "bob"}},
        )
    ]


def test_a_robot_is_known_by_the_name_and_the_secret_of_the_answer(host: str) -> None:
    made = {"id": 3, "name": "robot$team+ci", "secret": "ers_x"}
    _Scripted.answer = (201, {"Content-Type": "application/json"}, json.dumps(made).encode())

    robot = ControlClient(host, _ANN).create_robot("team", "ci", ["repository:pull"])

    assert robot == Account("robot$team+ci", "ers_x")
    assert _Scripted.asked[0][3] == {
        "name": "ci",
        "level": "project",
        "duration": 1,
        "permissions": [
            {
                "kind": "project",
                "namespace": "team",
                "access": [{"resource": "repository", "action": "pull"}],
            }
        ],
    }


def test_nobody_sends_no_credentials(host: str) -> None:
    _Scripted.answer = (200, {}, b"Pong")

    assert ControlClient(host).request("GET", "/ping").body == b"Pong"
    assert _Scripted.asked == [("GET", "/api/v2.0/ping", None, None)]


@pytest.mark.parametrize("status", [200, 403, 500])
def test_another_status_than_the_right_one_is_an_error_that_tells_all(host: str, status: int) -> None:
    """200 is as wrong as 500 where 201 was due."""
    body = b'{"errors":[{"code":"FORBIDDEN","message":"no"}]}'
    _Scripted.answer = (status, {"Location": "/api/v2.0/users/1"}, body)

    with pytest.raises(ControlError, match=f"POST /users: {status} .*FORBIDDEN") as caught:
        ControlClient(host, _ANN).create_user(Account("bob", "secret"))
    assert caught.value.reply.error_codes == ["FORBIDDEN"]


def test_s27_a_failing_test_shows_no_secret() -> None:
    assert "canary" not in repr(_ANN)
