"""What a running registry says of itself on its ops listener."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Final

from entrepot.kernel.errors import EntrepotError
from entrepot.settings import ListenAddress, ops_listen

if TYPE_CHECKING:
    from entrepot.settings import Settings

__all__ = ["PATHS", "NodeSilentError", "ask_node"]

PATHS: Final = ("/healthz", "/readyz", "/readyz/read", "/readyz/write", "/metrics")
_PATIENCE_SECONDS: Final = 10.0
_MOST_BYTES: Final = 8 * 1024 * 1024


class NodeSilentError(EntrepotError):
    """No registry answers on the address of the ops listener."""

    def __init__(self, listen: ListenAddress, error: Exception) -> None:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        super().__init__(f"no answer from {listen} ({reason}); is the registry running?")


def ask_node(settings: Settings, path: str) -> tuple[int, str]:
    """Return status and body of one path of the ops listener. Blocks.

    Raises:
        NodeSilentError: nobody answers, or not as an ops listener does.
    """
    listen = ops_listen(settings)
    if listen.is_wildcard:
        listen = ListenAddress("::1" if ":" in listen.host else "127.0.0.1", listen.port)
    connection = http.client.HTTPConnection(listen.host, listen.port, timeout=_PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(_MOST_BYTES).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise NodeSilentError(listen, error) from error
    finally:
        connection.close()
