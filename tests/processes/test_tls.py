"""What the public listener agrees to speak, asked with openssl rather than believed."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.plumbing.skips import require_program
from tests.processes.certificates import make_certificate
from tests.processes.load import SteadyLoad
from tests.processes.running import RunningRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TLS12_SUITES = {
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
}
"""All that is spoken with an ECDSA certificate; with an RSA one the same three with RSA. Forward secrecy, AEAD."""
TLS13_SUITES = {"TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    """A registry with the default oldest version, 1.2."""
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = make_certificate(directory, "localhost")
    settings = {"tls": {"certificate": str(certificate), "key": str(key)}}
    with RunningRegistry(directory, settings=settings) as running:
        yield running


@pytest.mark.parametrize("option", ["-tls1", "-tls1_1"])
def test_older_versions_are_refused(registry: RunningRegistry, option: str) -> None:
    """SECLEVEL=0, or openssl itself would decline to try."""
    assert negotiate(registry, option, "-cipher", "ALL:@SECLEVEL=0") is None


@pytest.mark.parametrize(("option", "version"), [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_current_versions_are_spoken(registry: RunningRegistry, option: str, version: str) -> None:
    negotiated = negotiate(registry, option)
    assert negotiated is not None
    assert negotiated[0] == version


def test_the_suites_of_tls_1_2_are_exactly_the_documented_ones(registry: RunningRegistry) -> None:
    listing = subprocess.run(
        [require_program("openssl"), "ciphers", "-tls1_2", "-s", "ALL:@SECLEVEL=0"],
        check=True,
        capture_output=True,
        text=True,
    )
    offered = [suite for suite in listing.stdout.strip().split(":") if not suite.startswith("TLS_")]
    assert len(offered) > 20
    others = [suite for suite in offered if suite not in TLS12_SUITES]
    assert negotiate(registry, "-tls1_2", "-cipher", ":".join(others) + ":@SECLEVEL=0") is None
    for suite in TLS12_SUITES:
        assert negotiate(registry, "-tls1_2", "-cipher", suite) == ("TLSv1.2", suite)


def test_the_suites_of_tls_1_3_are_exactly_the_documented_ones(registry: RunningRegistry) -> None:
    for suite in TLS13_SUITES:
        assert negotiate(registry, "-tls1_3", "-ciphersuites", suite) == ("TLSv1.3", suite)
    weak = "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256"
    assert negotiate(registry, "-tls1_3", "-ciphersuites", weak) is None


def test_http_1_1_is_the_only_protocol_agreed_on(registry: RunningRegistry) -> None:
    output = run_client(registry, "-alpn", "h2,http/1.1")
    assert "ALPN protocol: h2" not in output


def test_readiness_is_found_through_tls(registry: RunningRegistry) -> None:
    assert registry.get_ops("/readyz")[0] == 200
    assert registry.get("/v2/")[0] == 200


def test_the_oldest_version_can_be_set_to_1_3(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "localhost")
    settings = {"tls": {"certificate": str(certificate), "key": str(key), "min_version": "1.3"}}
    with RunningRegistry(tmp_path, settings=settings) as strict:
        assert negotiate(strict, "-tls1_2") is None
        assert negotiate(strict, "-tls1_3") is not None
        with SteadyLoad(strict) as load:
            load.wait_for_successes(5)
            assert load.failures == []


def test_a_key_that_does_not_fit_its_certificate_refuses_to_start(tmp_path: Path) -> None:
    certificate, _ = make_certificate(tmp_path, "one")
    _, key = make_certificate(tmp_path, "other")
    registry = RunningRegistry(tmp_path, settings={"tls": {"certificate": str(certificate), "key": str(key)}})
    registry.start()
    assert registry.wait_exit() == 2
    assert "tls.key" in registry.events("start.refused")[0]["reason"]


def negotiate(registry: RunningRegistry, *options: str) -> tuple[str, str] | None:
    """Version and suite that openssl and the registry agree on with these options; None if they don't."""
    found = re.search(r"^New, (\S+), Cipher is (\S+)$", run_client(registry, *options), re.MULTILINE)
    if found is None or found[2] == "(NONE)":
        return None
    protocol = "TLSv1.3" if found[2].startswith("TLS_") else "TLSv1.2"
    return protocol, found[2]


def run_client(registry: RunningRegistry, *options: str) -> str:
    """Output of `openssl s_client`."""
    done = subprocess.run(
        [require_program("openssl"), "s_client", "-connect", f"127.0.0.1:{registry.port}", *options],
        input="",
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout
