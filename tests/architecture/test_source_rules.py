"""The source keeps the house rules, and each rule catches the fault it is there for."""

from __future__ import annotations

import textwrap
import warnings
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tests.architecture import habit_rules, size_rules
from tests.architecture.source_files import SourceFile, functions_of, product_files, project_files

if TYPE_CHECKING:
    from collections.abc import Callable

Rule: TypeAlias = "Callable[[SourceFile], list[str]]"

EVERYWHERE = [
    size_rules.check_sizes,
    size_rules.check_attics,
    habit_rules.check_docstring,
    habit_rules.check_reasons,
]
PRODUCT_ONLY = [
    habit_rules.check_broad_excepts,
    habit_rules.check_built_sql,
    habit_rules.check_failure_records,
    habit_rules.check_oci_imports,
]


@pytest.mark.parametrize("rule", EVERYWHERE, ids=lambda rule: rule.__name__)
def test_every_file_keeps_the_rule(rule: Rule) -> None:
    """Product, tests, scripts and benchmarks keep the rule."""
    faults = [fault for file in project_files() for fault in rule(file)]

    assert faults == []


@pytest.mark.parametrize("rule", PRODUCT_ONLY, ids=lambda rule: rule.__name__)
def test_product_keeps_the_rule(rule: Rule) -> None:
    """The product keeps the rule."""
    faults = [fault for file in product_files() for fault in rule(file)]

    assert faults == []


def test_the_product_compares_no_secret_in_a_time_that_tells_of_it_s20() -> None:
    """`==` ends at the first byte that differs; what it costs is measured by the wrong side."""
    assert [fault for file in product_files() for fault in habit_rules.check_secret_comparisons(file)] == []


def test_exemptions_name_functions_that_exist() -> None:
    """An exemption dies with the function it was made for, and each has a reason."""
    present = {f"{file.path}::{name}" for file in project_files() for name, _ in functions_of(file.tree)}
    exemptions = {**size_rules.LONG_FUNCTIONS, **habit_rules.BROAD_EXCEPTS, **habit_rules.BUILT_STATEMENTS}

    assert sorted(set(exemptions) - present) == []
    assert [name for name, reason in exemptions.items() if not reason.strip()] == []


def test_long_files_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Files past the length for review are printed on every run; only the wall fails (check_sizes)."""
    long = {file.path: size_rules.lines_of(file) for file in product_files()}
    long = {path: lines for path, lines in long.items() if lines > size_rules.REVIEW_FROM}
    with capsys.disabled():
        for path, lines in sorted(long.items(), key=lambda item: -item[1]):
            print(f"\n  {path}: {lines} lines, part it at the next occasion", end="")  # noqa: T201 - meant for the reader

    assert all(lines <= size_rules.FILE_WALL for lines in long.values())


def fault_of(rule: Rule, text: str, path: str = "src/entrepot/registry/sample.py") -> list[str]:
    """Return what a rule says of a small file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        return rule(SourceFile.parse(path, textwrap.dedent(text)))


