"""Where cells are run: this machine, or a Ray or Dask cluster, all through joblib.

Ray's and Dask's own backends of joblib are not used: Ray's hands tasks out in turn, also to
workers that are busy, and cannot hand back results as they come; Dask's says nothing of a
task that was given up. Both keep starting a task anew whose worker died, which is all that
a cell needs, since it resumes.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import torch
from joblib import parallel_config
from joblib.parallel import ParallelBackendBase

from fedward.engine.workers import usable_cpus
from fedward.settings import lookup

DEATHS = 3
"""How often a cluster starts a cell anew whose worker died."""


@runtime_checkable
class Future(Protocol):
    """A result to come, of whichever library."""

    def result(self) -> Any:
        """The result, or the error raised."""

    def add_done_callback(self, fn: Callable[["Future"], Any]) -> Any:
        """Call when there is one."""


@runtime_checkable
class Pool(Protocol):
    """Workers that are somewhere."""

    size: int

    def submit(self, call: Callable[[], Any]) -> Future:
        """Begin a task on any of them, or when one is free."""

    def cancel(self) -> None:
        """Give up every task."""


class ClusterBackend(ParallelBackendBase):  # type: ignore[misc]
    """A pool as a backend of joblib."""

    supports_retrieve_callback = True

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool = pool

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Tasks at a time; two at least, since joblib would run the tasks of one itself."""
        return max(2, self.pool.size)

    def submit(self, func: Callable[[], Any], callback: Callable[[Future], Any]) -> Future:
        """Begin a task; the callback gets its future, whatever came of it."""
        future = self.pool.submit(func)
        future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Future) -> Any:
        """What the callback's future holds."""
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Give up what was begun."""
        self.pool.cancel()


class RayPool:
    """One task a CPU of a Ray cluster, or a GPU."""

    def __init__(self, jobs: int | None, device: str) -> None:
        ray: Any = import_module("ray")
        resource = "GPU" if device == "cuda" else "CPU"
        here = int(ray.cluster_resources().get(resource, 0))
        if not here:
            raise ValueError(f"the Ray cluster has no {resource}")
        self.size = min(jobs or here, here)
        self.task: Any = ray.remote(lambda call: call()).options(
            num_cpus=1, num_gpus=int(device == "cuda"), max_retries=DEATHS
        )
        self.give_up = ray.cancel
        self.begun: list[Any] = []

    def submit(self, call: Callable[[], Any]) -> Future:
        """Begin a task."""
        reference = self.task.remote(call)
        self.begun.append(reference)
        future: Future = reference.future()
        return future

    def cancel(self) -> None:
        """Give up every task, also those that compute."""
        for reference in self.begun:
            self.give_up(reference, force=True)
        self.begun.clear()


class DaskPool:
    """One task a thread of a Dask cluster."""

    def __init__(self, client: Any, jobs: int | None) -> None:
        here = sum(client.ncores().values())
        if not here:
            raise ValueError("the Dask cluster has no worker")
        self.client = client
        self.size = min(jobs or here, here)
        self.begun: list[Any] = []

    def submit(self, call: Callable[[], Any]) -> Future:
        """Begin a task."""
        future: Future = self.client.submit(call, pure=False)
        self.begun.append(future)
        return future

    def cancel(self) -> None:
        """Give up every task that has not begun."""
        self.client.cancel(self.begun)
        self.begun.clear()


def default_size(jobs: int | None, device: str) -> int:
    """Cells at a time on this machine: what is asked for, or one a GPU, or one a CPU."""
    cards = torch.cuda.device_count() if device == "cuda" else int(device != "cpu")
    return jobs or cards or usable_cpus()


@contextmanager
def here(jobs: int | None, device: str, address: str | None) -> Iterator[int]:
    """Processes of this machine; how many at a time."""
    if address is not None:
        raise ValueError(
            f"an address needs the backend ray or dask, got {address!r} for local"
        )
    size = default_size(jobs, device)
    with parallel_config("loky", n_jobs=size):
        yield size


@contextmanager
def on_ray(jobs: int | None, device: str, address: str | None) -> Iterator[int]:
    """A Ray cluster at an address, or at ``RAY_ADDRESS``, or one of this machine alone.

    Raises:
        ValueError: if there is none there, or none starts in the time that Ray gives it.
    """
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"):
        os.environ.setdefault(name, "0")
    ray: Any = import_module("ray")
    ours = not ray.is_initialized()
    if ours:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        found = address or os.environ.get("RAY_ADDRESS")
        if not found:
            options |= {"num_cpus": jobs, "include_dashboard": False}
        try:
            ray.init(address=found, **options)
        except Exception as error:
            raise ValueError(f"Ray cannot be reached or started: {error}") from error
    try:
        pool = RayPool(jobs, device)
        # Ray prints what it has to say of dead workers, and stdout is for the outcome.
        with (
            redirect_stdout(sys.stderr),
            parallel_config(ClusterBackend(pool), n_jobs=pool.size),
        ):
            yield pool.size
    finally:
        if ours:
            ray.shutdown()


@contextmanager
def on_dask(jobs: int | None, device: str, address: str | None) -> Iterator[int]:
    """A Dask cluster at an address, or at Dask's own, or one of this machine alone."""
    distributed: Any = import_module("distributed")
    found = address or os.environ.get("DASK_SCHEDULER_ADDRESS")
    with ExitStack() as ours:
        if not found:
            made = distributed.LocalCluster(
                n_workers=default_size(jobs, device),
                threads_per_worker=1,
                dashboard_address=None,
            )
            found = ours.enter_context(made)
        client = ours.enter_context(distributed.Client(found))
        pool = DaskPool(client, jobs)
        with parallel_config(ClusterBackend(pool), n_jobs=pool.size):
            yield pool.size


BACKENDS = {"local": here, "ray": on_ray, "dask": on_dask}


@contextmanager
def workers(
    backend: str, jobs: int | None, device: str, address: str | None = None
) -> Iterator[int]:
    """Let `joblib.Parallel` use these workers; how many cells run at a time.

    Args:
        jobs: most cells at a time; None for one a GPU or CPU.
        address: of a cluster; None for what its environment says, or one of its own.

    Raises:
        ValueError: if there are no such workers, or the extra is not installed.
    """
    try:
        with lookup("backend", backend, BACKENDS)(jobs, device, address) as size:
            yield size
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the backend {backend!r} needs {error.name}: pip install 'fedward[{backend}]'"
        ) from error
