"""Campaigns on a Dask cluster: its scheduler behind the interface of ``concurrent.futures``.

The workers need this package installed in the same version (a batch carries the hash of our code and refuses to run with
another). Planted bugs of the registry are there then; those of a file of one's own travel by their text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from harness.errors import UserError

CONNECT_S = 10
Result = TypeVar("Result")


class DaskExecutor(Executor):
    """Runs calls on the workers of the scheduler at ``address``. Raises UserError if there is none, or it has no workers."""

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise UserError("--cluster needs Dask: pip install 'paxos-torture[cluster]'") from error
        if not re.search(r"://|:\d+$", address):  # Dask notices it late, and then waits for what never began
            raise UserError(f"--cluster {address!r} is no address of a scheduler, such as tcp://127.0.0.1:8786")
        try:
            self._client: Any = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise UserError(
                f"no Dask scheduler answers at {address}: {error}; start one with `dask scheduler`, workers with "
                f"`dask worker {address}`"
            ) from error
        self.threads: int = sum(self._client.nthreads().values())
        if not self.threads:
            self._client.close()
            raise UserError(f"the Dask scheduler at {address} has no workers; start some with `dask worker {address}`")
        # Not pure: the same schedule run twice is really run twice.
        self._executor: Executor = self._client.get_executor(pure=False)

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        return self._executor.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """What has not been run is cancelled unless it is waited for."""
        self._executor.shutdown(wait=wait and not cancel_futures)
        self._client.close()


def cluster_threads(address: str) -> int:
    """How many schedules the cluster runs at once. Raises UserError as ``DaskExecutor`` does."""
    executor = DaskExecutor(address)
    executor.shutdown()
    return executor.threads