LONG_FUNCTION = "def long():\n" + "    value = 1\n" * 60
SEEDED_FAULTS: list[tuple[Rule, str]] = [
    (size_rules.check_sizes, "x = 1\n" * 501),
    (size_rules.check_sizes, LONG_FUNCTION),
    (size_rules.check_sizes, "class A:\n" + textwrap.indent("async " + LONG_FUNCTION, "    ")),
    (habit_rules.check_docstring, "x = 1\n"),
    (habit_rules.check_broad_excepts, "try:\n    f()\nexcept:\n    pass\n"),
    (habit_rules.check_broad_excepts, "try:\n    f()\nexcept Exception as e:\n    log(e)\n"),
    (habit_rules.check_broad_excepts, "try:\n    f()\nexcept (ValueError, BaseException):\n    pass\n"),
    (habit_rules.check_broad_excepts, "try:\n    f()\nexcept BaseException as e:\n    raise Other from e\n"),
    (habit_rules.check_broad_excepts, "with contextlib.suppress(Exception):\n    f()\n"),
    (habit_rules.check_secret_comparisons, "if given_token == self._token:\n    pass\n"),
    (habit_rules.check_secret_comparisons, "ok = hash(given) != user.password_hash\n"),
    (habit_rules.check_secret_comparisons, "ok = request.signature == expected\n"),
    (habit_rules.check_built_sql, "db.execute(f'SELECT * FROM t WHERE name = {name}')\n"),
    (habit_rules.check_built_sql, "db.execute('SELECT * FROM t WHERE name = ' + name)\n"),
    (habit_rules.check_built_sql, "await pool.fetchrow('SELECT %s' % name)\n"),
    (habit_rules.check_built_sql, "db.executemany('SELECT {}'.format(name), rows)\n"),
    (habit_rules.check_failure_records, "audit_record(who, act, about, outcome='failure', reason='wrong')\n"),
    (habit_rules.check_reasons, "import x  # noqa\n"),
    (habit_rules.check_reasons, "import x  # noqa: F401\n"),
    (habit_rules.check_reasons, "x = f()  # type: ignore\n"),
    (habit_rules.check_reasons, "x = f()  # type: ignore[no-any-return]\n"),
    (habit_rules.check_reasons, "x = f()  # noqa: S603, S607 -\n"),
]


@pytest.mark.parametrize(("rule", "text"), SEEDED_FAULTS)
def test_seeded_fault_is_caught(rule: Rule, text: str) -> None:
    """Each rule finds exactly the one fault planted for it."""
    assert len(fault_of(rule, text)) == 1


SOUND: list[tuple[Rule, str]] = [
    (size_rules.check_sizes, "def short():\n" + "    value = 1\n" * 59),
    (habit_rules.check_broad_excepts, "try:\n    f()\nexcept BaseException:\n    g()\n    raise\n"),
    (habit_rules.check_broad_excepts, "try:\n    f()\nexcept ValueError:\n    pass\n"),
    (habit_rules.check_secret_comparisons, "if token == ',':\n    pass\n"),
    (habit_rules.check_secret_comparisons, "ok = hmac.compare_digest(given_token, self._token)\n"),
    (habit_rules.check_secret_comparisons, "ok = token_type == kind\n"),
    (habit_rules.check_built_sql, "db.execute('SELECT * FROM t WHERE name = ?', (name,))\n"),
    (habit_rules.check_built_sql, "db.execute(STATEMENT, {'name': name})\n"),
    (habit_rules.check_failure_records, "audit_record(who, act, about, outcome='failure', status=401)\n"),
    (habit_rules.check_reasons, "import x  # noqa: F401 - imported for its types\n"),
    (habit_rules.check_reasons, "x = f()  # type: ignore[no-any-return]  # the stub says Any\n"),
    (habit_rules.check_reasons, "x = '# noqa'\n"),
]


@pytest.mark.parametrize(("rule", "text"), SOUND)
def test_sound_code_passes(rule: Rule, text: str) -> None:
    """What a rule is not about stays free."""
    assert fault_of(rule, text) == []


@pytest.mark.parametrize(
    "path", ["src/entrepot/utils.py", "src/entrepot/auth/helpers/x.py", "tests/common.py"]
)
def test_attics_are_caught(path: str) -> None:
    """A module named for nothing in particular is refused."""
    assert len(fault_of(size_rules.check_attics, '"""Text."""\n', path)) == 1


@pytest.mark.parametrize(
    "line", ["import structlog", "from entrepot.observability import logs", "import sqlite3"]
)
def test_impure_oci_is_caught(line: str) -> None:
    """`entrepot.oci` imports nothing but the standard library's pure part, msgspec and the kernel."""
    assert len(fault_of(habit_rules.check_oci_imports, line, "src/entrepot/oci/sample.py")) == 1
