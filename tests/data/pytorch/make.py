"""Writes the files beside it: two models as PyTorch saves them, and what they make of some samples.

Run it with torch and safetensors installed; tests/files reads the files.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import Dropout, LeakyReLU, Linear, ReLU, Sequential, Sigmoid, Tanh

folder = Path(__file__).parent
torch.manual_seed(1)
models = {
    "plain": Sequential(Linear(5, 9), LeakyReLU(0.1), Linear(9, 4), Tanh(), Linear(4, 3)),
    # Modules without parameters between the layers, and a layer without bias.
    "gaps": Sequential(Dropout(), Linear(5, 7), Tanh(), Dropout(), Linear(7, 6, bias=False), ReLU(), Linear(6, 2), Sigmoid()),
}
samples = {"x": torch.randn(8, 5)}
for name, model in models.items():
    save_file(model.state_dict(), folder / f"{name}.safetensors")
    samples[name] = model.eval()(samples["x"]).detach()
save_file(samples, folder / "samples.safetensors")
