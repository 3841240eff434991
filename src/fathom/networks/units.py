"""Torch's units with one thing each changed: for speed, or for the same bits on every processor."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import relu

from fathom.networks.recipe import Activation


class ReLU(nn.ReLU):
    """In place while training: nothing needs what it is given, and memory traffic is what it costs.

    In evaluation mode its input is left alone, so that probes can look at it.
    """

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return relu(maps, inplace=self.training)


class LeakyReLU(nn.LeakyReLU):
    """max(z, 0.01 z) (Maas et al. 2013): no unit is ever without a gradient."""


class Tanh(nn.Tanh):
    """The hyperbolic tangent, NumPy's on the CPU: torch's is MKL's, which differs by processor."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        elsewhere = maps.device.type != "cpu" or maps.dtype != torch.float32
        if elsewhere or torch.compiler.is_exporting():
            return super().forward(maps)
        out: torch.Tensor = _Tanh.apply(maps)  # type: ignore[no-untyped-call]
        return out


class _Tanh(torch.autograd.Function):
    """Tanh of any shape; its gradient is 1 - tanh^2."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401  torch gives it no type
        maps: torch.Tensor,
    ) -> torch.Tensor:
        out = torch.empty_like(maps)  # of the same memory format
        np.tanh(maps.detach().numpy(), out=out.numpy())
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(
        ctx: Any,  # noqa: ANN401
        gradient: torch.Tensor,
    ) -> torch.Tensor:
        (out,) = ctx.saved_tensors
        slope: torch.Tensor = 1 - out * out
        return gradient * slope


class Sigmoid(nn.Sigmoid):
    """The logistic function, 1 / (1 + exp(-z)); with the pinned kernels the same everywhere."""


def activation(name: Activation) -> nn.Module:
    """Return the non-linearity of hidden layers; none ever falls, so pooling can come first."""
    match name:
        case "relu":
            return ReLU()
        case "leaky":
            return LeakyReLU()
        case "tanh":
            return Tanh()
        case "sigmoid":
            return Sigmoid()
        case "none":
            return nn.Identity()


class Add(nn.Module):
    """The sum of a residual block, where its pre-activation can be seen."""

    def forward(self, content: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        return content + skip


class Dropout(nn.Dropout):
    """Dropout whose masks come from `generator`, on the CPU, where one is given."""

    generator: np.random.Generator | None = None

    def forward(self, units: torch.Tensor) -> torch.Tensor:
        if self.generator is None or not self.training or self.p == 0:
            return super().forward(units)
        kept = self.generator.random(units.shape, dtype=np.float32) >= self.p
        scale = torch.from_numpy(kept).to(units) / (1 - self.p)
        return units * scale


class Linear(nn.Linear):
    """A dense layer whose float32 products are NumPy's on the CPU.

    Torch's are MKL's, whose one kernel that is the same on all processors is SSE2's: a third as
    fast as OpenBLAS with AVX2, and 11 % of the training of VGG-13 (docs/performance.md).
    """

    def forward(self, units: torch.Tensor) -> torch.Tensor:
        elsewhere = units.device.type != "cpu" or torch.is_autocast_enabled("cpu")
        if elsewhere or torch.compiler.is_exporting() or units.dtype != torch.float32:
            return super().forward(units)
        product: torch.Tensor = _Product.apply(units, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return product


_DIVERGING = np.errstate(all="ignore")  # infinite is a result: the training diverged


class _Product(torch.autograd.Function):
    """units @ weight.T + bias, for (n, inputs), (outputs, inputs) and (outputs,)."""

    @staticmethod
    @_DIVERGING
    def forward(
        ctx: Any,  # noqa: ANN401  torch gives it no type
        units: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
    ) -> torch.Tensor:
        ctx.save_for_backward(units, weight)
        product = units.detach().numpy() @ weight.detach().numpy().T
        product += bias.detach().numpy()
        return torch.from_numpy(product)

    @staticmethod
    @_DIVERGING
    def backward(
        ctx: Any,  # noqa: ANN401
        gradient: torch.Tensor,
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        units, weight = (saved.detach().numpy() for saved in ctx.saved_tensors)
        of_product = gradient.numpy()
        wanted = ctx.needs_input_grad
        return (
            torch.from_numpy(of_product @ weight) if wanted[0] else None,
            torch.from_numpy(of_product.T @ units) if wanted[1] else None,
            torch.from_numpy(of_product.sum(0)) if wanted[2] else None,
        )
