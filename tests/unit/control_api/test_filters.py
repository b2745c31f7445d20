"""The little language of `q`: every operator, what is malformed, and that nothing but allowed fields gets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.control_api.errors import InvalidFilterError
from entrepot.control_api.filters import (
    AllOf,
    AnyOf,
    Exact,
    FilterField,
    FilterTerm,
    Fuzzy,
    Span,
    parse_filters,
)

_EVERY = frozenset({"exact", "fuzzy", "range", "any", "all"})
_ALLOWED = {
    "name": FilterField("name", "text", _EVERY),
    "projectid": FilterField("project_id", "number", _EVERY),
    "creationtime": FilterField("creation_time", "time", _EVERY),
    "level": FilterField("level", "text", frozenset({"exact"})),
}


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ()),
        ("name=app", (FilterTerm("name", Exact("app")),)),
        ("name==app", (FilterTerm("name", Exact("=app")),)),
        ("name=it's", (FilterTerm("name", Exact("it's")),)),
        ("name=~app", (FilterTerm("name", Fuzzy("app")),)),
        ("name=~%25_", (FilterTerm("name", Fuzzy("%_")),)),
        ("project_id=[3~7]", (FilterTerm("project_id", Span(3, 7)),)),
        ("project_id=[3~]", (FilterTerm("project_id", Span(3, None)),)),
        ("project_id=[~7]", (FilterTerm("project_id", Span(None, 7)),)),
        (
            "creation_time=[2020-04-09 02:36:00~'2020-04-09 02:36:01']",
            (FilterTerm("creation_time", Span(1_586_399_760_000, 1_586_399_761_999)),),
        ),
        ("project_id={1 2}", (FilterTerm("project_id", AnyOf((1, 2))),)),
        ("name=(a \"b c\" 'd, e')", (FilterTerm("name", AllOf(("a", "b c", "d, e"))),)),
        ("name=a%2Cb", None),
        (
            "Level=project,ProjectID=7",
            (FilterTerm("level", Exact("project")), FilterTerm("project_id", Exact(7))),
        ),
    ],
)
def test_a_filter_means_what_harbor_says(text: str, terms: tuple[FilterTerm, ...] | None) -> None:
    """harbor-api.md, section 1; the value is unescaped once more before it is taken apart."""
    if terms is None:
        with pytest.raises(InvalidFilterError):
            parse_filters(text, _ALLOWED)
    else:
        assert parse_filters(text, _ALLOWED) == terms


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "=app",
        "name=",
        "name=~",
        "name=a,",
        ",name=a",
        "name=a,name=b",
        "name={}",
        "name={a,b}",
        "name={a",
        "name={'a}",
        "name={'a'b}",
        "name=[a]",
        "name=[~]",
        "name=[a~b~c]",
        "project_id=seven",
        "project_id=7.0",
        "project_id={1 x}",
        "project_id=99999999999999999999",
        "creation_time=yesterday",
        "name=a\0",
        "name=%00",
        "creation_time=[0001-01-01T00:00:00+23:59~2020-04-09 02:36]",
        "creation_time=2020-13-40 02:36:00",
        "name=%",
        "name=%ff",
        "name=" + "a" * 4096,
        "level=~proj",
        "level={project}",
    ],
)
def test_what_is_malformed_is_refused(text: str) -> None:
    with pytest.raises(InvalidFilterError):
        parse_filters(text, _ALLOWED)


@pytest.mark.parametrize(
    "field",
    [
        "password",
        "password_hash",
        "salt",
        "id",
        "owner__password",
        "owner.secret",
        "name;--",
        "n ame",
        "name'",
    ],
)
def test_a_field_that_is_not_listed_is_refused_s26(field: str) -> None:
    """A filter on a hidden column would tell its value letter by letter."""
    with pytest.raises(InvalidFilterError):
        parse_filters(f"{field}=~a", _ALLOWED)


@pytest.mark.parametrize(
    ("least", "most", "span"),
    [
        ("2020-04-09T02:36:00.250Z", "", Span(1_586_399_760_250, None)),
        ("2020-04-09 04:36:00+02:00", "", Span(1_586_399_760_000, None)),
        ("", "2020-04-09T02:36:00Z", Span(None, 1_586_399_760_999)),
        ("", "2020-04-09T02:36:00.250Z", Span(None, 1_586_399_760_250)),
        ("1969-12-31T23:59:59.999Z", "", Span(-1, None)),
    ],
)
def test_a_time_is_read_as_answers_show_it(least: str, most: str, span: Span) -> None:
    """A bound without a fraction means its whole second."""
    terms = parse_filters(f"creation_time=[{least}~{most}]", _ALLOWED)

    assert terms == (FilterTerm("creation_time", span),)


@pytest.mark.parametrize(
    "value", ["' OR 1=1 --", "a'; DROP TABLE users; --", "1) UNION SELECT 1", "%' --", "\\"]
)
def test_sql_in_a_value_stays_a_value_s25(value: str) -> None:
    """What comes out is data for a named parameter, the same text as went in."""
    escaped = value.replace("%", "%25")

    assert parse_filters(f"name={escaped}", _ALLOWED) == (FilterTerm("name", Exact(value)),)


@given(st.text(max_size=60) | st.text(alphabet="name=~,[](){}'\" %20project_id", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No input breaks the parser, and what it lets through bears names from the list only."""
    try:
        terms = parse_filters(text, _ALLOWED)
    except InvalidFilterError:
        return
    assert {term.field for term in terms} <= {"name", "project_id", "creation_time", "level"}
    assert len({term.field for term in terms}) == len(terms)


_WORDS = st.text(
    alphabet=st.characters(exclude_characters="\"'\0", exclude_categories=["Cs"]), min_size=1, max_size=12
)


@given(st.lists(_WORDS, min_size=1, max_size=5))
def test_quoted_items_come_out_as_they_went_in(words: list[str]) -> None:
    """Whatever stands in quotes is kept: spaces, commas, brackets of every kind."""
    items = " ".join(f'"{word}"' for word in words).replace("%", "%25")

    assert parse_filters(f"name={{{items}}}", _ALLOWED) == (FilterTerm("name", AnyOf(tuple(words))),)
