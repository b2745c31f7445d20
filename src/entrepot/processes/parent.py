"""The parent process of `entrepot serve`: claims directory and addresses, keeps the children, ends them in order.

Signals: SIGTERM or SIGINT stops (a second one hurries); SIGHUP reads settings and certificates again by replacing
each child with a new one, so that a bad certificate leaves the old child serving. Exit codes: see `errors.ExitCode`.

It imports the standard library, settings and logging only. What it holds outlives every child: the lock, the
listening sockets, the drain flag.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from entrepot.observability.logging import configure_logging, get_logger
from entrepot.processes.assignment import Assignment, Refused, Role
from entrepot.processes.data_directory import (
    forget_suspicion,
    lock_data_directory,
    prepare_run_directory,
)
from entrepot.processes.drain_flag import DrainFlag
from entrepot.processes.errors import ExitCode, StartRefusedError
from entrepot.processes.factories import Factories
from entrepot.processes.keeper import PARTING_SECONDS, Keeper, KeeperHooks
from entrepot.processes.metrics_directory import prepare_metrics_directory, remove_metrics_directory
from entrepot.processes.reloading import plan_reload
from entrepot.processes.running_process import RunningProcess, StartPlan
from entrepot.processes.sockets import bind_listener, raise_descriptor_limit
from entrepot.settings import (
    Settings,
    SettingsError,
    http_listen,
    ops_listen,
    setting_fields,
    suspicion_marker,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["run"]

_BACKGROUND_PATIENCE_SECONDS = 10.0
"""Work that isn't done by then is taken up after the restart, so no drain is needed."""
_OPS_PATIENCE_SECONDS = 5.0
_HEAD_START_SECONDS = 3.0
"""How long the HTTP process has the machine to itself at the start."""


def run(
    settings: Settings,
    *,
    reload_settings: Callable[[], Settings] | None = None,
    factories: Factories | None = None,
    on_ready: Callable[[], None] | None = None,
) -> int:
    """Serve until told to stop; return the exit code.

    `reload_settings` reads the sources again on SIGHUP and may raise SettingsError, which keeps everything as it is;
    without it SIGHUP renews certificates only. `factories` says what the children run. `on_ready` is called when all of
    them are ready for the first time; it is short, since it holds up the parent.
    """
    signal.signal(
        signal.SIGHUP, signal.SIG_IGN
    )  # until the loop handles it: its default would end the process
    configure_logging(settings.log.level, settings.log.format, "parent")
    try:
        claim = _claim(settings)
    except StartRefusedError as refusal:
        get_logger().error("start.refused", reason=refusal.reason, exit_code=int(refusal.exit_code))
        return refusal.exit_code
    made = _Parent(settings, claim, factories or Factories(), reload_settings, on_ready)
    return asyncio.run(made.serve())


@dataclass(frozen=True, slots=True)
class _Claim:
    """What the parent has taken for itself before any child starts."""

    lock: int
    metrics_directory: Path
    public: socket.socket
    ops: socket.socket
    drain_flag: DrainFlag


def _claim(settings: Settings) -> _Claim:
    """Take everything or raise StartRefusedError; a refusal ends the process, which gives back what was taken."""
    raise_descriptor_limit()
    run_directory = prepare_run_directory(settings.data.directory)
    lock = lock_data_directory(run_directory)
    forget_suspicion(suspicion_marker(settings))
    public = bind_listener(http_listen(settings), "http.listen")
    ops = bind_listener(ops_listen(settings), "ops.listen")
    return _Claim(lock, prepare_metrics_directory(run_directory), public, ops, DrainFlag.create())


