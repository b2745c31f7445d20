"""The master key is made once, durably, and whoever has a wrong one is told which is wanted."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import structlog

from entrepot.auth.keys import master_key
from entrepot.auth.keys.errors import MasterKeyError, MasterKeyMissingError, UnsealingError
from entrepot.auth.keys.master_key import (
    MasterKey,
    begin_replacement,
    finish_replacement,
    open_master_keys,
    parse_master_key,
)
from entrepot.auth.keys.sealing import Sealing

if TYPE_CHECKING:
    from pathlib import Path

_TEXT = base64.b64encode(bytes(range(32))).decode()


def test_the_setting_wins_and_no_file_is_made(tmp_path: Path) -> None:
    (key,) = open_master_keys(_TEXT, tmp_path)

    assert key.reveal() == bytes(range(32))
    assert key.key_id == hashlib.sha256(bytes(range(32))).hexdigest()[:16]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (base64.b64encode(bytes(31)).decode(), "31 bytes instead of 32"),
        (base64.b64encode(bytes(33)).decode(), "33 bytes instead of 32"),
        ("!" * 44, "no base64"),
        ("", "0 bytes instead of 32"),
    ],
)
def test_a_key_of_another_length_is_refused_precisely(text: str, complaint: str) -> None:
    with pytest.raises(MasterKeyError, match=f"secrets.master_key holds {complaint}"):
        parse_master_key(text, "secrets.master_key")


def test_a_first_start_makes_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    (made,) = open_master_keys("", tmp_path)
    (found,) = open_master_keys("", tmp_path)

    file = tmp_path / "secrets" / "master.key"
    assert found.reveal() == made.reveal()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [path.name for path in file.parent.iterdir()] == ["master.key"]


def test_who_makes_a_key_says_where_and_never_which_s27(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as lines:
        (made,) = open_master_keys("", tmp_path)
        open_master_keys("", tmp_path)

    path = str(tmp_path / "secrets" / "master.key")
    assert lines == [{"event": "master_key.made", "log_level": "info", "path": path, "key_id": made.key_id}]


def test_starts_at_the_same_time_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        starts = [pool.submit(open_master_keys, "", tmp_path) for _ in range(32)]
    keys = {start.result()[0].key_id for start in starts}

    assert len(keys) == 1


def test_a_key_is_replaced_by_way_of_both_f46(tmp_path: Path) -> None:
    (old,) = open_master_keys("", tmp_path)

    new = begin_replacement(tmp_path)
    assert [key.key_id for key in open_master_keys("", tmp_path)] == [old.key_id, new.key_id]
    assert begin_replacement(tmp_path).key_id == new.key_id  # what broke off goes on with the same key
    finish_replacement(tmp_path)

    assert [key.key_id for key in open_master_keys("", tmp_path)] == [new.key_id]


def test_a_key_that_comes_next_is_durable_before_anything_is_sealed_with_it_f46(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gave it its name may have been killed before the directory was synced; a power cut would take it."""
    open_master_keys("", tmp_path)
    synced: list[Path] = []
    begun = begin_replacement(tmp_path)
    monkeypatch.setattr(master_key, "sync_directory", synced.append)

    assert begin_replacement(tmp_path).key_id == begun.key_id
    assert synced == [tmp_path / "secrets"]


def test_what_a_killed_replacement_left_is_removed_by_the_one_that_ends_f46(tmp_path: Path) -> None:
    """Among it may be another name of the former key, which is not to be found any more."""
    open_master_keys("", tmp_path)
    (tmp_path / "secrets" / ".master.key.0123").hardlink_to(tmp_path / "secrets" / "master.key")
    begun = begin_replacement(tmp_path)
    finish_replacement(tmp_path)

    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["master.key"]
    assert [key.key_id for key in open_master_keys("", tmp_path)] == [begun.key_id]


def test_a_damaged_file_stops_the_start(tmp_path: Path) -> None:
    open_master_keys("", tmp_path)
    (tmp_path / "secrets" / "master.key").write_text("short\n")

    with pytest.raises(MasterKeyError, match=r"master\.key holds"):
        open_master_keys("", tmp_path)


def test_what_is_sealed_is_opened_only_for_the_same_row() -> None:
    sealing = Sealing(MasterKey(bytes(32)))
    sealed = sealing.seal(b"secret", "signing-key", "row-1")

    assert sealing.unseal(sealed, sealing.key_id, "signing-key", "row-1") == b"secret"
    for purpose, identity in (("signing-key", "row-2"), ("totp", "row-1"), ("signing-ke", "yrow-1")):
        with pytest.raises(UnsealingError):
            sealing.unseal(sealed, sealing.key_id, purpose, identity)


def test_the_same_secret_is_never_sealed_alike() -> None:
    sealing = Sealing(MasterKey(bytes(32)))

    assert sealing.seal(b"secret", "p", "i") != sealing.seal(b"secret", "p", "i")


@pytest.mark.parametrize("place", [0, 11, 12, 20, -1])
def test_a_changed_byte_is_found(place: int) -> None:
    sealing = Sealing(MasterKey(bytes(32)))
    sealed = bytearray(sealing.seal(b"secret", "p", "i"))
    sealed[place] ^= 1

    with pytest.raises(UnsealingError):
        sealing.unseal(bytes(sealed), sealing.key_id, "p", "i")


def test_a_truncated_secret_is_found() -> None:
    sealing = Sealing(MasterKey(bytes(32)))

    for length in (0, 5, 12, 13):
        with pytest.raises(UnsealingError):
            sealing.unseal(sealing.seal(b"secret", "p", "i")[:length], sealing.key_id, "p", "i")


def test_another_master_key_fails_closed_and_says_which_is_wanted() -> None:
    right, wrong = MasterKey(bytes(32)), MasterKey(bytes([1]) * 32)
    sealed = Sealing(right).seal(b"secret", "p", "i")

    with pytest.raises(MasterKeyMissingError, match=f"{right.key_id}; this node has {wrong.key_id}"):
        Sealing(wrong).unseal(sealed, right.key_id, "p", "i")
    assert Sealing(wrong, right).unseal(sealed, right.key_id, "p", "i") == b"secret"


def test_no_key_shows_when_it_is_formatted_s27() -> None:
    key = MasterKey(bytes(range(32)))

    assert f"{key} {key!r}" == f"MasterKey({key.key_id}) MasterKey({key.key_id})"
