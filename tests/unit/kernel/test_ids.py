"""Identifiers shown to clients can't be guessed (S5)."""

from __future__ import annotations

import re

from entrepot.kernel.clock import machine_milliseconds
from entrepot.kernel.ids import new_ordered_id, new_public_id


def test_s5_a_public_id_is_128_bits_in_lower_case_hexadecimal() -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", new_public_id()) is not None


def test_s5_public_ids_do_not_repeat_or_share_a_prefix() -> None:
    identifiers = {new_public_id() for _ in range(1000)}

    assert len(identifiers) == 1000
    assert len({identifier[:16] for identifier in identifiers}) == 1000


def test_s5_an_ordered_id_has_80_random_bits_behind_the_time() -> None:
    identifiers = [new_ordered_id() for _ in range(1000)]

    assert all(re.fullmatch(r"[0-9a-f]{32}", identifier) for identifier in identifiers)
    assert len({identifier[12:] for identifier in identifiers}) == 1000
    times = [identifier[:12] for identifier in identifiers]
    assert times == sorted(times)
    assert abs(int(times[-1], 16) - machine_milliseconds()) < 60_000
