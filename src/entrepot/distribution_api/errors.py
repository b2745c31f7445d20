"""What only an HTTP request can get wrong."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = [
    "BodyLengthError",
    "BodyTooLargeError",
    "BodyTooSlowError",
    "MethodNotAllowedError",
    "RequestError",
    "RouteUnknownError",
]


class RequestError(EntrepotError):
    """A request that breaks the protocol in a way that has no error of its own; the text says how."""


class RouteUnknownError(EntrepotError):
    """No endpoint has this path."""

    def __init__(self) -> None:
        super().__init__("this registry has no such endpoint")


class MethodNotAllowedError(EntrepotError):
    """The endpoint exists and does not take this method."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(f"this endpoint takes {', '.join(allowed)}")
        self.allowed = allowed


class BodyTooLargeError(EntrepotError):
    """A body of more bytes than the endpoint takes; it was not read further."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body has more than {limit} bytes")
        self.limit = limit


class BodyLengthError(EntrepotError):
    """A body that has another length than its `Content-Range` says; nothing of it is kept."""

    def __init__(self, announced: int, received: int) -> None:
        super().__init__(f"Content-Range names {announced} bytes, the body has {received}")
        self.announced = announced
        self.received = received


class BodyTooSlowError(EntrepotError):
    """The client sent nothing for too long in the middle of a body."""

    def __init__(self, idle_seconds: float) -> None:
        super().__init__(f"no byte of the body arrived for {idle_seconds:g} seconds")
        self.idle_seconds = idle_seconds
