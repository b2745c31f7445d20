"""What a row of the table says, and that a failed request ends the benchmark."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from bench.kinds import adapt_debian_configuration
from bench.medium import read_dd_rate
from bench.report import Report, ratio_to, render_markdown, values_of, write_report
from bench.rounds import Measurement, Row, Sample, take_rounds
from bench.scale import FULL, QUICK, Scale
from bench.servers import Server, ServerError
from bench.small_requests import SmallLoad, read_result

DEBIAN = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: /var/lib/docker-registry
http:
  addr: :5000
auth:
  htpasswd:
    realm: basic-realm
    path: /etc/docker/registry/htpasswd
health:
  storagedriver:
    enabled: true
"""


def server_named(name: str) -> Server:
    """Return a server that is never started."""
    return Server(name, [], 1, Path("/nonexistent"), configuration={})


OURS, THEIRS = server_named("entrepot"), server_named("docker-registry")


def row_of(ours: list[Sample], theirs: list[Sample], *, more_is_better: bool = True, bar: float = 1) -> Row:
    """Return a row of two servers."""
    measurement = Measurement(
        "key",
        "what it is",
        "req/s" if more_is_better else "s",
        len(ours),
        (OURS, THEIRS),
        lambda _server: ours[0],
        more_is_better=more_is_better,
        bar=bar,
    )
    return Row(measurement, {"entrepot": ours, "docker-registry": theirs})


def samples_of(*values: float, **facts: float) -> list[Sample]:
    """Return samples of these figures."""
    return [Sample(value, 100, 0.5, dict(facts)) for value in values]


def counted(**changes: int) -> str:
    """Return the line that the wrk script prints."""
    line = {"requests": 1000, "microseconds": 500_000, "bytes": 2_000_000, "p50": 10, "p99": 20}
    line.update({"connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0}, **changes)
    return json.dumps(line)


def test_rate_is_requests_over_the_time_that_wrk_took() -> None:
    """1000 answers in half a second are 2000 a second."""
    result = read_result(counted(), SmallLoad("name", [], 2000), 16, OURS)

    assert (result.requests, result.requests_per_second) == (1000, 2000)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": 1},
        {"read": 1},
        {"connect": 1},
        {"write": 1},
        {"timeout": 1},
        {"requests": 0},
        {"bytes": 1_999_999},
    ],
)
def test_a_failed_request_ends_the_benchmark(changes: dict[str, int]) -> None:
    """An error answer, a broken connection, a body too short: none of them is counted as speed."""
    with pytest.raises(ServerError):
        read_result(counted(**changes), SmallLoad("name", [], 2000), 16, OURS)


@pytest.mark.parametrize(("status", "is_accepted"), [(100, True), (110, True), (0, False), (300, False)])
def test_misses_are_accepted_in_their_share_only(status: int, is_accepted: bool) -> None:
    """A server that answers misses with success is as wrong as one that misses what it has."""
    load = SmallLoad("name", [], 2000, miss_share=0.1)
    if is_accepted:
        assert read_result(counted(status=status), load, 16, OURS).requests == 1000
    else:
        with pytest.raises(ServerError):
            read_result(counted(status=status), load, 16, OURS)


def test_servers_take_turns_and_the_first_one_changes() -> None:
    """In no round does the same server always come first."""
    order: list[str] = []

    def take(server: Server) -> Sample:
        order.append(server.name)
        return Sample(1, 1, 0)

    row = take_rounds(Measurement("key", "title", "s", 3, (OURS, THEIRS), take), lambda _line: None)

    names = ["entrepot", "docker-registry"]
    assert order == [*names, *reversed(names), *names]
    assert {name: len(samples) for name, samples in row.samples.items()} == dict.fromkeys(names, 3)


def test_floor_is_taken_off_before_the_ratio() -> None:
    """Two against three seconds on a floor of one are half, not two thirds."""
    row = row_of(samples_of(2, floor=1), samples_of(3, floor=1), more_is_better=False)

    assert values_of(row, "entrepot") == [1]
    assert ratio_to(row, "docker-registry") == 0.5


