"""The catalogue of error codes holds every code of the distribution-spec, and says something useful of each."""

from __future__ import annotations

import pytest

from entrepot.oci.error_codes import ErrorCode

_DISTRIBUTION_SPEC_CODES = {
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
}
_FURTHER_CODES = {
    "TAG_INVALID",
    "RANGE_INVALID",
    "PAGINATION_NUMBER_INVALID",
    "UNAVAILABLE",
    "UNKNOWN",
    "STORAGE_FULL",
}


def test_the_codes_are_those_of_the_specification_and_a_few_more() -> None:
    assert {member.code for member in ErrorCode} == _DISTRIBUTION_SPEC_CODES | _FURTHER_CODES


@pytest.mark.parametrize("member", ErrorCode)
def test_every_code_has_one_sentence_a_cause_and_a_remedy(member: ErrorCode) -> None:
    texts = [member.message, member.cause, member.remedy]

    assert member.message.count(". ") == 0
    assert all(text.endswith(".") and text[0].isupper() and text.isascii() for text in texts)
    assert len(set(texts)) == 3


def test_no_two_codes_share_a_message() -> None:
    assert len({member.message for member in ErrorCode}) == len(ErrorCode)
