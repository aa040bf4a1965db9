"""Loads a saved network into a Sequential, strictly, and writes what it predicts: asked by `cargo xtask files`.

Arguments: the network, a file with raw float32 samples, one for the outputs, the number of inputs; then for each layer
its outputs and its activation's module, or `none`.
"""

import sys

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file

path, samples, outputs, inputs, *layers = sys.argv[1:]
modules, width = [], int(inputs)
for size, activation in zip(layers[::2], layers[1::2]):
    modules.append(torch.nn.Linear(width, int(size)))
    width = int(size)
    if activation != "none":
        modules.append(eval(f"torch.nn.{activation}"))
model = torch.nn.Sequential(*modules)
model.load_state_dict(load_file(path), strict=True)
with safe_open(path, framework="pt") as file:
    assert file.metadata()["format"] == "pt", file.metadata()
x = torch.from_numpy(np.fromfile(samples, dtype=np.float32)).reshape(-1, int(inputs))
model(x).detach().numpy().tofile(outputs)
