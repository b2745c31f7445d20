"""Which metadata a project can have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.projects.errors import MetadataInvalidError
from entrepot.projects.metadata_values import AccessMetadata, check_metadata, split_metadata


@pytest.mark.parametrize(
    ("name", "given_value", "kept"),
    [
        ("public", "True", "true"),
        ("public", "false", "false"),
        ("repository_creation", "team-leads", "team-leads"),
        ("auto_scan", "FALSE", "false"),
        ("severity", "critical", "critical"),
        ("prevent_vul", "False", "false"),
        ("reuse_sys_cve_allowlist", "True", "true"),
        ("proxy_speed_kb", "-1", "-1"),
        ("max_upstream_conn", "0", "0"),
        ("proxy_cache_filter_kind", "regex", "regex"),
        ("proxy_cache_filter_pattern", "library/**", "library/**"),
        ("proxy_cache_filter_pattern", "", ""),
    ],
)
def test_metadata_are_kept_as_texts(name: str, given_value: str, kept: str) -> None:
    assert check_metadata({name: given_value}) == {name: kept}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("public", "yes"),
        ("public", ""),
        ("public", "true\n"),
        ("repository_creation", "everyone"),
        ("severity", "High"),
        ("proxy_speed_kb", "-2"),
        ("proxy_speed_kb", "1.5"),
        ("proxy_speed_kb", "\N{ARABIC-INDIC DIGIT ONE}"),
        ("proxy_cache_filter_kind", "glob"),
        ("proxy_cache_filter_pattern", "x" * 256),
        ("proxy_cache_filter_pattern", "a\0"),
        ("owner_id", "1"),
        ("epoch", "0"),
        ("", ""),
    ],
)
def test_what_a_project_cannot_have_is_refused_by_name_s8(name: str, value: str) -> None:
    with pytest.raises(MetadataInvalidError) as caught:
        check_metadata({"public": "true", name: value})

    assert caught.value.name == name


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("enable_content_trust", "true", "can only be 'false': signatures are not demanded of pulls here"),
        (
            "enable_content_trust_cosign",
            "True",
            "can only be 'false': signatures are not demanded of pulls here",
        ),
        ("prevent_vul", "true", "can only be 'false': images are not scanned here"),
        ("auto_scan", "TRUE", "can only be 'false': images are not scanned here"),
        ("auto_sbom_generation", "true", "can only be 'false': bills of materials are not made here"),
        ("retention_id", "12", "can't be set: there are no retention policies here"),
    ],
)
def test_a_control_that_does_not_exist_can_not_be_switched_on(name: str, value: str, reason: str) -> None:
    """Nobody is to read back `true` and rely on it."""
    with pytest.raises(MetadataInvalidError) as caught:
        check_metadata({name: value})

    assert (caught.value.name, caught.value.reason) == (name, reason)


def test_what_decides_about_access_is_told_from_the_rest() -> None:
    assert split_metadata({"public": "false", "repository_creation": "developers", "severity": "low"}) == (
        AccessMetadata(is_public=False, repository_creation="developers"),
        {"severity": "low"},
    )
    assert split_metadata({}) == (AccessMetadata(is_public=None, repository_creation=None), {})


@given(st.dictionaries(st.sampled_from(["public", "severity", "retention_id", "x"]), st.text(max_size=6)))
def test_checking_twice_is_checking_once(values: dict[str, str]) -> None:
    try:
        once = check_metadata(values)
    except MetadataInvalidError:
        return
    assert check_metadata(once) == once
