"""What only a request to the token service can get wrong."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = ["GrantTypeError", "TokenFormTooLargeError", "TokenRequestError", "TooManyTokensError"]


class TokenRequestError(EntrepotError):
    """A request for a token that lacks something or can't be read; the text says what."""


class TokenFormTooLargeError(TokenRequestError):
    """The body of a request for a token has more bytes than any client needs.

    Attributes:
        limit: how many it may have.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body has more than {limit} bytes")
        self.limit = limit


class GrantTypeError(TokenRequestError):
    """A kind of grant that the token service does not know (RFC 6749, section 5.2)."""

    def __init__(self) -> None:
        super().__init__("grant_type must be password or refresh_token")


class TooManyTokensError(EntrepotError):
    """One account asked for too many tokens from one address (T17).

    Attributes:
        retry_after_seconds: when there is another one.
    """

    def __init__(self, per_minute: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"this account got {per_minute} tokens from this address within a minute; try again in "
            f"{retry_after_seconds} s, and use each token until it expires"
        )
        self.retry_after_seconds = retry_after_seconds
