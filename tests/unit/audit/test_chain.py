"""Links: literal hashes, so that no later program makes another chain of the same records."""

from __future__ import annotations

import hashlib

import pytest

from entrepot.audit.chain import UnknownChainAlgorithmError, chain_start, link_hash


def test_links_are_hashes_of_all_that_a_record_says_and_of_the_link_before() -> None:
    start = hashlib.sha256(b"22:entrepot audit chain 15:chain").hexdigest()
    link = hashlib.sha256(
        b"21:entrepot audit link 1"
        b"32:" + bytes.fromhex(start) + b"1:7" + b"2:id" + b"13:1700000000000" + b"2:{}"
    ).hexdigest()

    assert chain_start("sha256", "chain") == start
    assert link_hash("sha256", start, 7, "id", 1_700_000_000_000, b"{}") == link


def test_no_part_can_lend_bytes_to_its_neighbour() -> None:
    start = chain_start("sha256", "chain")

    assert link_hash("sha256", start, 1, "ab", 1, b"c") != link_hash("sha256", start, 1, "a", 1, b"bc")
    assert link_hash("sha256", start, 11, "a", 1, b"") != link_hash("sha256", start, 1, "1a", 1, b"")


def test_an_algorithm_of_a_later_program_is_refused() -> None:
    with pytest.raises(UnknownChainAlgorithmError, match="'sm3'"):
        chain_start("sm3", "chain")
