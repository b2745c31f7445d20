"""What only a request to the token service can get wrong."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = ["GrantTypeError", "TokenRequestError"]


class TokenRequestError(EntrepotError):
    """A request for a token that lacks something or can't be read; the text says what."""


class GrantTypeError(TokenRequestError):
    """A kind of grant that the token service does not know (RFC 6749, section 5.2)."""

    def __init__(self) -> None:
        super().__init__("grant_type must be password or refresh_token")
