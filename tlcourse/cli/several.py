"""Notebooks one by one in this process, or several at once as tasks of `dask.distributed`."""

import contextlib
import logging
import os
import signal
import socket
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

import tlcourse
from tlcourse.cli import chapter
from tlcourse.cli.chapter import FAILED, RETRIES, KernelDied, Outcome, Task

# Bytes for each of several chapters at once, by profile. Two quick ones took 2.9 GB together.
MEMORY = {"quick": 1.5e9, "full": 3e9}
_SECONDS_TO_CONNECT = 10

# Called with a task's index and the number of its cells that have begun; 0 as a try begins.
Told = Callable[[int, int], None]


class SchedulerGone(RuntimeError):
    """The connection to the scheduler broke, and with it went what was not done."""


def fitting(jobs: int, profile: str = "quick") -> tuple[int, str]:
    """How many of so many chapters at once this machine can bear.

    Returns:
        That number, at least 1, and a sentence that says why it is less than `jobs`, or "".

    Raises:
        ValueError: fewer than one job.
    """
    if jobs < 1:
        raise ValueError(f"{jobs} chapters at once; give 1 or more.")
    cores, memory = len(_cores()), _free_memory()
    fit = max(1, min(jobs, cores, int(memory / MEMORY[profile])))
    if fit < jobs:
        why = f"{cores} core{'s' * (cores > 1)} and {memory / 1e9:.1f} GB of free memory"
        rule = f"each needs a core and {MEMORY[profile] / 1e9:g} GB"
    elif jobs > 1 and not _loopback():
        fit, why, rule = 1, "no loopback network", "they need one to talk"
    else:
        return jobs, ""
    return fit, f"{_at_once(fit)}, not {jobs}: this machine has {why}, and {rule}."


def one_by_one(tasks: Sequence[Task], told: Told) -> Iterator[tuple[int, Outcome]]:
    """Run notebooks in this process, in order.

    Yields:
        Each index with its outcome.
    """
    for index, task in enumerate(tasks):
        for attempt in range(RETRIES + 1):
            told(index, 0)
            try:
                outcome = chapter.execute(task, lambda cells, index=index: told(index, cells))
                break
            except KernelDied as error:
                outcome = Outcome(FAILED, error=f"{error} (tried {attempt + 1} times)")
        yield index, outcome


@contextlib.contextmanager
def at_once(
    tasks: Sequence[Task],
    told: Told,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    order: Sequence[int] | None = None,
    say: Callable[[str], None] = print,
) -> Iterator[Iterator[tuple[int, Outcome]]]:
    """Run notebooks as tasks of `dask.distributed`.

    A task whose kernel dies is tried again `RETRIES` times. One whose worker dies is given to
    another: as often here, and as its setting `allowed-failures` says with a scheduler of one's
    own, 3 times unless it was changed. When this block ends, however it does, so do the kernels of
    what is not done; local workers end even if this process is killed.

    Args:
        told: hears of the cells that begin; called from another thread, and possibly late.
        jobs: how many local workers, each with cores and one task of its own.
        scheduler: the address of a scheduler that has workers, in place of local ones.
        order: the indices, those first that should begin first.
        say: shows the reader a sentence.

    Yields:
        An iterator over each index with its outcome, in the order in which they end. It raises
        `SchedulerGone` if the scheduler ends before them.

    Raises:
        ValueError: no scheduler answers at that address.
    """
    import distributed

    run = f"chapters-{uuid.uuid4().hex[:8]}"
    with _client(jobs, scheduler) as client:
        if scheduler and not client.nthreads():
            say(f"{scheduler} has no workers yet; start some with `dask worker {scheduler}`.")
        client.subscribe_topic(run, lambda event: told(*event[1]))
        order = list(range(len(tasks)) if order is None else order)
        keys = [(run, index) for index in order]
        # One graph, so that dask knows their number, keeps their order and holds back what waits.
        submitted = client.map(
            _work, [tasks[index] for index in order], keys, [tlcourse.__version__] * len(keys),
            key=keys, pure=False, retries=RETRIES,
        )  # fmt: skip
        futures = dict(zip(submitted, order, strict=True))

        def outcomes() -> Iterator[tuple[int, Outcome]]:
            for future in distributed.as_completed(list(futures), loop=client.loop):
                index = futures.pop(future)
                outcome = _outcome(future)
                # Dask would repeat what it still has to keep when a worker is lost.
                future.release()
                yield index, outcome

        try:
            yield outcomes()
        finally:
            # The workers see it and kill the kernels.
            with contextlib.suppress(Exception):
                client.cancel(list(futures), force=True)


