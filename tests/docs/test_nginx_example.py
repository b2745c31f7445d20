"""The nginx configuration of the documentation works as it is printed: TLS before a real registry with accounts."""

from __future__ import annotations

import hashlib
import socket
import ssl
import subprocess
import time
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.docs.pages import load_page
from tests.plumbing.skips import require_program
from tests.processes.certificates import make_certificate
from tests.processes.running import wait_for
from tests.running.free_ports import find_free_port
from tests.running.with_accounts import ADMINISTRATOR, EntrepotWithAccounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HOST = "localhost"
_LAYER = bytes(3 * 1024 * 1024)


@dataclass(frozen=True, slots=True)
class Proxied:
    """A registry and the way to it through nginx."""

    registry: EntrepotWithAccounts
    url: str
    certificate: Path

    def client(self, password: str | None = ADMINISTRATOR.secret) -> httpx.Client:
        """Return a client that trusts nginx's certificate."""
        auth = None if password is None else (ADMINISTRATOR.name, password)
        trust = ssl.create_default_context(cafile=str(self.certificate))
        return httpx.Client(base_url=self.url, verify=trust, auth=auth, timeout=60)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """Start both; nginx with the example, of which only paths, port and host name are replaced."""
    directory = tmp_path_factory.mktemp("nginx")
    certificate, key = make_certificate(directory, _HOST)
    port = find_free_port()
    settings = tomllib.loads(load_page("docs/how-to/behind-nginx.md").code("toml")[0])
    settings["http"] |= {"external_url": f"https://{_HOST}:{port}"}
    del settings["http"]["listen"]
    with EntrepotWithAccounts(directory / "registry", settings=settings) as registry:
        registry.control().create_project("demo")
        replacements = {
            "127.0.0.1:5000": registry.host,
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "registry.example.com": _HOST,
            "/etc/nginx/tls/chain.pem": str(certificate),
            "/etc/nginx/tls/key.pem": str(key),
        }
        file = _write_configuration(directory, replacements)
        command = [require_program("nginx"), "-p", str(directory), "-e", "error.log", "-c", str(file)]
        with subprocess.Popen([*command, "-g", "daemon off;"]) as nginx:
            try:
                _wait_for_port(port, nginx)
                yield Proxied(registry, f"https://{_HOST}:{port}", certificate)
            finally:
                nginx.terminate()


def _write_configuration(directory: Path, replacements: dict[str, str]) -> Path:
    (example,) = load_page("docs/how-to/behind-nginx.md").code("nginx")
    for old, new in replacements.items():
        assert old in example, old
        example = example.replace(old, new)
    spaces = "\n".join(
        f"{kind}_temp_path {directory}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = f"user root;\npid {directory}/nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{spaces}\n{example}\n}}\n"
    # As an ordinary user nginx ignores `user` with a warning; as root its worker has to read the test's files.
    file = directory / "nginx.conf"
    file.write_text(main, encoding="utf-8")
    return file


def test_a_blob_is_pushed_and_pulled_through_nginx(proxied: Proxied) -> None:
    """A chunked upload of unknown length, as docker sends it, and its way back; `Location` stays usable."""
    digest = f"sha256:{hashlib.sha256(_LAYER).hexdigest()}"
    chunks = (_LAYER[start : start + 65536] for start in range(0, len(_LAYER), 65536))
    with proxied.client() as client:
        begun = client.post("/v2/demo/app/blobs/uploads/")
        appended = client.patch(begun.headers["location"], content=chunks)
        finished = client.put(appended.headers["location"], params={"digest": digest})
        pulled = client.get(finished.headers["location"])

    assert [begun.status_code, appended.status_code, finished.status_code] == [202, 202, 201]
    assert (pulled.status_code, pulled.content) == (200, _LAYER)


@pytest.mark.parametrize("password", [None, "wrong"])
def test_without_the_password_nothing_is_served(proxied: Proxied, password: str | None) -> None:
    """And the client is sent to the token service by way of nginx, where `docker login` then works (T2)."""
    with proxied.client(password) as client:
        reply = client.get("/v2/")

    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith(f'Bearer realm="{proxied.url}/service/token",')


def test_a_token_is_fetched_and_used_through_nginx(proxied: Proxied) -> None:
    with proxied.client() as client:
        token = client.get("/service/token?service=entrepot&scope=repository:demo/app:pull").json()["token"]
    with proxied.client(None) as client:
        reply = client.get("/v2/", headers={"Authorization": f"Bearer {token}"})

    assert reply.status_code == 200


def test_the_request_id_of_nginx_stands_in_the_log(proxied: Proxied) -> None:
    """The access log has path, status and address of a request, found by the id that the client was told."""
    with proxied.client() as client:
        reply = client.get("/v2/demo/nothing/tags/list")

    # The line is written after the answer was sent.
    lines = wait_for(
        lambda: [
            line
            for line in proxied.registry.events("request.completed")
            if line.get("request.id") == reply.headers["x-request-id"]
        ],
        60,
        proxied.registry.log_text,
    )
    assert [(line["path"], line["status"], line["address"]) for line in lines] == [
        ("/v2/demo/nothing/tags/list", 404, "127.0.0.1")
    ]


def _run(program: str, *arguments: str) -> str:
    command = [require_program(program), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _wait_for_port(port: int, nginx: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + 60
    while nginx.poll() is None and time.monotonic() < give_up_at:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    message = f"nginx does not listen on {port}"
    raise RuntimeError(message)
