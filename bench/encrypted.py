"""The row over TLS: large blobs from Entrepot and from nginx with one certificate and one cipher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.certificates import make_certificate
from bench.kinds import build_entrepot, build_nginx
from bench.loading import RegistryConnection
from bench.material import BLOB_REPOSITORY, digest_of
from bench.rounds import Measurement, Sample
from bench.transferring import run_transfer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from bench.cores import Cores
    from bench.material import Material
    from bench.servers import Server

__all__ = ["encrypted_rows"]

_NGINX_LINES: Final = (
    "ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;"
    " ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;"
)


def encrypted_rows(
    material: Material, directory: Path, cores: Cores, running: ExitStack
) -> Iterator[Measurement]:
    """Start both servers, bring them the blob, and yield the row; they end with `running`."""
    directory.mkdir()
    certificate, key = make_certificate(directory)
    sections = f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\nmin_version = "1.3"\n'
    entrepot = build_entrepot(directory / "entrepot", sections, is_encrypted=True)
    nginx = build_nginx(directory / "nginx", _NGINX_LINES.format(certificate=certificate, key=key))
    blob = material.large_blob()
    digest = digest_of(blob)
    (directory / "nginx" / "nginx-files" / digest).write_bytes(blob)
    for server in (entrepot, nginx):
        running.callback(server.stop)
        server.start(cores)
    connection = RegistryConnection(entrepot)
    connection.push_blob(BLOB_REPOSITORY, blob)
    connection.close()

    def take(server: Server) -> Sample:
        path = f"/{digest}" if server is nginx else f"/v2/{BLOB_REPOSITORY}/blobs/{digest}"
        return run_transfer(server, "get", path, len(blob), 1, directory, cores)

    title = f"{len(blob) // 1024**2} MiB blob GET over TLS 1.3, 1 client"
    rounds = material.scale.brief_rounds
    yield Measurement(
        "large-get-tls", title, "MB/s", rounds, (entrepot, nginx), take, bar=0.95, bar_against="nginx"
    )
