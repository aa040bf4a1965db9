"""A whole network of dense layers as one module of PyTorch, on the CPU in float32.

A network of ``torch.nn.Linear`` and activations calls PyTorch once for each of them, forward and backward; :class:`Mlp` calls
it once. Its parameters are PyTorch's own, so that optimisers, schedulers, ``state_dict`` and everything else work as ever.
"""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple, cast

import torch

from ._native import Layers, Saved

__all__ = ["Mlp"]


class Mlp(torch.nn.Module):
    """Dense layers in a chain: ``a = g(x @ w.T + b)``, each with an activation.

    Args:
        inputs: values of a sample.
        layers: the number of outputs and the activation of each layer, such as ``[(30, "relu"), (10, "identity")]``.
        bias: whether layers have one.
        threads: how many threads the work may be shared out to, where that pays. They are the package's own, beside
            PyTorch's. The bits of the results do not depend on it.
        summation: ``"auto"``, ``"chain"`` or ``"lanes"``, the order in which the terms of a sum are added.

    Parameters have the names that they have in ``torch.nn.Sequential(Linear, activation, Linear, ...)``, where an activation is a
    module of its own and the identity is none; they begin with the values that ``torch.nn.Linear`` draws, so that the same
    seed gives the same network.

    The input is a float32 tensor on the CPU of any leading dimensions. Gradients by all parameters and by the input are those
    of PyTorch within rounding; differentiating them once more is a ``RuntimeError``. Hooks of the ``Linear`` modules inside, which
    are never called, do not run.

    >>> import torch
    >>> model = Mlp(4, [(8, "relu"), (3, "identity")])
    >>> list(model.state_dict())
    ['0.weight', '0.bias', '2.weight', '2.bias']
    >>> model(torch.zeros(5, 4)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        inputs: int,
        layers: Sequence[Tuple[int, str]],
        *,
        bias: bool = True,
        threads: int = 1,
        summation: str = "auto",
    ) -> None:
        super().__init__()
        self._layers = Layers(inputs, layers, threads=threads, summation=summation)
        self._names: List[str] = []
        number = 0
        for (outputs, _), activates in zip(self._layers.layers, self._layers.activates):
            self._add(str(number), torch.nn.Linear(inputs, outputs, bias=bias))
            inputs = outputs
            number += 2 if activates else 1

    @classmethod
    def from_sequential(cls, model: torch.nn.Sequential, *, threads: int = 1, summation: str = "auto") -> Mlp:
        """An ``Mlp`` on the parameters of a ``Sequential`` of ``Linear`` and activation modules: they are shared, not copied.

        Raises ``TypeError`` for another module, and for an activation with a setting that this package does not have.
        """
        linears: List[Tuple[str, torch.nn.Linear]] = []
        activations: List[str] = []
        for name, module in model.named_children():
            if isinstance(module, torch.nn.Linear):
                _check_chain(linears, module)
                linears.append((name, module))
                activations.append("identity")
            elif linears and activations[-1] == "identity":
                activations[-1] = _activation(module)
            else:
                raise TypeError(f"Mlp: expected a Linear before each activation, found {module}")
        if not linears:
            raise TypeError(f"Mlp: expected Linear modules and activations, found {model}")
        layers = [(linear.out_features, activation) for (_, linear), activation in zip(linears, activations)]
        mlp = cls.__new__(cls)
        torch.nn.Module.__init__(mlp)
        mlp._layers = Layers(linears[0][1].in_features, layers, threads=threads, summation=summation)
        mlp._names = []
        for name, linear in linears:
            mlp._add(name, linear)
        return mlp

    def _add(self, name: str, linear: torch.nn.Linear) -> None:
        self._names.append(name)
        self.add_module(name, linear)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parameters: List[Optional[torch.Tensor]] = []
        for name in self._names:
            linear = cast(torch.nn.Linear, self._modules[name])
            parameters += (linear.weight, linear.bias)
        _check("the input", x)
        for parameter in parameters:
            if parameter is not None:
                _check("parameters", parameter)
        if x.dim() == 2:
            return self._run(x, parameters)
        if x.dim() == 1:
            return self._run(x.unsqueeze(0), parameters).squeeze(0)
        # Leading dimensions that are not one without a copy become so.
        return self._run(x.contiguous(), parameters)

    def _run(self, x: torch.Tensor, parameters: List[Optional[torch.Tensor]]) -> torch.Tensor:
        if torch.is_grad_enabled() and _needs_gradient(x, parameters):
            result: torch.Tensor = _Pass.apply(self._layers, x, *parameters)
            return result
        with torch.no_grad():
            return _forward(self._layers, x, parameters, False)[0]

    def extra_repr(self) -> str:
        return f"{self._layers.inputs}, {self._layers.layers}, threads={self._layers.threads}"


class _Pass(torch.autograd.Function):
    """Both passes through all layers."""

    @staticmethod
    def forward(ctx: Any, layers: Layers, x: torch.Tensor, *parameters: Optional[torch.Tensor]) -> torch.Tensor:
        y, ctx.saved = _forward(layers, x, parameters, True)
        ctx.layers = layers
        ctx.save_for_backward(x, y, *parameters[::2])
        return y

    @staticmethod
    def backward(ctx: Any, d_y: torch.Tensor) -> Tuple[Optional[torch.Tensor], ...]:
        if not torch.is_grad_enabled():
            return _backward(ctx, d_y)
        # Somebody may differentiate the gradients. torch's once_differentiable takes them for constants where d_y is one.
        with torch.no_grad():
            gradients = _backward(ctx, d_y)
        sources = (d_y, *ctx.saved_tensors)
        return tuple(None if gradient is None else _Once.apply(gradient, *sources) for gradient in gradients)


def _backward(ctx: Any, d_y: torch.Tensor) -> Tuple[Optional[torch.Tensor], ...]:
    x, y, *weights = [tensor.numpy() for tensor in ctx.saved_tensors]
    if d_y.dim() > 2:
        d_y = d_y.contiguous()
    gradients = ctx.layers.backward(ctx.saved, x, y, d_y.numpy(), weights, ctx.needs_input_grad[1:])
    return (None, *[None if gradient is None else torch.from_numpy(gradient) for gradient in gradients])


class _Once(torch.autograd.Function):
    """Gradients that depend on other tensors in a way that cannot be differentiated."""

    @staticmethod
    def forward(ctx: Any, gradient: torch.Tensor, *sources: Optional[torch.Tensor]) -> torch.Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, _: torch.Tensor) -> Tuple[Optional[torch.Tensor], ...]:
        raise RuntimeError("Mlp: its gradients cannot be differentiated once more; use torch.nn.Sequential for that")


def _forward(
    layers: Layers, x: torch.Tensor, parameters: Sequence[Optional[torch.Tensor]], keep: bool
) -> Tuple[torch.Tensor, Optional[Saved]]:
    arrays = [None if parameter is None else parameter.numpy() for parameter in parameters]
    y, saved = layers.forward(x.numpy(), arrays, keep)
    return torch.from_numpy(y), saved


def _needs_gradient(x: torch.Tensor, parameters: Sequence[Optional[torch.Tensor]]) -> bool:
    return x.requires_grad or any(parameter is not None and parameter.requires_grad for parameter in parameters)


def _check(name: str, tensor: torch.Tensor) -> None:
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"Mlp: expected {name} as a tensor, found {type(tensor).__name__}")
    if not tensor.is_cpu or tensor.layout is not torch.strided:
        raise ValueError(
            f"Mlp: expected {name} as strided memory on the CPU, found {tensor.layout} on the device {tensor.device}"
        )
    if tensor.dtype is not torch.float32:
        raise TypeError(f"Mlp: expected {name} in torch.float32, found {tensor.dtype}")


def _check_chain(linears: Sequence[Tuple[str, torch.nn.Linear]], module: torch.nn.Linear) -> None:
    if linears and linears[-1][1].out_features != module.in_features:
        expected = linears[-1][1].out_features
        raise ValueError(f"Mlp: expected a Linear of {expected} inputs, as many as the outputs before it, found {module}")


def _activation(module: torch.nn.Module) -> str:
    """The name of an activation module."""
    nn = torch.nn
    if isinstance(module, nn.GELU):
        return "gelu" if module.approximate == "none" else "gelu_tanh"
    if isinstance(module, nn.LeakyReLU):
        return f"leaky_relu({module.negative_slope})"
    if isinstance(module, nn.ELU):
        return f"elu({module.alpha})"
    if isinstance(module, nn.Softplus) and module.beta == 1.0 and module.threshold >= 20.0:
        return "softplus"
    plain = {nn.Identity: "identity", nn.Sigmoid: "sigmoid", nn.Tanh: "tanh", nn.ReLU: "relu", nn.SiLU: "silu"}
    if type(module) in plain:
        return plain[type(module)]
    raise TypeError(f"Mlp: expected an activation that fused_dense has, found {module}")
