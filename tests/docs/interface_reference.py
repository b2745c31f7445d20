"""Reference tables of the HTTP surface: routes, who may use them, what each request asks of database and disk."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.system_actions import SystemAction
from entrepot.control_api.declarations import API_PREFIX, path_parameters
from entrepot.control_api.routes import all_endpoints
from entrepot.distribution_api.caching import NOT_STORED
from entrepot.distribution_api.routes import ROUTES
from entrepot.oci.media_types import OCI_IMAGE_CONFIG, OCI_IMAGE_MANIFEST
from entrepot.processes.ops_application import OpsApplication
from entrepot.token_service.application import _METHODS as TOKEN_METHODS
from entrepot.token_service.application import _OPERATIONS as TOKEN_OPERATIONS
from entrepot.token_service.replies import ERROR_TABLE as TOKEN_ERRORS
from tests.asgi.services import in_process_registry, scratch_settings
from tests.docs.meanings import meanings_of
from tests.docs.tables import render_table
from tests.integration.control_api.matrix import expectations
from tests.integration.test_access_matrix import _CALLERS as CALLERS
from tests.integration.test_access_matrix import EXPECTED
from tests.integration.test_cacheability import KEPT

if TYPE_CHECKING:
    from entrepot.control_api.declarations import AnyEndpoint
    from entrepot.processes.factories import HealthProbes, ProbeResult
    from tests.asgi.services import InProcessRegistry

__all__ = [
    "TOKEN_OPERATIONS",
    "ops_paths",
    "render_access_matrix",
    "render_caching",
    "render_management_api",
    "render_ops_paths",
    "render_request_costs",
    "render_role_matrix",
    "render_routes",
    "render_token_refusals",
    "render_token_routes",
    "token_paths",
]

_BLOB: Final = f"sha256:{'0' * 64}"


def render_routes() -> str:
    """Return every route of the data plane."""
    meanings = meanings_of("operations", {route.operation for route in ROUTES})
    rows = [
        (
            f"`{route.operation}`",
            ", ".join(f"`{method}`" for method in route.methods),
            f"`{route.endpoint.value}`",
            meanings[route.operation],
        )
        for route in ROUTES
    ]
    return render_table(("Operation", "Methods", "Path", "Meaning"), rows)


def token_paths() -> list[str]:
    """Return the paths that the token service answers."""
    return list(TOKEN_METHODS)


def render_token_routes() -> str:
    """Return every path of the token service."""
    meanings = meanings_of("token_operations", set(TOKEN_OPERATIONS.values()))
    rows = [
        (
            f"`{TOKEN_OPERATIONS[path]}`",
            ", ".join(f"`{method}`" for method in methods),
            f"`{path}`",
            meanings[TOKEN_OPERATIONS[path]],
        )
        for path, methods in TOKEN_METHODS.items()
    ]
    return render_table(("Operation", "Methods", "Path", "Meaning"), rows)


def render_token_refusals() -> str:
    """Return what the token service answers instead of a token."""
    rows = [
        (f"`{kind.__name__}`", str(status), f"`{code.code}`", f"`{oauth_code}`")
        for kind, (status, code, oauth_code) in TOKEN_ERRORS.items()
    ]
    return render_table(("Error", "Status", "Code to a `GET`", "Code to a `POST`"), rows)


def render_access_matrix() -> str:
    """Return who may use which operation; each cell is asserted by the test the expectation is taken from."""
    rows = [
        (f"`{operation}`", *("allowed" if allowed else "403 `DENIED`" for allowed in cells))
        for operation, cells in EXPECTED.items()
    ]
    return render_table(("Operation", *CALLERS), rows)


def render_caching() -> str:
    """Return who may keep which answer; each row is asserted by the test it is taken from."""
    rows = [
        (f"`{operation}` {how}", "200, 206, 304", f"`{value.decode()}`")
        for (operation, how), (_, value) in KEPT.items()
    ]
    rows.append(("everything else", "every one", f"`{NOT_STORED[1].decode()}`"))
    return render_table(("Answer", "Status", "`Cache-Control`"), rows)


def ops_paths() -> list[str]:
    """Return the paths that the ops listener answers."""

    async def unused() -> ProbeResult:
        raise AssertionError

    probes: HealthProbes = _NoProbes()
    return list(OpsApplication(lambda: False, unused, probes)._paths)


def render_ops_paths() -> str:
    """Return every path of the ops listener."""
    paths = ops_paths()
    meanings = meanings_of("ops_paths", set(paths))
    return render_table(("Path", "Meaning"), [(f"`{path}`", meanings[path]) for path in paths])


class _NoProbes:
    async def read_ready(self) -> ProbeResult:
        raise NotImplementedError

    async def tokens_ready(self) -> ProbeResult:
        raise NotImplementedError

    async def write_ready(self) -> ProbeResult:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing was opened."""


@dataclass(frozen=True, slots=True)
class _Cost:
    request: str
    status: int
    statements: str
    commits: int
    data_syncs: int
    directory_syncs: int


async def render_request_costs() -> str:
    """Run one request of each kind against the embedded stores and return what it cost."""
    with tempfile.TemporaryDirectory() as directory:
        async with in_process_registry(scratch_settings(Path(directory))) as registry:
            costs = await _Session(registry).run()
    rows = [
        (
            cost.request,
            str(cost.status),
            cost.statements,
            str(cost.commits),
            str(cost.data_syncs),
            str(cost.directory_syncs),
        )
        for cost in costs
    ]
    header = ("Request", "Status", "Statements, in order", "Commits", "Data syncs", "Directory syncs")
    return render_table(header, rows)


