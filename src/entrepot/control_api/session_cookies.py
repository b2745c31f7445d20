"""The cookie in which a browser keeps its session, as it is set and as it is taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.control_api.credentials import SESSION_COOKIE

if TYPE_CHECKING:
    from entrepot.control_api.request_head import RequestHead

__all__ = ["forgetting_cookie", "keeping_cookie"]


def keeping_cookie(secret: str, head: RequestHead, external_url: str) -> tuple[str, str]:
    """Return the header that has a browser keep the session.

    Scripts can't read it, other sites can't have it sent along with a change, and where people come by HTTPS it is
    never sent without.
    """
    return "set-cookie", f"{SESSION_COOKIE}={secret}; {_attributes(head, external_url)}"


def forgetting_cookie(head: RequestHead, external_url: str) -> tuple[str, str]:
    """Return the header that has a browser forget it."""
    return "set-cookie", f"{SESSION_COOKIE}=; Max-Age=0; {_attributes(head, external_url)}"


def _attributes(head: RequestHead, external_url: str) -> str:
    secure = "; Secure" if head.encrypted or external_url.startswith("https://") else ""
    return f"Path=/; HttpOnly; SameSite=Lax{secure}"
