"""Check of the TLS certificate, by a handshake in memory: what a client would see, without a listener."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING

from entrepot.ops.checks.finding import Finding, failed, passed, warned
from entrepot.processes.http_server import check_tls
from entrepot.settings import Settings, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_certificate", "judge_expiry", "read_expiry"]

_DAY_SECONDS = 86400
_SOON_SECONDS = 21 * _DAY_SECONDS
_MAX_ROUNDS = 10
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_NOT_YET_VALID = 9  # X509_V_ERR_CERT_NOT_YET_VALID


def check_certificate(settings: Settings) -> Finding:
    """Check that certificate and key fit and are valid for some time to come."""
    try:
        files = check_tls(settings)
    except SettingsError as error:
        return failed(
            "certificate", "; ".join(error.problems), "Put the files right, then send SIGHUP to the registry."
        )
    if files is None:
        return passed("certificate", "TLS is off")
    try:
        expires = read_expiry(files.certificate, files.key)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in {_EXPIRED, _NOT_YET_VALID}:
            message = f"{files.certificate}: {error.verify_message}"
            return failed(
                "certificate", message, "Renew the certificate (or set the clock), then send SIGHUP."
            )
        return warned(
            "certificate",
            f"{files.certificate} can't be examined: {error.verify_message}",
            "Look at it with: openssl x509 -noout -text -in FILE",
        )
    now = time.time()  # noqa: TID251 - compared with the dates in the certificate, which are of that clock
    return judge_expiry(files.certificate, expires - now)


def judge_expiry(certificate: Path, remaining_seconds: float) -> Finding:
    """Judge how long a certificate stays valid."""
    days = int(remaining_seconds // _DAY_SECONDS)
    message = f"{certificate} is valid for {days} more days"
    if remaining_seconds < _SOON_SECONDS:
        return warned("certificate", message, "Renew it, then send SIGHUP to the registry.")
    return passed("certificate", message)


def read_expiry(certificate: Path, key: Path) -> float:
    """Return when the certificate ends, in seconds since 1970.

    Raises ssl.SSLCertVerificationError for one that is not valid now.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(certificate)
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # the leaf itself is the anchor
    shown = _shake_hands(server, client)
    return ssl.cert_time_to_seconds(str(shown["notAfter"]))


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> dict[str, object]:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True))
    for _ in range(_MAX_ROUNDS):
        waiting = 0
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                waiting += 1
        if not waiting:
            break
    return dict(ends[0].getpeercert() or {})
