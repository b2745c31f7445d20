"""What only an HTTP request can get wrong."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError
from entrepot.registry.errors import SourceInterruptedError

__all__ = [
    "BodyLengthError",
    "BodyTooLargeError",
    "BodyTooSlowError",
    "ClientGoneError",
    "HeadTooLargeError",
    "MethodNotAllowedError",
    "OverloadedError",
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


class BodyTooSlowError(SourceInterruptedError):
    """The client sent nothing, or too little, for too long in the middle of a body."""

    def __init__(self, received_bytes: int, seconds: float) -> None:
        super().__init__(f"only {received_bytes} bytes of the body arrived in {seconds:.0f} seconds")
        self.received_bytes = received_bytes
        self.seconds = seconds


class HeadTooLargeError(EntrepotError):
    """The head of a request has more bytes than any client needs."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the headers have more than {limit} bytes")
        self.limit = limit


class ClientGoneError(EntrepotError):
    """The client left, or stopped reading, before it had all of an answer; there is nobody to tell."""

    def __init__(self) -> None:
        super().__init__("the client went away before the end of the answer")


class OverloadedError(EntrepotError):
    """As many bodies are read, and wait to be read, as this process takes on."""

    def __init__(self) -> None:
        super().__init__("too many uploads are under way; try again in a moment")
