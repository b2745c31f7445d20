"""Writes the generated parts of the pages: `python -m tests.docs.rendering --write`; without it only compares."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final

from entrepot.metadata.sql.catalogue import render_statement_catalogue
from entrepot.observability.logging import configure_logging
from entrepot.ops.documentation import render_commands_table, render_metrics_table, render_settings_table
from tests.docs import (
    article_reference,
    code_reference,
    error_reference,
    interface_reference,
    permission_reference,
    structure_reference,
)
from tests.docs.pages import ROOT, load_pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.docs.pages import Page

__all__ = ["RENDERERS", "UnknownBlockError", "render_page"]


def _render_request_costs() -> str:
    return asyncio.run(interface_reference.render_request_costs())


RENDERERS: Final[dict[str, Callable[[], str]]] = {
    "access-matrix": interface_reference.render_access_matrix,
    "article-roles": article_reference.render_article_roles,
    "article-roles-in-chinese": article_reference.render_article_roles_in_chinese,
    "caching": interface_reference.render_caching,
    "cedar-policies": code_reference.render_cedar_policies,
    "cedar-schema": code_reference.render_cedar_schema,
    "client-exit-codes": code_reference.render_client_exit_codes,
    "command-options": code_reference.render_command_options,
    "commands": render_commands_table,
    "decisions": structure_reference.render_decisions,
    "error-classes": error_reference.render_error_classes,
    "error-codes": code_reference.render_error_codes,
    "exit-codes": code_reference.render_exit_codes,
    "failpoints": code_reference.render_failpoints,
    "log-events": code_reference.render_log_events,
    "long-tests": structure_reference.render_long_tests,
    "management-api": interface_reference.render_management_api,
    "metrics": render_metrics_table,
    "ops-paths": interface_reference.render_ops_paths,
    "outbox": code_reference.render_outbox,
    "packages": structure_reference.render_packages,
    "permission-uses": permission_reference.render_permission_uses,
    "request-costs": _render_request_costs,
    "role-matrix": interface_reference.render_role_matrix,
    "roles-by-act": article_reference.render_roles_by_act,
    "roles-by-act-in-chinese": article_reference.render_roles_by_act_in_chinese,
    "routes": interface_reference.render_routes,
    "schema-diagram": structure_reference.render_schema_diagram,
    "schema-tables": structure_reference.render_schema_tables,
    "secret-settings": code_reference.render_secret_settings,
    "setting-ranges": code_reference.render_ranges,
    "settings": render_settings_table,
    "start-refusals": error_reference.render_start_refusals,
    "statements": render_statement_catalogue,
    "storage-layout": code_reference.render_storage_layout,
    "token-refusals": interface_reference.render_token_refusals,
    "token-routes": interface_reference.render_token_routes,
}
"""What may stand in a block, by the block's name."""


class UnknownBlockError(Exception):
    """A page has a block that nothing renders."""


def render_page(page: Page) -> str:
    """Return the page's text with every block written anew.

    Raises:
        UnknownBlockError: as described there.
    """
    text = page.text
    for block in reversed(page.blocks()):
        renderer = RENDERERS.get(block.name)
        if renderer is None:
            message = f"{page.path}: no renderer is called {block.name}"
            raise UnknownBlockError(message)
        text = f"{text[: block.start]}\n{renderer().strip()}\n\n{text[block.end :]}"
    return text


def main(arguments: list[str]) -> int:
    """Write or compare; return 1 when a page was out of date and not written."""
    configure_logging(
        "error", "console", "docs"
    )  # the requests that are measured would be logged between the names
    stale = [(page, rendered) for page in load_pages() if (rendered := render_page(page)) != page.text]
    for page, rendered in stale:
        if "--write" in arguments:
            (ROOT / page.path).write_text(rendered, encoding="utf-8")
        sys.stdout.write(f"{page.path}\n")
    return int(bool(stale) and "--write" not in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
