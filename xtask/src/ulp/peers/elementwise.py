"""A framework's sigmoid and tanh: answers `cargo xtask ulp --peers` over its standard streams.

A question is a line of function and number of arguments, then the arguments as raw float32; so is the answer, without
the line.
"""

import sys

import numpy as np


def pytorch():
    import torch

    def on_tensors(function):
        return lambda x: function(torch.from_numpy(x)).numpy()

    version = f"{torch.__version__} ({torch.backends.cpu.get_cpu_capability()})"
    return version, {"sigmoid": on_tensors(torch.sigmoid), "tanh": on_tensors(torch.tanh)}


def jax():
    import jax

    return f"{jax.__version__} (jit)", {"sigmoid": jax.jit(jax.nn.sigmoid), "tanh": jax.jit(jax.numpy.tanh)}


def main():
    version, functions = {"PyTorch": pytorch, "JAX": jax}[sys.argv[1]]()
    print(version, flush=True)
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    for line in iter(questions.readline, b""):
        name, count = line.decode().split()
        # A copy, as PyTorch wants to be allowed to write.
        x = np.frombuffer(questions.read(4 * int(count)), dtype=np.float32).copy()
        answers.write(np.asarray(functions[name](x), dtype=np.float32).tobytes())
        answers.flush()


main()
