"""The names that tools write beside images lead to the same repository and tag."""

from __future__ import annotations

import pytest

from entrepot.transfer.image_names import ImageName, parse_image_name


@pytest.mark.parametrize(
    ("text", "repository", "tag"),
    [
        ("1.0", None, "1.0"),
        ("latest", None, "latest"),
        ("app:1.0", "app", "1.0"),
        ("team/app", "team/app", "latest"),
        ("docker.io/library/app:1.0", "app", "1.0"),
        ("docker.io/team/app:1.0", "team/app", "1.0"),
        ("localhost/app:1", "app", "1"),
        ("localhost:5000/team/app", "team/app", "latest"),
        ("registry.example.com:5000/a/b/c:2", "a/b/c", "2"),
        ("quay.io/team/app@sha256:00", "team/app", None),
    ],
)
def test_repository_and_tag_of_a_name(text: str, repository: str | None, tag: str | None) -> None:
    """A registry's host is dropped, Docker Hub's `library` too; without a tag it is `latest`."""
    assert parse_image_name(text) == ImageName(repository, tag)
