"""Takes apart what a client sends: heads for whoever begins requests, pieces for their bodies.

llhttp can't be stopped once it has been given bytes, and what is read from a socket at once can hold thousands of
requests. So it is given little at a time between bodies, and nothing while a request waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import httptools

from entrepot.http1.refusals import Refusal
from entrepot.http1.request_head import (
    MAX_FIELDS,
    MAX_TARGET_BYTES,
    RequestHead,
    judge_head,
    origin_form,
    tell_of_body,
)

if TYPE_CHECKING:
    from entrepot.http1.request_body import RequestBody

__all__ = ["RequestParser", "RequestReceiver"]

_MAX_HEAD_BYTES: Final = 128 * 1024
"""Of a head that has not ended; applications have smaller limits, and say so in their own words."""
_HEADS_BYTES: Final = 16 * 1024
"""Given to the parser at once where heads can be: some hundred of the shortest."""
_MAX_FRAMING_BYTES: Final = 128 * 1024
"""Around the chunks of a body (sizes, extensions, trailers), beyond a quarter of what is in those that follow. Each
chunk is a call, however small: a mebibyte of them takes a quarter of a second, and large bodies of others wait."""
_CHUNKS_BYTES: Final = 64 * 1024
"""Given to the parser at once within a body of unknown length, behind which heads can be."""


class RequestReceiver(Protocol):
    """Whoever has requests handled; implemented by the connection."""

    @property
    def has_room(self) -> bool:
        """Whether another request may begin."""
        ...

    def begin_request(self, head: RequestHead) -> RequestBody:
        """Take a request, and return what its body is to be fed to."""
        ...


class RequestParser:
    """Parses the requests of one connection.

    Attributes:
        refusal: why nothing more is taken from this client, once that is so.
        is_in_head: whether a head has begun and not ended.
        is_cut: whether the request that was begun last will not be complete.
    """

    def __init__(self, receiver: RequestReceiver) -> None:
        """Hand requests to `receiver`."""
        self._receiver = receiver
        self._parser = httptools.HttpRequestParser(self)
        self._unparsed = b""
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._framing_bytes = 0
        self._is_new_head = False
        self._body: RequestBody | None = None
        self._left_bytes = 0
        self._is_counting = False
        self._declined: tuple[RequestHead, RequestBody] | None = None
        self.refusal: Refusal | None = None
        self.is_in_head = False
        self.is_cut = False

    @property
    def wants_more(self) -> bool:
        """Whether anything more should be read from the client now."""
        return not self._unparsed and (self._body is None or not self._body.is_full)

    @property
    def is_in_body(self) -> bool:
        """Whether a body has begun and not ended."""
        return self._body is not None

    @property
    def has_rest(self) -> bool:
        """Whether more has come than whole requests, or will."""
        return self.is_in_head or self._body is not None or self.refusal is not None or self._unparsed != b""

    def feed(self, data: bytes | memoryview) -> None:
        """Take what was read, which nobody keeps, or nothing: to go on with what there was no room for.

        Raises:
            Exception: nothing that the client did. Of what was read something may be lost, so nothing more is taken.
        """
        if not data and not self._unparsed:
            return
        try:
            self._feed(data)
        except BaseException:
            self.lose()
            raise

    def _feed(self, data: bytes | memoryview) -> None:
        if self._unparsed:
            data = self._unparsed + data
        start, end = 0, len(data)
        while start < end and (size := self._bytes_at_once()):
            piece = data[start : start + size] if start or end > size else data
            size = len(piece)
            if self._is_counting:
                self._feed_counted(bytes(piece))
            else:
                self._framing_bytes += size
                self._parse(piece)
            if self.is_in_head:
                self._bound_head(size)
            elif self._body is None:
                self._framing_bytes = 0
            elif self._framing_bytes > _MAX_FRAMING_BYTES:
                self._refuse(Refusal(400, "the chunks of the body are too small for what is around them"))
            start += size
        self._unparsed = bytes(data[start:]) if start < end and self.refusal is None else b""

    def count_body(self) -> bool:
        """Only count the rest of a body of a known length, so that it can be taken elsewhere; `False` if it is none.

        llhttp can't be told what it does not see. So another one goes on behind the body.
        """
        if self._body is None or self._unparsed or self._left_bytes <= 0:
            return False
        if not self._is_counting:
            self._parser = httptools.HttpRequestParser(self)
            self._is_counting = True
        return True

    @property
    def left_bytes(self) -> int:
        """How much of a body that is counted has still to come."""
        return self._left_bytes

    def pass_over(self, size: int) -> None:
        """Note that so much of a body that is counted was taken elsewhere."""
        self._left_bytes -= size
        if not self._left_bytes:
            self._is_counting = False
            self.on_message_complete()

    def lose(self) -> None:
        """Take nothing more: of what came some is lost, and nobody knows what the rest would be."""
        self._refuse(Refusal(500, "the request could not be read"))

    def break_off(self) -> None:
        """Note that nothing more will come."""
        if self._body is not None:
            self._body.break_off()
            self._body = None
            self.is_cut = True

    def close(self) -> None:
        """Let go of all that holds this object, which would stay until the garbage collector came."""
        self.break_off()
        del self._parser, self._receiver

    # What the parser tells.

    def on_message_begin(self) -> None:
        """Begin a request's head."""
        self._target = b""
        self._fields = []
        self._head_bytes = 0
        self.is_in_head = self._is_new_head = True

    def on_url(self, part: bytes) -> None:
        """Take a part of the request's target."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head; those of a trailer are of no use to anybody (RFC 9110, section 6.5.1)."""
        if self.is_in_head:
            self._fields.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Begin the request."""
        self.is_in_head = False
        self._framing_bytes = 0
        if self._head_bytes:  # it came in several pieces
            self._bound_head(0)
        if self.refusal is not None:
            return
        if self._declined is not None:  # this head stands for the one in which the parser stopped
            (head, self._body), self._declined = self._declined, None
            self._left_bytes = head.body_bytes
            return
        parser = self._parser
        head = RequestHead(
            parser.get_method().decode("ascii"),
            origin_form(self._target),
            self._fields,
            parser.get_http_version(),
            parser.should_keep_alive(),
            tell_of_body(self._fields),
        )
        refusal = judge_head(head)
        if refusal is not None:
            self._refuse(refusal)
            return
        body = self._receiver.begin_request(head)
        if parser.should_upgrade():
            self._declined = head, body
        else:
            self._body = body
            self._left_bytes = head.body_bytes

    def on_body(self, piece: bytes) -> None:
        """Hand a piece of the body on."""
        if self._body is not None:
            self._left_bytes -= len(piece)
            self._framing_bytes = max(0, self._framing_bytes - len(piece) - len(piece) // 4)
            self._body.feed(piece)

    def on_message_complete(self) -> None:
        """End the body."""
        if self._body is not None:
            self._body.end()
            self._body = None

    def _feed_counted(self, piece: bytes) -> None:
        if self._body is not None:
            self._body.feed(piece)
            self.pass_over(len(piece))

    def _bytes_at_once(self) -> int:
        """Return how much may be parsed before this is asked again; 0 where there is no room for anything."""
        if self.refusal is not None or not self._receiver.has_room:
            return 0
        body = self._body
        if body is None:
            return _HEADS_BYTES
        if body.is_full:
            return 0
        return self._left_bytes if self._left_bytes > 0 else _CHUNKS_BYTES

    def _parse(self, data: bytes | memoryview) -> None:
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._decline_upgrade(data[upgrade.args[0] :])
            except httptools.HttpParserCallbackError:
                raise  # no memory, say: nothing that the client did
            except httptools.HttpParserError as error:
                self._refuse(
                    Refusal(400, f"the request can't be parsed: {str(error) or type(error).__name__}")
                )
                return
            else:
                return

    def _decline_upgrade(self, rest: bytes | memoryview) -> bytes:
        """Return what a new parser goes on with in HTTP/1.1 (RFC 9110, section 7.8).

        The old one has stopped where another protocol could begin, which is before the body.
        """
        if self._declined is None:
            return b""  # what asked for it was refused
        self._parser = httptools.HttpRequestParser(self)
        return self._declined[0].framing() + rest

    def _bound_head(self, size: int) -> None:
        if self._is_new_head:  # of these bytes some may belong to what was before
            self._is_new_head = False
            size = 1
        self._head_bytes += size
        if len(self._target) > MAX_TARGET_BYTES:
            self._refuse(Refusal(414, "the target of the request is too long"))
        elif len(self._fields) > MAX_FIELDS:  # now, since each further byte has all of them counted again
            self._refuse(Refusal(431, f"the request has more than {MAX_FIELDS} header fields"))
        elif max(self._head_bytes, self._known_bytes()) > _MAX_HEAD_BYTES:
            self._refuse(Refusal(431, "the head of the request is too long"))

    def _known_bytes(self) -> int:
        return len(self._target) + sum(len(name) + len(value) for name, value in self._fields)

    def _refuse(self, refusal: Refusal) -> None:
        if self.refusal is None:
            self.refusal = refusal
        self.break_off()
