"""What a listener is told by those who start it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ListenerOptions", "TlsOptions"]

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption only (RFC 9325, section 4.2). Those of TLS 1.3 all are."""


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """Paths of PEM files that were found to fit each other, and the oldest version to speak: "1.2" or "1.3"."""

    certificate: Path
    key: Path
    min_version: str

    def build_context(self) -> ssl.SSLContext:
        """Read the files into a context for a server.

        Raises:
            OSError: a file can't be read.
            ssl.SSLError: the files are no certificate and its key.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = (
            ssl.TLSVersion.TLSv1_3 if self.min_version == "1.3" else ssl.TLSVersion.TLSv1_2
        )
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_ciphers(_CIPHERS)
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """Limits of one listener.

    `header_timeout_seconds` is the time for a request's whole head, counted from the last response or the start of the
    connection: it ends slow heads and idle connections alike. At `max_connections` the kernel queues further ones.
    """

    max_connections: int
    header_timeout_seconds: float
    tls: TlsOptions | None = None
