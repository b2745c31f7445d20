"""The images that arguments of an export name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.kernel.errors import EntrepotError
from entrepot.oci.digest import Digest
from entrepot.oci.names import RepositoryName, TagName
from entrepot.transfer.export_choice import parse_chosen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DIGEST = Digest.of_bytes(b"x")


async def tags(*names: str) -> AsyncIterator[TagName]:
    """Yield tags."""
    for name in names:
        yield TagName(name)


async def test_tags_globs_and_digests_are_joined() -> None:
    """Each reference once; a tag named outright need not be listed."""
    chosen = parse_chosen(["team/app:v1.*", "team/app:v1.1", f"team/app@{DIGEST}", "other:x"])
    app = RepositoryName.parse("team/app")

    references = await chosen.references(app, tags("v1.1", "v2", "v1.2"))

    assert references == [TagName("v1.1"), TagName("v1.2"), DIGEST]


async def test_a_repository_alone_means_all_its_tags() -> None:
    """So does no argument at all."""
    app = RepositoryName.parse("app")

    assert await parse_chosen(["app"]).references(app, tags("a", "b")) == [TagName("a"), TagName("b")]
    assert await parse_chosen([]).references(app, tags("a")) == [TagName("a")]


def test_one_named_repository_is_a_layout_of_its_own() -> None:
    """Whether the destination is the layout hangs on the arguments alone, not on what the registry holds."""
    assert parse_chosen(["app:1", "app:2"]).single_repository == RepositoryName.parse("app")
    assert parse_chosen(["app", "other"]).single_repository is None
    assert parse_chosen(["ap*"]).single_repository is None
    assert parse_chosen([]).single_repository is None


@pytest.mark.parametrize("text", ["Upper", "app@sha256:no", ""])
def test_what_names_nothing_is_refused(text: str) -> None:
    """At once, before anything is read."""
    with pytest.raises(EntrepotError):
        parse_chosen([text])
