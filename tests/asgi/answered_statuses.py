"""An application that remembers its answers, so that records of acts can be held against them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from entrepot.kernel.asgi import Application, Receive, Scope, Send

__all__ = ["AnsweredStatuses"]


class AnsweredStatuses:
    """The application, and with which status it answered each request."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._by_request: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def noting(message: Scope) -> None:
            if message["type"] == "http.response.start":
                request_id = dict(message["headers"])[b"x-request-id"].decode()
                assert request_id not in self._by_request, "records could not tell the requests apart"
                self._by_request[request_id] = message["status"]
            await send(message)

        await self._application(scope, receive, noting)

    def check_records(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Check that every record that came of a request has the status of its answer.

        A login that succeeds is an act by itself, whatever its request goes on to.
        """
        for record in records:
            action, request_id = record["event.action"], record.get("http.request.id", "")
            if request_id and (action, record["event.outcome"]) != ("session.login", "success"):
                assert record["http.response.status"] == self._by_request[request_id], record
