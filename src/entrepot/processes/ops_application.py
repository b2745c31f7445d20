"""Health, readiness and metrics over HTTP, for orchestrators and Prometheus; knows nothing of clients' requests."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec
from prometheus_client import CollectorRegistry

from entrepot.observability.logging import get_logger
from entrepot.observability.metrics import render_metrics
from entrepot.processes.public_probe import Finding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.kernel.asgi import Receive, Scope, Send
    from entrepot.processes.factories import HealthProbes, ProbeResult

__all__ = ["OpsApplication", "RememberedCheck"]

_CHECK_TIMEOUT_SECONDS = 4.0
_REMEMBER_SECONDS = 0.5
"""A finding is used again for so long: asking for readiness in a loop must not become load on database and disk."""
_OK, _NOT_FOUND, _METHOD_NOT_ALLOWED, _UNAVAILABLE = 200, 404, 405, 503


class RememberedCheck:
    """Runs a check at most once at a time and at most twice a second, and turns any failure into a finding."""

    def __init__(self, check: Callable[[], Awaitable[ProbeResult]]) -> None:
        self._check = check
        self._lock = asyncio.Lock()
        self._finding = Finding(ok=False, detail="not looked yet")
        self._valid_until = 0.0

    async def look(self) -> Finding:
        """Return a finding not older than half a second, within four seconds."""
        async with self._lock:
            if time.monotonic() >= self._valid_until:
                self._finding = await self._run()
                self._valid_until = time.monotonic() + _REMEMBER_SECONDS
            return self._finding

    async def _run(self) -> Finding:
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_SECONDS):
                result = await self._check()
        except TimeoutError:
            return Finding(ok=False, detail=f"no answer within {_CHECK_TIMEOUT_SECONDS:g} s")
        except Exception as error:  # noqa: BLE001  # whatever broke: "not ready", and the log says why
            get_logger().warning("readiness.check.failed", exc_info=error)
            return Finding(ok=False, detail=f"the check failed: {type(error).__name__}")
        return Finding(ok=result.ok, detail=result.detail)


class OpsApplication:
    """An ASGI application (http only) with five fixed paths for GET and HEAD."""

    def __init__(
        self,
        is_draining: Callable[[], bool],
        check_public: Callable[[], Awaitable[ProbeResult]],
        probes: HealthProbes,
    ) -> None:
        self._is_draining = is_draining
        self._public = RememberedCheck(check_public)
        self._read = RememberedCheck(probes.read_ready)
        self._tokens = RememberedCheck(probes.tokens_ready)
        self._write = RememberedCheck(probes.write_ready)
        self._metrics_lock = asyncio.Lock()
        self._paths: dict[str, Callable[[], Awaitable[tuple[int, bytes, bytes]]]] = {
            "/healthz": self._answer_health,
            "/readyz": self._answer_ready,
            "/readyz/read": self._answer_read_ready,
            "/readyz/write": self._answer_write_ready,
            "/metrics": self._answer_metrics,
        }

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request; bodies of requests are ignored."""
        status, content_type, body = await self._answer(scope)
        headers = [
            (b"content-type", content_type),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if status == _METHOD_NOT_ALLOWED:
            headers.append((b"allow", b"GET, HEAD"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Scope) -> tuple[int, bytes, bytes]:
        answer = self._paths.get(scope["path"])
        if answer is None:
            return _NOT_FOUND, b"text/plain; charset=utf-8", b"not found\n"
        if scope["method"] not in {"GET", "HEAD"}:
            return _METHOD_NOT_ALLOWED, b"text/plain; charset=utf-8", b"GET and HEAD only\n"
        return await answer()

    async def _answer_health(self) -> tuple[int, bytes, bytes]:
        return _as_json({"process": Finding(ok=True, detail="alive")})

    async def _answer_ready(self) -> tuple[int, bytes, bytes]:
        """Whether to send this node clients: it isn't stopping, its listener answers, it can read and issue tokens."""
        if self._is_draining():
            return _as_json({"drain": Finding(ok=False, detail="this node is stopping")})
        public, read, tokens = await asyncio.gather(
            self._public.look(), self._read.look(), self._tokens.look()
        )
        drain = Finding(ok=True, detail="not stopping")
        return _as_json({"drain": drain, "public": public, "read": read, "tokens": tokens})

    async def _answer_read_ready(self) -> tuple[int, bytes, bytes]:
        return _as_json({"read": await self._read.look()})

    async def _answer_write_ready(self) -> tuple[int, bytes, bytes]:
        return _as_json({"write": await self._write.look()})

    async def _answer_metrics(self) -> tuple[int, bytes, bytes]:
        """Sum the files of all processes, on a thread since it reads them all, one scrape at a time."""
        async with self._metrics_lock:
            body, content_type = await asyncio.to_thread(render_metrics, CollectorRegistry())
        return _OK, content_type.encode(), body


def _as_json(checks: dict[str, Finding]) -> tuple[int, bytes, bytes]:
    ok = all(finding.ok for finding in checks.values())
    body = {"status": "ok" if ok else "failed", "checks": checks}
    return _OK if ok else _UNAVAILABLE, b"application/json", msgspec.json.encode(body) + b"\n"
