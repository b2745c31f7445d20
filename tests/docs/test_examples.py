"""Examples in the documentation are accepted by what they are written for."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from typing import TYPE_CHECKING

import pytest

from entrepot.ops.application import COMMANDS, build_application
from entrepot.settings import load_settings, setting_fields
from tests.architecture.source_files import product_files
from tests.docs.pages import ROOT, Page, load_pages
from tests.docs.source_facts import log_events

if TYPE_CHECKING:
    from pathlib import Path

_OTHER_VARIABLES = {
    "ENTREPOT_CONFIG": "names the file of settings",
    "ENTREPOT_PORT": "an example of what Kubernetes adds",
    "ENTREPOT_TEST_SEED": "for the tests",
}


def _examples(language: str) -> list[tuple[str, str]]:
    return [(page.path, code) for page in load_pages() for code in page.code(language)]


@cache
def _dotted_names_of_the_product() -> frozenset[str]:
    """Return packages, which share their first word with sections of settings, and events, which do so, too."""
    modules = {file.path.removeprefix("src/entrepot/").removesuffix(".py") for file in product_files()}
    return frozenset(name.removesuffix("/__init__").replace("/", ".") for name in modules) | set(log_events())


@pytest.mark.parametrize(("path", "code"), _examples("toml"))
def test_settings_files_are_accepted(path: str, code: str, tmp_path: Path) -> None:
    """Every example of a settings file loads; what a page leaves to variables is given here."""
    file = tmp_path / "entrepot.toml"
    file.write_text(code, encoding="utf-8")
    keys = re.findall(r"^\[(\w+)\.s3\]", code, re.MULTILINE) if "access_key" in code else []
    environment = {f"ENTREPOT_{section.upper()}_S3_SECRET_KEY": "example" for section in keys}
    loaded = load_settings(environment=environment, user_id=0, config_file=file)
    assert any(origin.kind == "file" for origin in loaded.origins.values()), path


@pytest.mark.parametrize(("path", "code"), _examples("sh"))
def test_shell_examples_can_be_parsed(path: str, code: str) -> None:
    parsed = subprocess.run(["bash", "-n"], input=code, capture_output=True, text=True, check=False)
    assert (parsed.returncode, parsed.stderr) == (0, ""), path


@pytest.mark.parametrize("page", load_pages(), ids=lambda page: page.path)
def test_variables_exist(page: Page) -> None:
    """Every ENTREPOT_ variable that a page names is one that the program reads."""
    known = {field.environment_variable for field in setting_fields()} | set(_OTHER_VARIABLES)
    known |= {f"{field.environment_variable}_FILE" for field in setting_fields() if field.is_secret}
    named = set(re.findall(r"\bENTREPOT_[A-Z0-9_]*[A-Z0-9]\b", page.text))
    assert named - known == set()


@pytest.mark.parametrize("page", load_pages(), ids=lambda page: page.path)
def test_settings_that_pages_quote_exist(page: Page) -> None:
    """A quoted key such as `http.listen` is a setting, whenever it begins like one."""
    keys = {field.key for field in setting_fields()}
    sections = {key.rsplit(".", 1)[0] for key in keys} | {key.split(".")[0] for key in keys}
    quoted = set(re.findall(r"`([a-z]+(?:\.[a-z0-9_]+)+)(?: = [^`]*)?`", page.text))
    wrong = {word for word in quoted if word.rsplit(".", 1)[0] in sections and word not in keys | sections}
    # Fields of every log line begin like settings, too.
    assert wrong - _dotted_names_of_the_product() - {"log.level", "log.logger"} == set()


@pytest.mark.parametrize("page", load_pages(), ids=lambda page: page.path)
def test_make_targets_exist(page: Page) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.text, re.MULTILINE))
    assert named - targets == set()


@pytest.mark.parametrize("page", load_pages(), ids=lambda page: page.path)
def test_commands_and_their_options_exist(page: Page) -> None:
    """Every command line in code is one that the program would parse, unless the page says that it does not exist."""
    planned = {"backup", "verify", "import", "export"}
    commands = {command.words for command in COMMANDS}
    for line in re.findall(
        r"(?:^|`|bin/)entrepot ((?:[a-z]+(?:-[a-z]+)* ?)+(?:--[a-z-]+)?)", page.text, re.MULTILINE
    ):
        words = line.split()
        if words[0] in planned or not line.strip():
            continue
        name = next((known for known in commands if tuple(words[: len(known)]) == known), None)
        assert name is not None, line
        for option in (word for word in words if word.startswith("--")):
            application = build_application()
            for word in name:
                application = application[word]
            arguments = application.assemble_argument_collection()
            options = {spelling for argument in arguments for spelling in argument.names}
            assert option in options, line