def _outcome(future) -> Outcome:
    if future.status in ("cancelled", "lost"):
        raise SchedulerGone("The scheduler went away.")
    error = future.exception()
    if error is None:
        return future.result()
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        times = error.allowed_failures + 1
        return Outcome(FAILED, error=f"{times} workers died while they ran it, one after another")
    if isinstance(error, KernelDied):
        return Outcome(FAILED, error=f"{error} (tried {RETRIES + 1} times)")
    return Outcome(FAILED, error=chapter.one_line(f"{type(error).__name__}: {error}"))


def _work(task: Task, key: tuple[str, int], version: str) -> Outcome:
    """What a worker does."""
    from distributed import get_worker

    worker = get_worker()
    run, index = key
    if version != tlcourse.__version__:
        raise ValueError(
            f"the worker has tlcourse {tlcourse.__version__}, not {version}; install that there"
        )

    def wanted() -> bool:
        state = worker.state.tasks.get(key)
        return state is not None and state.state != "cancelled"

    worker.log_event(run, [index, 0])
    return chapter.execute(
        task, lambda cells: worker.log_event(run, [index, cells]), wanted, _environment()
    )


def _environment() -> dict[str, str]:
    """This worker's environment without what dask put there, such as one thread for OpenMP.

    A chapter takes the threads that its cores give, as it does when no worker starts its kernel.
    """
    import dask.config

    ours = {"PYTHONHASHSEED": "6640", **dask.config.get("distributed.nanny.pre-spawn-environ", {})}
    return {name: value for name, value in os.environ.items() if str(ours.get(name)) != value}


def _manners(jobs: int):
    """A plugin for local workers: each keeps to its share of the cores, with all that it starts.

    A chapter keeps about one core busy. Two that share all cores wait for each other's threads; two
    with cores of their own take hardly longer than one.
    """
    from distributed import WorkerPlugin

    cores = _cores()
    shares = [cores[job::jobs] for job in range(jobs)]

    class Manners(WorkerPlugin):
        def setup(self, worker) -> None:
            # A terminal sends Ctrl-C to workers, too; it is for the client to end them.
            signal.signal(signal.SIGINT, lambda *_: None)
            process = psutil.Process()
            if hasattr(process, "cpu_affinity"):  # not on macOS
                process.cpu_affinity(shares[worker.name])
            if hasattr(os, "sched_setaffinity"):  # Linux goes by threads
                for thread in process.threads():
                    with contextlib.suppress(OSError):
                        os.sched_setaffinity(thread.id, shares[worker.name])

    return Manners()


@contextlib.contextmanager
def _client(jobs: int, scheduler: str | None) -> Iterator:
    import dask.config
    from distributed import Client, LocalCluster

    # Its warnings would run through the progress bar; what matters is reported as a chapter's end.
    for name in [*logging.root.manager.loggerDict]:
        if name.split(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
    if scheduler:
        try:
            client = Client(scheduler, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
        except (OSError, ValueError, TypeError):  # ValueError: no such protocol
            raise ValueError(
                f"No dask scheduler answers at {scheduler}; start one there with `dask scheduler` "
                "and give the address that it prints, such as tcp://10.0.0.1:8786."
            ) from None
        with client:
            yield client
        return

    settings = {
        "distributed.scheduler.allowed-failures": RETRIES,
        # No task waits at a worker that is busy.
        "distributed.scheduler.worker-saturation": 1.0,
        # A worker looks a hundred times a second at what its thread does: a tenth of a core.
        "distributed.worker.profile.enabled": False,
        # Each also has a web server; let it show nothing.
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }
    with (
        dask.config.set(settings),
        # Encrypted with keys made for the occasion: nobody else on this machine can connect.
        LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            security=True,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.register_plugin(_manners(jobs))
        yield client


def _at_once(jobs: int) -> str:
    return "One chapter at a time" if jobs == 1 else f"{jobs} chapters at once"


def _cores() -> list[int]:
    try:
        return psutil.Process().cpu_affinity()
    except AttributeError:  # macOS
        return list(range(os.cpu_count() or 1))


def _free_memory() -> float:
    """Bytes: the machine's, or what a container may still take."""
    free = psutil.virtual_memory().available
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        lines = (group / "memory.stat").read_text().splitlines()
        # What files hold can be given back.
        cached = sum(int(line.split()[1]) for line in lines if line.split()[0] == "inactive_file")
        return min(free, limit - used + cached)
    except (OSError, ValueError):
        return free


def _loopback() -> bool:
    """Whether processes of this machine can reach each other, as dask's have to."""
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname(), timeout=1),
        ):
            return True
    except OSError:
        return False
