"""Client programs that act as somebody keep what they are told apart from everybody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.blackbox.clients.cosign import Cosign
from tests.blackbox.clients.program import Program, scratch_environment
from tests.blackbox.clients.signed_in import (
    BuildahAs,
    ContainerdAs,
    CosignAs,
    DockerAs,
    OrasAs,
    PodmanAs,
    SignedIn,
    SkopeoAs,
    acting_apart,
    refused,
)
from tests.running.control_client import Account

if TYPE_CHECKING:
    from pathlib import Path

_ANN: Final = Account("ann", "canary")
_HOST: Final = "127.0.0.1:1"
_WRITE_DOWN: Final = ("sh", "-c", 'echo "$@" >> "$HOME/arguments"; cat >> "$HOME/input"', "sh")


def _signed_in(kind: type[SignedIn], home: Path, account: Account | None) -> SignedIn:
    """Return a client whose program only writes down what it is told."""
    program = Program(_WRITE_DOWN, scratch_environment(home))
    if kind is SkopeoAs:
        return SkopeoAs(program, home, _HOST, account, image="oci:layout:1")
    if kind is PodmanAs or kind is BuildahAs:
        return kind(program, home, _HOST, account, archive=home / "archive.tar")
    if kind is OrasAs:
        return OrasAs(program, home, _HOST, account, layout="layout:1")
    if kind is CosignAs:
        cosign = Cosign(program, home / "key.key", home / "key.pub")
        return CosignAs(cosign, home, _HOST, account, digest="sha256:0")
    assert kind is DockerAs or kind is ContainerdAs
    return kind(program, home, _HOST, account, image="tests/small:amd64")


@pytest.mark.parametrize("kind", [SkopeoAs, PodmanAs, BuildahAs, OrasAs, DockerAs, CosignAs])
def test_s27_a_secret_goes_to_standard_input_and_to_no_argument(kind: type[SignedIn], tmp_path: Path) -> None:
    client = _signed_in(kind, tmp_path, _ANN)
    client.log_in()

    said = (tmp_path / "arguments").read_text()
    assert "login" in said
    assert said.endswith(f"--username ann --password-stdin {_HOST}\n")
    assert (tmp_path / "input").read_text() == "canary"


@pytest.mark.parametrize("kind", [SkopeoAs, PodmanAs, BuildahAs, OrasAs, DockerAs, CosignAs, ContainerdAs])
def test_nobody_does_not_log_in(kind: type[SignedIn], tmp_path: Path) -> None:
    _signed_in(kind, tmp_path, None).log_in()

    assert not (tmp_path / "arguments").exists()


def test_containerd_is_told_who_acts_with_each_command(tmp_path: Path) -> None:
    _signed_in(ContainerdAs, tmp_path, _ANN).push("team/app", "1")

    assert (tmp_path / "arguments").read_text().splitlines() == [
        "images tag --force tests/small:amd64 127.0.0.1:1/team/app:1",
        "images push --plain-http --user ann:canary 127.0.0.1:1/team/app:1",
        "images rm --sync 127.0.0.1:1/team/app:1",
    ]


def test_two_accounts_of_one_program_share_no_file(tmp_path: Path) -> None:
    """Each finds its own, empty files of credentials in both places where programs look."""
    program = Program(("true",), scratch_environment(tmp_path))
    first, second = acting_apart(program, tmp_path / "1"), acting_apart(program, tmp_path / "2")

    assert (first.environment["REGISTRY_AUTH_FILE"], first.environment["DOCKER_CONFIG"]) == (
        f"{tmp_path}/1/auth.json",
        f"{tmp_path}/1",
    )
    assert second.environment["REGISTRY_AUTH_FILE"] == f"{tmp_path}/2/auth.json"
    assert (tmp_path / "2" / "config.json").read_text() == "{}"


def test_a_refusal_is_what_the_program_wrote_to_standard_error(tmp_path: Path) -> None:
    program = Program(("sh", "-c", "echo out; echo denied >&2; exit 1"), scratch_environment(tmp_path))

    assert refused(program.run) == "denied\n"


def test_what_failed_for_another_reason_was_not_refused(tmp_path: Path) -> None:
    program = Program(("sh", "-c", "echo no route to host >&2; exit 1"), scratch_environment(tmp_path))

    with pytest.raises(AssertionError, match="no route to host"):
        refused(program.run)
