"""Where the values of metrics lie: in memory, in a place of our own, and on the disk only where that can't be."""

from __future__ import annotations

import os
from pathlib import Path

from entrepot.processes.metrics_directory import prepare_metrics_directory, remove_metrics_directory
from tests.processes.running import RunningRegistry
from tests.processes.test_claiming import mounted


def test_values_lie_in_memory_and_those_of_an_earlier_run_are_wiped(tmp_path: Path) -> None:
    """The same data directory finds what it left when it was killed; another one has another place."""
    runs = [tmp_path / name / "run" for name in ("one", "other")]
    for run in runs:
        run.mkdir(parents=True)
    with mounted(tmp_path / "memory", "size=32m") as memory:
        first = prepare_metrics_directory(runs[0], memory)
        (first / "counter_1.db").touch()

        assert (first.parent, first.stat().st_mode & 0o777) == (memory, 0o700)
        assert prepare_metrics_directory(runs[1], memory) != first
        assert prepare_metrics_directory(runs[0], memory) == first
        assert list(first.iterdir()) == []

        remove_metrics_directory(first)
        assert not first.exists()


def test_without_enough_memory_of_that_kind_they_lie_in_the_run_directory(tmp_path: Path) -> None:
    """No such mount, too little of it, or somebody else's symbolic link in our place: `run/metrics`, emptied."""
    run = tmp_path / "run"
    (run / "metrics").mkdir(parents=True)
    (run / "metrics" / "counter_1.db").touch()
    with (
        mounted(tmp_path / "little", "size=8m") as little,
        mounted(tmp_path / "memory", "size=32m") as memory,
    ):
        name = prepare_metrics_directory(run, memory).name
        os.rmdir(memory / name)  # noqa: PTH106  # as whoever is in our place would
        (memory / name).symlink_to(tmp_path)

        for place in (tmp_path / "missing", tmp_path, little, memory):
            assert prepare_metrics_directory(run, place) == run / "metrics"
            assert list((run / "metrics").iterdir()) == []
        assert (run / "metrics").is_dir()
        assert run.is_dir()


def test_nothing_is_left_in_memory_after_an_orderly_stop(tmp_path: Path) -> None:
    """The parent gives back what it took."""
    with RunningRegistry(tmp_path / "registry") as registry:
        identity = (registry.data_directory / "run").stat()
        place = Path("/dev/shm") / f"entrepot-metrics-{identity.st_dev:x}-{identity.st_ino:x}"  # noqa: S108  # theirs
        assert any(place.iterdir())
        registry.parent.terminate()
        assert registry.wait_exit() == 0
    assert not place.exists()
