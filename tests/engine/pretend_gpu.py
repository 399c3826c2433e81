"""A GPU for machines without one: it computes on the CPU, refuses to mix devices, and counts synchronizations.

Its tensors hold numbers, and report the device cuda:0. So training, with the backward pass, and inference run whole,
and their results can be compared with the CPU's. The rules are CUDA's: the host waits for the device where it reads a
number, where the size of a result depends on numbers, where it copies to the host, and where it copies from memory
that is not pinned.
"""

from __future__ import annotations

from typing import Any, Self
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

GPU = torch.device("cuda", 0)
COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_")
# They read the sizes of groups; torch does not tag them.
WAITING = (torch.ops.aten.isin.Tensor_Tensor,)


class PretendTensor(Tensor):
    """A tensor on the pretended GPU; `host` has its numbers."""

    host: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, host: Tensor) -> PretendTensor:
        layout: Any = {"strides": host.stride(), "storage_offset": host.storage_offset(), "dtype": host.dtype}
        # torch's C++ code sees "meta": the autograd engine has no queue for a device that is absent.
        meta = torch.device("meta")
        made: PretendTensor = Tensor._make_wrapper_subclass(cls, host.shape, device=meta, **layout)
        made.host = host
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return GPU

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        return False

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """Change the device, which torch's own code takes for "meta", the type or the memory format."""
        device, dtype, non_blocking, layout = torch._C._nn._parse_to(*args, **kwargs)
        options = {"device": device or GPU, "dtype": dtype, "non_blocking": non_blocking, "memory_format": layout}
        return torch.ops.aten._to_copy(self, **{key: value for key, value in options.items() if value is not None})

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"on {GPU}: {self.host!r}"

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["host"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, Tensor], meta: None, size: object, stride: object) -> PretendTensor:
        return PretendTensor(inner["host"])

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise RuntimeError(f"{function} on a pretended GPU outside of `with PretendGpu()`")


class PretendGpu(TorchDispatchMode):
    """Run what asks for a CUDA device on `PretendTensor`s; `waits` has the operations that made the host wait."""

    _mode_key = torch._C._TorchDispatchModeKey.FAKE  # in a mode of this kind torch does not look for a driver

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        torch._C._ensureCUDADeviceGuardSet()  # as FakeTensorMode does where there is no driver
        self.waits: list[str] = []

    def __enter__(self) -> Self:
        # Inference mode refuses tensors that are classes of their own; to compute no gradients is as good.
        self._patch = patch.object(torch, "inference_mode", torch.no_grad)
        self._patch.start()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._patch.stop()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        ours = [tensor for tensor in tensors if isinstance(tensor, PretendTensor)]
        if function is torch.ops.aten._pin_memory.default:
            return _pinned(args[0])
        if function is torch.ops.aten.is_pinned.default:
            return getattr(args[0], "pinned", False)
        wanted = kwargs.get("device")
        on_gpu = bool(ours) if wanted is None else torch.device(wanted).type in ("cuda", "meta")
        if on_gpu and wanted is not None:
            kwargs["device"] = torch.device("cpu")
        if ours and function not in COPIES:
            _refuse_mixes(function, tensors)
        if _waits(function, args, kwargs, on_gpu, bool(ours)):
            self.waits.append(str(function))
        owners = {id(tensor.host): tensor for tensor in ours}  # a result in place keeps its tensor
        args, kwargs = tree_map_only(PretendTensor, lambda tensor: tensor.host, (args, kwargs))
        result = function(*args, **kwargs)
        if function is torch.ops.aten.copy_.default:  # the result is the first argument, wherever it is
            return owners.get(id(result), result)
        if not on_gpu:
            return result
        return tree_map_only(
            Tensor, lambda tensor: owners[id(tensor)] if id(tensor) in owners else PretendTensor(tensor), result
        )


def _pinned(tensor: Tensor) -> Tensor:
    copy = tensor.clone()
    copy.pinned = True  # type: ignore[attr-defined]
    return copy


def _refuse_mixes(function: Any, tensors: list[Tensor]) -> None:
    """Raise RuntimeError for a tensor of the CPU, except for single numbers and indices, which CUDA takes."""
    name = function.overloadpacket.__name__
    for tensor in tensors:
        single = tensor.ndim == 0 and (torch.Tag.pointwise in function.tags or name in INDEXING)
        if not isinstance(tensor, PretendTensor) and not single:
            raise RuntimeError(f"{function} mixes {GPU} and {tensor.device} {tuple(tensor.shape)}")


def _waits(function: Any, args: Any, kwargs: Any, to_gpu: bool, has_ours: bool) -> bool:
    """Return whether the host waits for the device in a call."""
    if function in COPIES:
        source = args[0] if function is COPIES[0] else args[1]
        target = to_gpu if function is COPIES[0] else isinstance(args[0], PretendTensor)
        if isinstance(source, PretendTensor) == target:
            return False
        blocking = not kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
        return not target or blocking or not getattr(source, "pinned", False)
    if not has_ours:
        return False
    if function.overloadpacket.__name__ in INDEXING:
        return any(isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    tags = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
    return bool(tags & set(function.tags)) or function in WAITING
