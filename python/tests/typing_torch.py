"""Uses of the module for PyTorch that a type checker has to understand: checked, never run."""

from __future__ import annotations

import torch
from typing_extensions import assert_type

from fused_dense.torch import Mlp

model = Mlp(4, [(8, "relu"), (3, "identity")], bias=False, threads=2)
assert_type(model, Mlp)
assert_type(model.forward(torch.zeros(5, 4)), torch.Tensor)
assert_type(Mlp.from_sequential(torch.nn.Sequential(torch.nn.Linear(4, 3))), Mlp)
torch.optim.SGD(model.parameters(), 0.1)