class _Session:
    """Pushes and pulls one small image, noting the cost of each request."""

    def __init__(self, registry: InProcessRegistry) -> None:
        self._registry = registry
        self._costs: list[_Cost] = []

    async def run(self) -> list[_Cost]:
        config, layer = b"{}", bytes(100_000)
        base = "/v2/team/app"
        await self._ask("`GET /v2/`", "GET", "/v2/")
        location = await self._ask("`POST` upload, new repository", "POST", f"{base}/blobs/uploads/")
        await self._ask("`PATCH` upload, the whole layer", "PATCH", location, layer)
        await self._ask("`GET` upload status", "GET", location)
        await self._ask("`PUT` upload, no body", "PUT", f"{location}?digest={_digest(layer)}")
        whole = f"{base}/blobs/uploads/?digest={_digest(config)}"
        await self._ask("`POST` upload with digest and body", "POST", whole, config)
        manifest = _manifest(config, layer)
        await self._ask("`PUT` manifest by tag, new", "PUT", f"{base}/manifests/v1", manifest)
        await self._ask("`PUT` manifest by tag, again", "PUT", f"{base}/manifests/v1", manifest)
        await self._ask("`GET` manifest by tag", "GET", f"{base}/manifests/v1")
        await self._ask("`GET` manifest by digest", "GET", f"{base}/manifests/{_digest(manifest)}")
        await self._ask("`HEAD` manifest by tag", "HEAD", f"{base}/manifests/v1")
        await self._ask("`HEAD` manifest by digest", "HEAD", f"{base}/manifests/{_digest(manifest)}")
        await self._ask("`HEAD` blob", "HEAD", f"{base}/blobs/{_digest(layer)}")
        await self._ask("`HEAD` blob, unknown", "HEAD", f"{base}/blobs/{_BLOB}")
        await self._ask("`GET` blob", "GET", f"{base}/blobs/{_digest(config)}")
        await self._ask("`GET` tag list", "GET", f"{base}/tags/list")
        return self._costs

    async def _ask(self, request: str, method: str, target: str, body: bytes = b"") -> str:
        counts = self._registry.counts
        counts.reset()
        headers = {"Content-Type": OCI_IMAGE_MANIFEST, "Content-Length": str(len(body))}
        reply = await self._registry.client.request(method, target, headers, (body,))
        statements = ", ".join(
            f"`{name}`" + (f" ({count} times)" if (count := len(list(run))) > 1 else "")
            for name, run in groupby(counts.statements)
        )
        self._costs.append(
            _Cost(
                request,
                reply.status,
                statements or "none",
                counts.commits,
                counts.data_syncs,
                counts.directory_syncs,
            )
        )
        return reply.headers.get("location", "")


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _manifest(config: bytes, layer: bytes) -> bytes:
    layer_type = "application/vnd.oci.image.layer.v1.tar"
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_MANIFEST,
        "config": {"mediaType": OCI_IMAGE_CONFIG, "digest": _digest(config), "size": len(config)},
        "layers": [{"mediaType": layer_type, "digest": _digest(layer), "size": len(layer)}],
    }
    return msgspec.json.encode(document)


def render_management_api() -> str:
    """Return every endpoint of the management API with what it demands."""
    rows = [
        (
            f"`{endpoint.operation}`",
            f"`{endpoint.method}`",
            f"`{endpoint.path.removeprefix(API_PREFIX)}`",
            _demand(endpoint),
            _query_fields(endpoint),
            endpoint.summary,
        )
        for endpoint in all_endpoints()
    ]
    return render_table(("Operation", "Method", "Path", "Demands", "Query", "Meaning"), rows)


def _query_fields(endpoint: AnyEndpoint) -> str:
    elsewhere = {*path_parameters(endpoint.path), "page", "page_size"}
    names = [field.name for field in msgspec.structs.fields(endpoint.inputs)]
    return ", ".join(f"`{name}`" for name in names if name not in elsewhere)


def _demand(endpoint: AnyEndpoint) -> str:
    demand = endpoint.demand
    on_system = [one for one in demand.actions if issubclass(one, SystemAction)]
    in_project = [one for one in demand.actions if not issubclass(one, SystemAction)]
    names = " or ".join(
        f"{' and '.join(f'`{one.permission.name}`' for one in actions)} {where}"
        for actions, where in ((on_system, "on the system"), (in_project, "in the project"))
        if actions
    )
    plain = {
        "public": "nothing",
        "anyone": "nothing",
        "anyone at all": "nothing",
        "self": "an account",
        "own credential": "an account",
        "own password": "an account",
        "own or one of": "one's own, or ",
        "person or": "to be a person, or ",
        "person or one of": "on the system to be a person, or ",
    }
    more = ", ".join(f"`{one.permission.name}`" for one in endpoint.told_more)
    return f"{plain.get(demand.kind, '')}{names}{'; tells more with ' if more else ''}{more}"


def render_role_matrix() -> str:
    """Return who is let through to which endpoint; each cell is asserted by the test of the rows it is made of."""
    rows = [
        (
            f"`{row.operation}`",
            f"`{row.method}`",
            row.aspect,
            *(_cell(row, one) for one in expectations.CALLERS),
        )
        for row in expectations.rows()
    ]
    return render_table(("Operation", "Method", "About", *expectations.CALLERS), rows)


def _cell(row: expectations.Row, caller: expectations.Caller) -> str:
    private, public = (
        expectations.is_allowed(row, caller, is_public=is_public) for is_public in (False, True)
    )
    if private:
        return "✓"
    return "public" if public else "—"
