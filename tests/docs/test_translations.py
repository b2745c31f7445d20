"""Both languages say the same to an operator: the same pages, the same structure, the same settings and commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.ops.application import COMMANDS
from entrepot.settings import setting_fields
from tests.docs.pages import Page, load_page, load_pages

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHINESE: Final = ".zh-CN.md"
_FOR_OPERATORS: Final = ("docs/operations/", "docs/how-to/", "docs/tutorials/")
_IN_ENGLISH_ONLY: Final = {
    "docs/how-to/long-tests.md": "for those who work on the registry itself",
}
_OTHERS: Final = ("README.md", "docs/article.md", "docs/reference/article-roles.md")

_CODE: Final = re.compile(r"^```[a-z]*\n(?P<fenced>.*?)^```$|`(?P<inline>[^`]+)`", re.DOTALL | re.MULTILINE)
_KEY: Final = re.compile(r"[a-z]+[a-z0-9_]*(?:\.[a-z0-9_]+)+(?:\.\*)?|[a-z][a-z0-9_]*\.\*")
_VARIABLE: Final = re.compile(r"\bENTREPOT_[A-Z0-9_]*[A-Z0-9]\b")
_OPTION: Final = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
_COMMAND: Final = re.compile(r"(?:^|[\s/])(?:entrepot )+((?:[a-z][a-z-]*[ \n]?)+)", re.MULTILINE)

_COMMANDS: Final = {command.words for command in COMMANDS}
_KEYS: Final = {field.key for field in setting_fields()}
_SECTIONS: Final = {key.rpartition(".")[0] for key in _KEYS} | {key.partition(".")[0] for key in _KEYS}


def _pages_for_operators() -> list[str]:
    paths = [page.path for page in load_pages() if page.path.startswith(_FOR_OPERATORS)]
    return [path for path in paths if not path.endswith(_CHINESE) and path not in _IN_ENGLISH_ONLY]


_TRANSLATED: Final = [*_OTHERS, *_pages_for_operators()]


def _chinese(path: str) -> str:
    return path.removesuffix(".md") + _CHINESE


def test_every_page_for_operators_is_there_in_chinese() -> None:
    there = {page.path for page in load_pages()}

    assert [path for path in _pages_for_operators() if _chinese(path) not in there] == []
    assert len(_pages_for_operators()) >= 15
    assert set(_IN_ENGLISH_ONLY) <= there


def test_no_chinese_page_is_without_its_english_one() -> None:
    there = {page.path for page in load_pages()}

    chinese = [path for path in there if path.endswith(_CHINESE)]
    assert [path for path in chinese if path.removesuffix(_CHINESE) + ".md" not in there] == []
    assert {path.removesuffix(_CHINESE) + ".md" for path in chinese} - set(_TRANSLATED) == set()


@pytest.mark.parametrize("path", _TRANSLATED)
def test_both_have_the_same_structure(path: str) -> None:
    """The same headings by number and level, the same code, tables of the same size."""
    one, other = load_page(path), load_page(_chinese(path))

    assert [level for level, _ in other.headings()] == [level for level, _ in one.headings()]
    assert len(list(other.table_rows())) == len(list(one.table_rows()))
    for language in ("toml", "ini", "nginx", "promql"):
        assert _code(other, language) == _code(one, language)


@pytest.mark.parametrize("path", _TRANSLATED)
def test_both_name_the_same_settings_and_commands(path: str) -> None:
    """Whatever an operator can type or set is in both, or in neither."""
    one, other = set(_names(load_page(path))), set(_names(load_page(_chinese(path))))

    assert {"only in English": one - other, "only in Chinese": other - one} == {
        "only in English": set(),
        "only in Chinese": set(),
    }


def test_what_can_be_typed_or_set_is_found_in_code_only() -> None:
    page = Page(
        "x.md",
        "`http.listen` (`lockout.*`, `passwords.min_length = 8`), `ENTREPOT_CONFIG`, http.external_url and `no.such`\n"
        "```sh\nsudo -u entrepot entrepot backup create --to /x  # entrepot\n.venv/bin/entrepot doctor\n```\n"
        "`keys rotate` and `entrepot admin unlock NAME`, `team/app --not`",
    )

    assert set(_names(page)) == {
        "http.listen",
        "lockout.*",
        "passwords.min_length",
        "ENTREPOT_CONFIG",
        "entrepot backup create",
        "--to",
        "entrepot doctor",
        "entrepot keys rotate",
        "entrepot admin unlock",
        "--not",
    }


def _code(page: Page, language: str) -> list[str]:
    """Return the fenced blocks of a language without their comments, which are for people."""
    return [re.sub(r"[ \t]*#.*", "", code) for code in page.code(language)]


def _names(page: Page) -> Iterator[str]:
    """Yield the settings, variables, commands and options that stand in code."""
    for found in _CODE.finditer(page.text):
        text = found["fenced"] or found["inline"]
        yield from (key for key in _KEY.findall(text) if key in _KEYS or _is_section(key))
        yield from _VARIABLE.findall(text)
        yield from _OPTION.findall(text)
        lines = [line.partition(" #")[0] for line in text.splitlines()]
        typed = [words for line in lines for words in _COMMAND.findall(line)]
        for words in (*typed, text if found["inline"] else ""):
            name = _command(words.split())
            if name:
                yield f"entrepot {name}"


def _is_section(key: str) -> bool:
    return key.endswith(".*") and key.removesuffix(".*") in _SECTIONS


def _command(words: list[str]) -> str:
    """Return the command that words begin with; the longest, where one begins with another."""
    known = [words[:length] for length in range(len(words), 0, -1) if tuple(words[:length]) in _COMMANDS]
    return " ".join(known[0]) if known else ""
