"""Seeds that rotate with the commit: every commit tries other values, and each run can be repeated exactly."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["SEED_VARIABLE", "choose_seed"]

SEED_VARIABLE: Final = "TEST_SEED"

_SEED = pytest.StashKey[int]()


def choose_seed(environment: Mapping[str, str], root: Path) -> int:
    """Return the seed the environment names, else the number of the commit that is checked out (0 without git)."""
    named = environment.get(SEED_VARIABLE)
    if named is not None:
        return int(named)
    counted = subprocess.run(
        ["git", "-C", str(root), "rev-list", "--count", "HEAD"], capture_output=True, text=True, check=False
    )
    return int(counted.stdout) if counted.returncode == 0 else 0


def pytest_configure(config: pytest.Config) -> None:
    """Give the seed to Hypothesis, and take its time limit per example away (the machine may be busy)."""
    seed = choose_seed(os.environ, config.rootpath)
    config.stash[_SEED] = seed
    hypothesis.settings.register_profile("entrepot", deadline=None, derandomize=False, print_blob=True)
    hypothesis.settings.load_profile("entrepot")
    if config.getoption("hypothesis_seed", None) is None:
        config.option.hypothesis_seed = str(seed)


def pytest_report_header(config: pytest.Config) -> str:
    """Print the seed, so that a failure can be repeated."""
    seed = config.stash[_SEED]
    return f"seed: {seed} (repeat with {SEED_VARIABLE}={seed})"


@pytest.fixture(scope="session")
def rotating_seed(pytestconfig: pytest.Config) -> int:
    """Return the seed of this run, for tests that draw their own random values."""
    return pytestconfig.stash[_SEED]
