"""Throw-away certificates, and what a server shows of its own."""

from __future__ import annotations

import hashlib
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING

from tests.plumbing.skips import require_program

if TYPE_CHECKING:
    from pathlib import Path


def make_certificate(directory: Path, name: str, span: tuple[str, str] | None = None) -> tuple[Path, Path]:
    """Create a self-signed certificate for localhost; return the paths of certificate and key.

    `span`: the days (YYYYMMDD) from and until which it is valid; else two from now.
    """
    valid = ["-days", "2"]
    if span is not None:
        valid = ["-not_before", f"{span[0]}000000Z", "-not_after", f"{span[1]}000000Z"]
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    subprocess.run(
        [
            require_program("openssl"),
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            *valid,
            "-subj",
            f"/CN={name}",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            str(key),
            "-out",
            str(certificate),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def fingerprint(certificate: Path) -> str:
    """SHA-256 of a certificate in a PEM file."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()


def served_fingerprint(port: int) -> str:
    """SHA-256 of the certificate that the server on this port shows."""
    context = unverified_context()
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        context.wrap_socket(plain) as secure,
    ):
        shown = secure.getpeercert(binary_form=True)
        assert shown is not None
        return hashlib.sha256(shown).hexdigest()


def unverified_context() -> ssl.SSLContext:
    """A client that trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