class _Parent:
    def __init__(
        self,
        settings: Settings,
        claim: _Claim,
        factories: Factories,
        reload_settings: Callable[[], Settings] | None,
        on_ready: Callable[[], None] | None,
    ) -> None:
        self._settings = settings
        self._dump = Assignment.dump(settings)
        self._claim = claim
        self._reload_settings = reload_settings
        self._on_ready = on_ready
        self._plans = _make_plans(claim, factories)
        self._http_successor = replace(self._plans[Role.HTTP], factory=factories.http_successor)
        hooks = KeeperHooks(self._start_process, self._forget_metrics_of, self._note_refusal)
        self._keepers = {role: Keeper(role, hooks) for role in (Role.HTTP, Role.BACKGROUND, Role.OPS)}
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._reload = asyncio.Event()
        self._exit_code = ExitCode.OK

    async def serve(self) -> int:
        """Start the children, wait for the end, end the children."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._note_stop_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        get_logger().info(
            "serve.started",
            data_directory=str(self._settings.data.directory),
            listen=str(http_listen(self._settings)),
            ops_listen=str(ops_listen(self._settings)),
        )
        self._keepers[Role.HTTP].start()
        companions = [
            asyncio.create_task(self._start_others()),
            asyncio.create_task(self._announce_ready()),
            asyncio.create_task(self._reload_on_request()),
        ]
        await self._stop.wait()
        for task in companions:
            task.cancel()
        await self._shut_down()
        remove_metrics_directory(self._claim.metrics_directory)
        get_logger().info("serve.stopped", exit_code=int(self._exit_code))
        return self._exit_code

    async def _start_others(self) -> None:
        """Clients first: three interpreters that load at once on one core keep each other from being ready.

        An HTTP process that is slow to become ready doesn't hold up the ops listener, which is there to tell of it; but
        the background worker, whose database it makes at the very first start.
        """
        first_ready = self._keepers[Role.HTTP].first_ready
        await _wait_at_most(_HEAD_START_SECONDS, first_ready)
        self._keepers[Role.OPS].start()
        await first_ready.wait()
        self._keepers[Role.BACKGROUND].start()

    async def _announce_ready(self) -> None:
        for keeper in self._keepers.values():
            await keeper.first_ready.wait()
        if self._on_ready is not None:
            self._on_ready()
        get_logger().info("serve.ready")

    async def _shut_down(self) -> None:
        """Not ready → wait for load balancers → HTTP, its socket → background → ops, so each outlives its observers."""
        settings, claim = self._settings.http, self._claim
        claim.drain_flag.put_up()
        delay = settings.drain_delay_seconds if self._exit_code is ExitCode.OK else 0.0
        get_logger().info(
            "drain.started", delay_seconds=delay, timeout_seconds=settings.drain_timeout_seconds
        )
        await _wait_at_most(delay, self._hurry)
        await self._end(Role.HTTP, settings.drain_timeout_seconds, claim.public, PARTING_SECONDS)
        await self._end(Role.BACKGROUND, _BACKGROUND_PATIENCE_SECONDS, None)
        await self._end(Role.OPS, _OPS_PATIENCE_SECONDS, claim.ops)

    async def _end(
        self,
        role: Role,
        patience_seconds: float,
        listener: socket.socket | None,
        parting_seconds: float = 0.0,
    ) -> None:
        get_logger().info("process.stopping", role=role)
        self._keepers[role].ask_to_stop()
        if listener is not None:
            listener.close()  # the child refuses connections from SIGTERM on
        await self._keepers[role].wait_stopped(patience_seconds, self._hurry, parting_seconds)

    def _note_stop_signal(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            get_logger().warning("stop.hurried", signal=number.name)
            self._hurry.set()
        else:
            get_logger().info("stop.requested", signal=number.name)
            self._stop.set()

    def _note_refusal(self, refusal: Refused) -> None:
        get_logger().error("start.refused", reason=refusal.reason, exit_code=refusal.exit_code)
        self._exit_code = ExitCode(refusal.exit_code)
        self._stop.set()

    async def _reload_on_request(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            await self._reload_once()

    async def _reload_once(self) -> None:
        get_logger().info("reload.started")
        former, former_dump = self._settings, self._dump
        try:
            plan = plan_reload(former, self._reload_settings() if self._reload_settings else former)
        except SettingsError as error:
            get_logger().error("reload.refused", problems=error.problems)
            return
        for key in plan.postponed_keys:
            get_logger().warning("setting.needs_restart", key=key)
        self._settings, self._dump = plan.settings, Assignment.dump(plan.settings)
        if not await self._keepers[Role.HTTP].replace():
            self._settings, self._dump = former, former_dump
            get_logger().error("reload.failed", kept="the processes and settings from before")
            return
        configure_logging(plan.settings.log.level, plan.settings.log.format, "parent")
        await asyncio.gather(self._keepers[Role.BACKGROUND].replace(), self._keepers[Role.OPS].replace())
        get_logger().info("reload.finished", changed=plan.applied_keys)

    def _start_process(self, role: Role) -> RunningProcess:
        """Start it. Only a start of the registry makes one: whoever comes later may have lost it (F47)."""
        is_successor = role is Role.HTTP and self._keepers[role].first_ready.is_set()
        return RunningProcess(self._http_successor if is_successor else self._plans[role], self._dump)

    def _forget_metrics_of(self, pid: int) -> None:
        """Drop the live gauges of a process that ended, as `prometheus_client.multiprocess.mark_process_dead` does.

        Written out here because that module costs a process 16 MB.
        """
        for path in self._claim.metrics_directory.glob(f"gauge_live*_{pid}.db"):
            path.unlink(missing_ok=True)


def _make_plans(claim: _Claim, factories: Factories) -> dict[Role, StartPlan]:
    """Secrets set by environment variables reach children with the settings, so not by the environment again."""
    secret_variables = {field.environment_variable for field in setting_fields() if field.is_secret}
    environment = {name: value for name, value in os.environ.items() if name not in secret_variables}
    environment["PROMETHEUS_MULTIPROC_DIR"] = str(claim.metrics_directory)
    # Buffers of a MiB come and go on many threads. With one glibc arena they are used again (75 MB under 16 clients,
    # however long they go on); with one for each thread the process grew to twice that. No slower: measured.
    environment.setdefault("MALLOC_ARENA_MAX", "1")
    parts = {
        Role.HTTP: (factories.http_application, claim.public.fileno()),
        Role.BACKGROUND: (factories.background_worker, -1),
        Role.OPS: (factories.health_probes, claim.ops.fileno()),
    }
    return {
        role: StartPlan(role, factory, listener, claim.drain_flag.descriptor, claim.lock, environment)
        for role, (factory, listener) in parts.items()
    }


async def _wait_at_most(seconds: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
