"""Pages of a log that grows while it is read: by links, by counting, forward and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.control_api.audit_pages import AuditPageInputs, read_walk
from entrepot.control_api.errors import MalformedRequestError
from entrepot.metadata.audit_store import AuditFilter

if TYPE_CHECKING:
    from entrepot.control_api.audit_pages import Direction
    from entrepot.control_api.paging import Neighbours
    from entrepot.metadata.audit_store import AuditPageQuery


class _Record(msgspec.Struct, frozen=True):
    id: int


class _Log:
    """Records by their ids, found as the database finds them."""

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids
        self.skipped: list[int] = []

    def page(self, query: AuditPageQuery) -> list[_Record]:
        self.skipped.append(query.offset)
        within = [number for number in self.ids if number <= query.wanted.newest]
        found = (
            sorted((number for number in within if number < query.edge), reverse=True)
            if query.direction == "older"
            else sorted(number for number in within if number > query.edge)
        )
        return [_Record(number) for number in found[query.offset : query.offset + query.limit]]

    def ask(
        self, page: int, size: int, direction: Direction = "older", **fields: Any
    ) -> tuple[list[int], Neighbours]:
        """Return the ids of a page and where its neighbours are, as the endpoint answers."""
        inputs = AuditPageInputs(page=page, page_size=size, **fields)
        walk = read_walk(inputs, AuditFilter(), max(self.ids, default=0), direction)
        found: list[Any] = list(self.page(walk.query()))
        shown: Any = walk.in_order(found)
        total = walk.known_total
        if total is None:
            total = sum(number <= walk.wanted.newest for number in self.ids)
        return [record.id for record in shown], walk.neighbours(shown, total)


def _fields(way: Any) -> dict[str, Any]:
    return {"upto": int(way["upto"]), "mark": way["mark"]}


def test_links_lead_over_each_record_once_and_back_while_records_are_added() -> None:
    log = _Log([3, 5, 8, 13, 21, 34, 55])

    first, ways = log.ask(1, 3)
    log.ids += [56, 57]
    second, further = log.ask(2, 3, **_fields(ways.following))
    log.ids.append(89)
    third, ways = log.ask(3, 3, **_fields(further.following))
    log.ids.append(90)
    back, _ = log.ask(2, 3, **_fields(ways.previous))

    assert (first, second, third, back) == ([55, 34, 21], [13, 8, 5], [3], [13, 8, 5])
    assert further.following == {"upto": "55", "mark": "5-5-7"}
    assert further.previous == {"upto": "55", "mark": "3-13-7"}
    assert log.skipped == [0, 0, 0, 0], "no page was found by counting"


def test_whoever_counts_pages_stays_right_with_upto_alone() -> None:
    log = _Log(list(range(1, 11)))
    log.ask(1, 4)
    log.ids += [11, 12]

    assert log.ask(2, 4, upto=10)[0] == [6, 5, 4, 3]
    assert log.ask(2, 4)[0] == [8, 7, 6, 5]


@given(
    count=st.integers(0, 30),
    size=st.integers(1, 7),
    marked=st.integers(1, 6),
    page=st.integers(1, 8),
    other_size=st.integers(1, 7),
    direction=st.sampled_from(["older", "newer"]),
    way=st.sampled_from(["previous", "following"]),
)
def test_a_mark_never_changes_what_a_page_is(
    count: int, size: int, marked: int, page: int, other_size: int, direction: Any, way: str
) -> None:
    """Also where somebody keeps it and asks for another page, or for pages of another size."""
    log = _Log([number * 2 for number in range(1, count + 1)])
    shown, ways = log.ask(marked, size, direction)
    if not shown:
        return
    log.ids += [1000, 1001]

    found, _ = log.ask(page, other_size, direction, **_fields(getattr(ways, way)))

    everything = sorted((number * 2 for number in range(1, count + 1)), reverse=direction == "older")
    assert found == everything[(page - 1) * other_size : page * other_size]


@pytest.mark.parametrize(
    ("mark", "upto"),
    [("1", 5), ("1-2", 5), ("1-2-3", 0), ("-1-2-3", 5), ("1-2-3-4", 5), ("1-2-" + "9" * 19, 5), ("a-b-c", 5)],
)
def test_a_mark_that_no_link_says_is_refused(mark: str, upto: int) -> None:
    with pytest.raises(MalformedRequestError) as caught:
        read_walk(AuditPageInputs(mark=mark, upto=upto), AuditFilter(), 9, "older")

    assert str(caught.value) == "mark is what Link says, together with upto; leave it out otherwise"
