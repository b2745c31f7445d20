"""Names of repositories and tags follow the grammar of the distribution-spec."""

from __future__ import annotations

import time

import pytest

from entrepot.oci.names import InvalidRepositoryNameError, InvalidTagNameError, RepositoryName, TagName


@pytest.mark.parametrize(
    ("text", "project"),
    [
        ("busybox", "library"),
        ("library/busybox", "library"),
        ("team/app", "team"),
        ("team/sub/app", "team"),
        ("a.b/c_d/e__f/g-h/i---j/0", "a.b"),
        ("a" * 255, "library"),
    ],
)
def test_a_repository_name_is_kept_and_names_its_project(text: str, project: str) -> None:
    name = RepositoryName.parse(text)

    assert (str(name), name.project) == (text, project)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "/app",
        "app/",
        "team//app",
        "Team/app",
        "team/App",
        "-app",
        "app-",
        ".app",
        "app.",
        "a..b",
        "a___b",
        "a._b",
        "a.-b",
        "../app",
        "team/../app",
        "team/%2e%2e/app",
        "team\\app",
        "team/app:tag",
        "team/app@sha256",
        "app\n",
        "app ",
        "äpp",
        "app\u0661",
        "a" * 256,
        "app\ud800",
    ],
)
def test_s34_what_breaks_the_grammar_names_no_repository(text: str) -> None:
    with pytest.raises(InvalidRepositoryNameError) as caught:
        RepositoryName.parse(text)

    assert caught.value.text == text


@pytest.mark.parametrize(
    ("project", "within", "text"),
    [
        ("library", "app", "library/app"),
        ("library", "_/app", "app"),
        ("library", "a/app", "library/a/app"),
        ("library", "library/app", "library/library/app"),
        ("library", "_/library", "library"),
        ("library", "_/" + "a" * 255, "a" * 255),
        ("team", "app", "team/app"),
        ("team", "library/app", "team/library/app"),
    ],
)
def test_a_name_within_a_project_means_one_repository_that_has_no_other(
    project: str, within: str, text: str
) -> None:
    name = RepositoryName.within(project, within)

    assert (name.text, name.project, name.name_within) == (text, project, within)


@pytest.mark.parametrize(
    ("project", "within"),
    [
        ("team", "_/app"),
        ("library", "_/a/app"),
        ("library", "_/_/app"),
        ("library", "_/"),
        ("library", "_"),
        ("library", "_app"),
        ("library", "a/_/app"),
        ("library", "/app"),
        ("library", "_/App"),
        ("library", "_/" + "a" * 256),
    ],
)
def test_what_stands_for_no_project_stands_before_one_segment_below_library(
    project: str, within: str
) -> None:
    with pytest.raises(InvalidRepositoryNameError):
        RepositoryName.within(project, within)


@pytest.mark.parametrize("text", ["latest", "1.0", "_", "v1.2.3-rc.1_x86", "A", "a" * 128, "a.", "a-", "a.."])
def test_a_tag_is_kept(text: str) -> None:
    assert str(TagName.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "-a", ".a", "a/b", "a b", "a+b", "a:b", "a@b", "a" * 129, "a\n", "ä", "\u0663", "\ud800"],
)
def test_s34_what_breaks_the_grammar_names_no_tag(text: str) -> None:
    with pytest.raises(InvalidTagNameError) as caught:
        TagName.parse(text)

    assert caught.value.text == text


def test_s36_no_name_takes_the_grammar_long_to_refuse() -> None:
    hostile = ["a" * 254 + "!", "a-" * 127 + "!", "a/" * 127, "a" + "-" * 253 + "!", "a__" * 84 + "_" * 3]
    hostile += [text * 10_000 for text in hostile]
    started = time.process_time()
    for text in hostile:
        with pytest.raises(InvalidRepositoryNameError):
            RepositoryName.parse(text)
        with pytest.raises(InvalidTagNameError):
            TagName.parse(text + "!")

    assert time.process_time() - started < 1