def line_of(row: Row) -> str:
    """Return the row's line in the published table."""
    report = Report(QUICK, {"processor": "any"}, [row], {}, {})
    [line] = [line for line in render_markdown(report).splitlines() if line.startswith("| what it is | ")][:1]
    return line


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (row_of(samples_of(80), samples_of(10), bar=8), "reached"),
        (row_of(samples_of(79), samples_of(10), bar=8), "**missed**"),
        (row_of(samples_of(7), samples_of(10), more_is_better=False, bar=0.7), "reached"),
        (row_of(samples_of(8), samples_of(10), more_is_better=False, bar=0.7), "**missed**"),
    ],
)
def test_a_missed_bar_is_published_as_missed(row: Row, verdict: str) -> None:
    """The verdict goes by the ratio, whichever way the unit is better."""
    assert line_of(row).endswith(f"| {verdict} |")


def test_processor_time_is_given_per_ten_thousand_requests() -> None:
    """Half a second for 100 requests is 50 seconds for 10,000."""
    report = Report(QUICK, {"processor": "any"}, [row_of(samples_of(1), samples_of(1))], {}, {})

    assert (
        "| what it is | s per 10,000 requests | 50.00 | 50.00 | \N{EN DASH} | \N{EN DASH} |"
        in render_markdown(report)
    )


def test_debian_configuration_changes_in_three_places_only() -> None:
    """Address and directory are ours, tokens take the place of the password file, the rest is as packaged."""
    text = adapt_debian_configuration(DEBIAN, "127.0.0.1:1", Path("/data"), Path("/keys.pem"))

    assert text == (
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /data\nhttp:\n  addr: 127.0.0.1:1\n"
        "auth:\n  token:\n    realm: http://127.0.0.1/token\n    service: bench\n    issuer: bench\n"
        "    rootcertbundle: /keys.pem\n"
        "health:\n  storagedriver:\n    enabled: true\n"
    )


def test_another_debian_configuration_is_not_guessed_at() -> None:
    """A package that ships something else must be looked at by a person."""
    with pytest.raises(ValueError, match="auth"):
        adapt_debian_configuration(
            DEBIAN.replace("auth:", "authentication:"), "127.0.0.1:1", Path("/data"), Path("/keys.pem")
        )


def test_dd_rate_is_bytes_over_seconds() -> None:
    """The rate that dd rounds to MB/s itself is not used."""
    text = "256+0 records in\n256+0 records out\n268435456 bytes (268 MB, 256 MiB) copied, 0.25 s, 1.1 GB/s\n"

    assert read_dd_rate(text) == 268_435_456 * 4


@pytest.mark.parametrize(
    ("scale", "load", "is_doubted"),
    [(FULL, "0.10", False), (FULL, "3.20", True), (QUICK, "0.10", True)],
)
def test_a_small_or_disturbed_run_says_so(scale: Scale, load: str, is_doubted: bool) -> None:
    """Only a full run on a quiet machine is published without a warning."""
    report = Report(scale, {"load average at start": load}, [row_of(samples_of(1), samples_of(1))], {}, {})

    assert ("Not to be relied on" in render_markdown(report)) is is_doubted


def test_an_own_limit_is_judged_without_the_other_server() -> None:
    """A start of two seconds misses a limit of 1.5 though the other one takes longer."""
    row = row_of(samples_of(2), samples_of(9), more_is_better=False)
    limited = Row(dataclasses.replace(row.measurement, limit=1.5), row.samples)

    assert line_of(limited).endswith("| < 1.5 s | **missed** |")


def test_directories_of_the_machine_are_not_published(tmp_path: Path) -> None:
    """Where the scratch directory lay says nothing to a reader of the page."""
    configurations = {"nginx": {"nginx.conf": "root /home/me/build/x/files;"}}
    report = Report(
        QUICK,
        {"processor": "any", "placement": "any", "date": "2026-11-23"},
        [row_of(samples_of(1), samples_of(1))],
        {},
        configurations,
        {"/home/me/build/x": "/SCRATCH"},
    )
    write_report(report, tmp_path)

    for name in ("results.json", "results.md"):
        text = (tmp_path / name).read_text()
        assert "root /SCRATCH/files;" in text
        assert "/home/me" not in text
