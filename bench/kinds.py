"""The three servers compared, each as it is shipped but for address and directory; both registries check tokens."""

from __future__ import annotations

import grp
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.clients import NOBODY
from bench.robots import ADMINISTRATOR_PASSWORD, Robots
from bench.servers import Server, find_free_port
from bench.signed_clients import SignedClients, token_section

if TYPE_CHECKING:
    from bench.clients import Clients

__all__ = [
    "DEBIAN_CONFIGURATION",
    "adapt_debian_configuration",
    "build_docker_registry",
    "build_entrepot",
    "build_nginx",
    "build_open_entrepot",
]

DEBIAN_CONFIGURATION: Final = Path("/etc/docker/registry/config.yml")

_NGINX_CONFIGURATION: Final = """\
user {user} {group};
worker_processes auto;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    access_log {directory}/nginx-access.log;
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port}{ssl};{encryption}
        root {directory}/nginx-files;
    }}
}}
"""


def build_entrepot(directory: Path, sections: str = "", *, is_encrypted: bool = False) -> Server:
    """Return Entrepot as it is shipped, SQLite and the file system below `directory`; `sections` change more."""
    port = find_free_port()
    clients = Robots(port, is_encrypted)
    return _entrepot(directory, port, sections, clients, is_encrypted=is_encrypted)


def build_open_entrepot(directory: Path) -> Server:
    """Return Entrepot without accounts, for whoever writes rows into its database before anybody has a name there."""
    return _entrepot(directory, find_free_port(), "[access]\naccounts = false\n", NOBODY, is_encrypted=False)


def _entrepot(directory: Path, port: int, sections: str, clients: Clients, *, is_encrypted: bool) -> Server:
    directory.mkdir(exist_ok=True)
    configuration = directory / "entrepot.toml"
    text = (
        f'[data]\ndirectory = "{directory}/entrepot-data"\n'
        f'[http]\nlisten = "127.0.0.1:{port}"\n'
        f'[ops]\nlisten = "127.0.0.1:{find_free_port()}"\n'
        f"{sections}"
    )
    configuration.write_text(text)
    program = (sys.executable, "-m", "entrepot")
    shown = subprocess.run(
        [*program, "settings", "show", "--config", str(configuration)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return Server(
        "entrepot",
        [*program, "serve", "--config", str(configuration)],
        port,
        directory,
        configuration={"entrepot.toml": text, "entrepot settings show": shown},
        is_encrypted=is_encrypted,
        clients=clients,
        environment={"ENTREPOT_ADMIN_PASSWORD": ADMINISTRATOR_PASSWORD},
    )


def build_docker_registry(directory: Path) -> Server:
    """Return Debian's docker-registry with its packaged configuration, but for tokens instead of its htpasswd file."""
    clients = SignedClients.make(directory / "docker-registry-tokens")
    port = find_free_port()
    root = directory / "docker-registry-data"
    text = adapt_debian_configuration(
        DEBIAN_CONFIGURATION.read_text(), f"127.0.0.1:{port}", root, clients.certificate
    )
    configuration = directory / "docker-registry.yml"
    configuration.write_text(text)
    return Server(
        "docker-registry",
        ["docker-registry", "serve", str(configuration)],
        port,
        directory,
        configuration={"docker-registry.yml": text},
        clients=clients,
    )


def adapt_debian_configuration(packaged: str, address: str, root: Path, certificate: Path) -> str:
    """Return the packaged configuration with another address and directory, and tokens instead of its htpasswd file.

    Raises:
        ValueError: the packaged file no longer has one of these lines, so that the result would be something else.
    """
    text = packaged
    for pattern, replacement in (
        (r"(?m)^( *rootdirectory:) .*$", rf"\1 {root}"),
        (r"(?m)^( *addr:) .*$", rf"\1 {address}"),
        (r"(?m)^auth:\n(?: .*\n)+", token_section(certificate)),
    ):
        text, count = re.subn(pattern, replacement, text)
        if count != 1:
            raise ValueError(f"{DEBIAN_CONFIGURATION}: {pattern} was found {count} times")
    return text


def build_nginx(directory: Path, encryption: str = "") -> Server:
    """Return nginx serving `directory`/nginx-files by sendfile; its files are laid down by `material`.

    `encryption` holds the lines of its configuration that name certificate and key, if it is to use TLS.
    """
    directory.mkdir(exist_ok=True)
    port = find_free_port()
    text = _NGINX_CONFIGURATION.format(
        directory=directory,
        port=port,
        ssl=" ssl" if encryption else "",
        encryption=f"\n        {encryption}" if encryption else "",
        user=pwd.getpwuid(
            os.getuid()
        ).pw_name,  # else workers of root become nobody, who may not read the files
        group=grp.getgrgid(os.getgid()).gr_name,
    )
    configuration = directory / "nginx.conf"
    configuration.write_text(text)
    (directory / "nginx-files").mkdir()
    (directory / "nginx-files" / "ready").write_bytes(b"ready")
    return Server(
        "nginx",
        ["/usr/sbin/nginx", "-e", f"{directory}/nginx-error.log", "-c", str(configuration)],
        port,
        directory,
        configuration={"nginx.conf": text},
        ready_path="/ready",
        is_encrypted=bool(encryption),
    )
