"""Training in one process, or in several that torchrun started."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from anchorloc.errors import InputError

CONNECT_TIMEOUT = timedelta(minutes=5)
COLLECTIVE_TIMEOUT = timedelta(minutes=30)  # others wait while one reads data, writes, or scores the detections
_LEFT: list[object] = []  # groups that this process is no longer in
T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """The rank of this process among `count`; only the first one writes files, scores and prints.

    Gradients and losses are exchanged where they are, by NCCL on GPUs and by gloo on CPUs; all else by gloo, which does
    not wait for a GPU.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def shard(self) -> tuple[int, int]:  # (rank, count)
        return self.rank, self.count

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return a module that averages the gradients of `model` over all processes."""
        return DistributedDataParallel(model, gradient_as_bucket_view=True) if self.count > 1 else model

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        """Replace each value by its sum over all processes, on its device."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def all_reduce_max(self, *values: float) -> list[float]:
        """Return the maximum of each value over all processes."""
        if self.count == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return shared.tolist()

    def broadcast(self, *values: float) -> tuple[float, ...]:
        """Return the values of the first process, in every process."""
        if self.count == 1:
            return values
        shared = torch.tensor(values, dtype=torch.float64)
        dist.broadcast(shared, src=0)
        return tuple(shared.tolist())

    def broadcast_object(self, make: Callable[[], T]) -> T:
        """Return what the first process makes, in every process.

        Raises:
            InputError: the first process raised it.
        """
        if self.count == 1:
            return make()
        shared: list[Any] = [None]
        if self.first:
            try:
                shared = [make()]
            except InputError as error:
                shared = [error]
        dist.broadcast_object_list(shared, src=0)
        if isinstance(shared[0], InputError):
            raise shared[0]
        return shared[0]  # type: ignore[no-any-return]

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, by rank, in the first process; an empty list in the others."""
        if self.count == 1:
            return [value]
        values: list[T] = [value] * self.count
        dist.gather_object(value, values if self.first else None)
        return values if self.first else []

    def broadcast_model(self, model: nn.Module) -> None:
        """Copy the weights and buffers of `model` from the first process to all."""
        if self.count > 1:
            for tensor in (*model.parameters(), *model.buffers()):
                dist.broadcast(tensor.detach(), src=0)


SINGLE_PROCESS = Processes()


def without_gradient_sync(network: nn.Module) -> AbstractContextManager[None]:
    """Return a context in which a wrapped network does not exchange gradients."""
    return network.no_sync() if isinstance(network, DistributedDataParallel) else nullcontext()


def restarted() -> bool:
    """Return whether torchrun started this process in place of one that died."""
    return _attempt() > 0


def restarts_enabled() -> bool:
    """Return whether torchrun restarts processes that die."""
    return _whole_number("TORCHELASTIC_MAX_RESTARTS") > 0


@contextmanager
def process_group(device: str = "auto") -> Iterator[Processes]:
    """Join the process group that torchrun describes in the environment; without torchrun, yield a single process.

    Each process takes a GPU of its own if there are any and `device` allows it.

    Raises:
        InputError: the environment is not torchrun's, the others cannot be reached, there are too few GPUs, or
            another process has ended.
    """
    count = os.environ.get("WORLD_SIZE", "1")
    if count == "1":
        yield SINGLE_PROCESS
        return
    try:
        _join(int(count), torch.cuda.is_available() and device.startswith(("auto", "cuda")))
    except (KeyError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(_connection_problem(count, error)) from None
    try:
        yield Processes(dist.get_rank(), int(count))
    except RuntimeError as error:
        if not _is_lost_connection(error):
            raise
        raise InputError(
            f"process {dist.get_rank()} of {count} stops because another process has ended; see the error of that one"
        ) from None
    finally:
        # With torch 2.11 a process can wait for ever if the last reference to a group goes while its threads end work.
        _LEFT.append(dist.group.WORLD)
        dist.destroy_process_group()


def _join(count: int, cuda: bool) -> None:
    """Find the other processes and connect to them."""
    if cuda:
        _take_gpu(int(os.environ["LOCAL_RANK"]))
    # The store outlives a restart: without a prefix per attempt, a process may read the address of a dead one.
    store, rank, _ = next(rendezvous("env://", timeout=CONNECT_TIMEOUT))
    store = PrefixStore(f"attempt-{_attempt()}", store)
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=COLLECTIVE_TIMEOUT)


def _connection_problem(count: str, error: Exception) -> str:
    """Return the error of a process that cannot reach the others."""
    reason = str(error).partition("\n")[0]
    rank, address, port = (os.environ.get(name) for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"))
    if isinstance(error, KeyError) or not (rank and address and port and count.isdecimal()):
        return f"WORLD_SIZE={count} asks for several processes, but {reason}; start them with torchrun, or unset it"
    return (
        f"process {rank} of {count} cannot connect to the others at {address}:{port} ({reason}); check that every "
        "machine reaches that address, and that GLOO_SOCKET_IFNAME, if set, names the network between them"
    )


def _attempt() -> int:
    return _whole_number("TORCHELASTIC_RESTART_COUNT")


def _whole_number(variable: str) -> int:
    """Return the number in an environment variable of torchrun, 0 where it is not set."""
    value = os.environ.get(variable, "0")
    if not value.isdecimal():
        raise InputError(f"{variable}={value!r} is not a whole number; start the processes with torchrun, or unset it")
    return int(value)


def _take_gpu(local_rank: int) -> None:
    if local_rank >= torch.cuda.device_count():
        raise InputError(
            f"process {local_rank + 1} of this machine has no GPU: there are {torch.cuda.device_count()}; "
            "lower --nproc-per-node"
        )
    torch.cuda.set_device(local_rank)


def _is_lost_connection(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in str(error)
