"""Asks the public listener the way a client does, because a process that runs is not yet one that answers."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from entrepot.settings import Settings, http_listen, uses_tls

__all__ = ["Finding", "PublicProbe"]

_PROBE_TIMEOUT_SECONDS = 2.0
_FIRST_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether something works, and what was seen."""

    ok: bool
    detail: str


class PublicProbe:
    """Sends GET /v2/ over a new connection; every answer below 500 counts, since 401 is what a sound registry says."""

    def __init__(self, settings: Settings) -> None:
        address = http_listen(settings)
        if address.is_wildcard:
            self._host = "::1" if ":" in address.host else "127.0.0.1"
        else:
            self._host = address.host
        self._port = address.port
        self._tls = _build_unverified_context() if uses_tls(settings) else None

    async def check(self) -> Finding:
        """Ask once; never longer than two seconds."""
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_SECONDS):
                status = await self._ask()
        except TimeoutError:
            return Finding(
                ok=False, detail=f"the public listener gave no answer within {_PROBE_TIMEOUT_SECONDS:g} s"
            )
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            return Finding(ok=False, detail=f"the public listener can't be asked: {type(error).__name__}")
        return Finding(ok=status < _FIRST_SERVER_ERROR, detail=f"the public listener answered {status}")

    async def _ask(self) -> int:
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls, limit=65536)
        try:
            writer.write(
                b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nUser-Agent: entrepot-ready\r\nConnection: close\r\n\r\n"
            )
            line = await reader.readuntil(b"\r\n")
            return int(line.split(b" ")[1])
        except IndexError as error:
            message = "no status line"
            raise ValueError(message) from error
        finally:
            writer.transport.abort()


def _build_unverified_context() -> ssl.SSLContext:
    """The connection goes to this machine's own listener, whose certificate is made out to another name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
