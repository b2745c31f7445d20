"""The scripts that complete commands in shells, tried in a real bash and, where it is there, in zsh and fish."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, get_args

import pytest

from entrepot.auth.roles import BUILT_IN_ROLES
from entrepot.client.suggestions import MemberRole, MetadataValue, SystemRole
from entrepot.ops.application import COMMANDS, run_command_line
from entrepot.projects.metadata_values import PUBLIC, REPOSITORY_CREATION, check_metadata

if TYPE_CHECKING:
    from pathlib import Path

_ASK = """
source "$1"
function_name=$(complete -p entrepot | sed 's/.*-F \\([^ ]*\\).*/\\1/')
PATH=/nonexistent
while IFS= read -r COMP_LINE; do
  read -ra COMP_WORDS <<< "$COMP_LINE"
  [[ $COMP_LINE == *" " ]] && COMP_WORDS+=("")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_POINT=${#COMP_LINE}; COMPREPLY=()
  "$function_name"
  printf '%s\\n' "${COMPREPLY[*]}"
done
"""


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("completion") / "entrepot.bash"
    file.write_text(_printed("bash"))
    return file


def _printed(shell: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run_command_line(["completion", shell]) == 0
    return out.getvalue()


def _complete(script: Path, *lines: str) -> list[list[str]]:
    """Return what bash offers after each of the lines; `PATH` is empty, so that no program can be started for it."""
    done = subprocess.run(
        ["bash", "-c", _ASK, "bash", str(script)],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return [line.split() for line in done.stdout.splitlines()]


def test_bash_completes_words_options_and_choices_without_starting_a_program(bash_script: Path) -> None:
    expected = {
        "entrepot ro": ["robot", "role"],
        "entrepot robot ": ["create", "delete", "list", "rotate", "show", "update"],
        "entrepot member add --r": ["--role"],
        "entrepot project list --output ": ["json", "name", "table"],
        "entrepot member add team ada --role gu": ["guest"],
        "entrepot role assign ada au": ["auditor"],
        "entrepot project set team repository_creation=d": ["repository_creation=developers"],
        "entrepot backup re": ["restore"],
        "entrepot completion ": ["bash", "fish", "zsh"],
    }

    offered = [sorted(words) for words in _complete(bash_script, *expected)]

    assert dict(zip(expected, offered, strict=True)) == expected


def test_every_command_is_completed(bash_script: Path) -> None:
    groups = sorted({command.words[0] for command in COMMANDS if len(command.words) == 2})
    first, *inner = _complete(bash_script, "entrepot ", *(f"entrepot {group} " for group in groups))
    offered = set(first)
    for group, words in zip(groups, inner, strict=True):
        offered |= {f"{group} {word}" for word in words}

    assert {" ".join(command.words) for command in COMMANDS} - offered == set()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_scripts_can_be_read(shell: str, tmp_path: Path) -> None:
    script = _printed(shell)
    assert "rotate" in script
    if shutil.which(shell) is not None:
        file = tmp_path / "script"
        file.write_text(script)
        subprocess.run([shell, "-n", str(file)], check=True)


def _words_of(suggestions: Any) -> set[str]:
    return {word for part in get_args(suggestions) for word in get_args(part)}


def test_roles_that_are_offered_are_those_that_every_registry_has() -> None:
    """Roles of one's own are taken as well, which is why these are suggestions and not choices."""
    roles = BUILT_IN_ROLES.values()
    offered = [_words_of(MemberRole), _words_of(SystemRole)]

    assert offered == [
        {role.name for role in roles if role.assignable_in_project},
        {role.name for role in roles if role.assignable_on_system},
    ]


def test_metadata_that_are_offered_are_taken() -> None:
    pairs = [words.split("=") for words in _words_of(MetadataValue)]

    assert {key for key, _ in pairs} == {PUBLIC, REPOSITORY_CREATION}
    for key, value in pairs:
        assert check_metadata({key: value}) == {key: value}
