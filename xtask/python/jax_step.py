"""Training steps in JAX, compiled: answers `cargo xtask training` over its standard streams."""

import os
import sys
import time

if sys.argv[2] == "1" and hasattr(os, "sched_setaffinity"):
    # XLA takes as many threads as it may use processors.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np


def main():
    operands, batch, rate = sys.argv[1], int(sys.argv[3]), float(sys.argv[4])
    widths = [int(width) for width in sys.argv[5:]]
    values = np.fromfile(operands, dtype=np.float32)

    def take(*shape):
        nonlocal values
        count = int(np.prod(shape))
        taken, values = values[:count].reshape(shape), values[count:]
        return jnp.asarray(taken)

    x, y = take(batch, widths[0]), take(batch, widths[-1])
    parameters = [(take(outputs, inputs), take(outputs)) for inputs, outputs in zip(widths, widths[1:])]

    def cost_of(parameters, x, y):
        a = x
        for w, b in parameters[:-1]:
            a = jax.nn.sigmoid(a @ w.T + b)
        w, b = parameters[-1]
        z = a @ w.T + b
        return jnp.sum(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z)))) / batch

    def descend(parameters, x, y):
        cost, gradients = jax.value_and_grad(cost_of)(parameters, x, y)
        return cost, jax.tree.map(lambda value, gradient: value - rate * gradient, parameters, gradients)

    step = jax.jit(descend, donate_argnums=0).lower(parameters, x, y).compile()

    print(jax.__version__, flush=True)
    for line in sys.stdin:
        start = time.perf_counter_ns()
        for _ in range(int(line)):
            cost, parameters = step(parameters, x, y)
        jax.block_until_ready(parameters)
        print(time.perf_counter_ns() - start, float(cost), flush=True)


main()
