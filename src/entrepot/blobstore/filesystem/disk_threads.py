"""Runs blocking disk calls on a bounded set of threads, so that a slow disk can't take the event loop along (F8)."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, ParamSpec, TypeVar

from entrepot.blobstore.errors import StorageUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

__all__ = ["DiskThreads"]

_NO_THREAD: Final = "can't start new thread"
"""What CPython says when the kernel refuses one: memory, or the number of processes, has run out."""
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class DiskThreads:
    """An executor of the caller, or an own one of `thread_count` threads."""

    def __init__(self, executor: Executor | None, thread_count: int) -> None:
        self._is_own = executor is None
        self._executor: Executor = ThreadPoolExecutor(thread_count, "disk") if executor is None else executor

    async def run(
        self, call: Callable[_Parameters, _Result], *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> _Result:
        """Return what `call` returns; one that has begun ends on its thread even when the waiting task is cancelled."""
        return await asyncio.wrap_future(self._submit(call, *args, **kwargs))

    async def acquire(self, call: Callable[[], _Result], release: Callable[[_Result], None]) -> _Result:
        """Return what `call` returns, or `release` it when the waiting task is cancelled meanwhile."""
        future = self._submit(call)
        try:
            return await asyncio.shield(asyncio.wrap_future(future))
        except asyncio.CancelledError:
            future.add_done_callback(lambda done: _release_result(done, release))
            raise

    def run_later(self, call: Callable[[], None]) -> None:
        """Have `call` run without waiting for it; at once when the threads are gone already."""
        try:
            self._executor.submit(call)
        except RuntimeError:
            call()

    async def aclose(self) -> None:
        """Wait for what is running and end own threads. May be called again."""
        if self._is_own:
            await asyncio.to_thread(self._executor.shutdown)

    def _submit(
        self, call: Callable[_Parameters, _Result], *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> Future[_Result]:
        wanted = _WantedCall(partial(call, *args, **kwargs))
        try:
            return self._executor.submit(wanted)
        except RuntimeError as error:  # the executor was shut down, or can't start a thread
            # It has queued the call before it wanted another thread: one that opens and locks a file must not be made
            # when nobody is left who closes it.
            wanted.is_wanted = False
            reason = "no thread can be started" if str(error) == _NO_THREAD else "the driver is closed"
            raise StorageUnavailableError(reason) from error


class _WantedCall(Generic[_Result]):
    """A call that can be taken back as long as it has not begun."""

    __slots__ = ("_call", "is_wanted")

    def __init__(self, call: Callable[[], _Result]) -> None:
        self._call = call
        self.is_wanted = True

    def __call__(self) -> _Result:
        if not self.is_wanted:
            raise StorageUnavailableError(_NO_THREAD)
        return self._call()


def _release_result(future: Future[_Result], release: Callable[[_Result], None]) -> None:
    if not future.cancelled() and future.exception() is None:
        release(future.result())
