"""Layers and training steps in JAX, compiled: answers `cargo xtask bench` over its standard streams."""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np


def forward(x, w, b, a, d_a, scale):
    return jax.jit(lambda x, w, b: [jax.nn.sigmoid(x @ w.T + b)]).lower(x, w, b).compile(), (x, w, b)


def backward(x, w, b, a, d_a, scale):
    def gradients(x, w, a, d_a):
        dz = d_a * a * (1 - a)
        return [(dz.T @ x) * scale, dz.sum(0) * scale, dz @ w]

    return jax.jit(gradients).lower(x, w, a, d_a).compile(), (x, w, a, d_a)


def descend(x, y, parameters, rate):
    def cost_of(parameters, x, y):
        a = x
        for w, b in zip(parameters[:-2:2], parameters[1:-2:2]):
            a = jax.nn.sigmoid(a @ w.T + b)
        z = a @ parameters[-2].T + parameters[-1]
        return jnp.sum(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z)))) / len(x)

    def step(parameters, x, y):
        cost, gradients = jax.value_and_grad(cost_of)(parameters, x, y)
        return cost, [value - rate * gradient for value, gradient in zip(parameters, gradients)]

    compiled = jax.jit(step, donate_argnums=0).lower(parameters, x, y).compile()

    def call():
        nonlocal parameters
        _, parameters = compiled(parameters, x, y)
        return parameters

    return call


def prepare(kind, operands, factor, batch, widths):
    values = np.fromfile(operands, dtype=np.float32)

    def take(*shape):
        nonlocal values
        count = int(np.prod(shape))
        taken, values = values[:count].reshape(shape), values[count:]
        return jnp.asarray(taken)

    if kind == "step":
        x, y = take(batch, widths[0]), take(batch, widths[-1])
        parameters = []
        for inputs, outputs in zip(widths, widths[1:]):
            parameters += [take(outputs, inputs), take(outputs)]
        return descend(x, y, parameters, factor)
    inputs, outputs = widths
    tensors = take(batch, inputs), take(outputs, inputs), take(outputs), take(batch, outputs), take(batch, outputs)
    compiled, arguments = (forward if kind == "forward" else backward)(*tensors, factor)
    return lambda: compiled(*arguments)


def main():
    call = None
    for line in sys.stdin:
        kind, *rest = line.split()
        if kind == "time":
            count = int(rest[0])
            start = time.perf_counter_ns()
            for _ in range(count):
                outcome = call()
            jax.block_until_ready(outcome)
            print(time.perf_counter_ns() - start, flush=True)
            continue
        try:
            operands, results, factor, batch, *widths = rest
            call = prepare(kind, operands, float(factor), int(batch), [int(width) for width in widths])
            np.concatenate([np.asarray(result).ravel() for result in call()]).tofile(results)
            print("ready", flush=True)
        except Exception as error:
            print(" ".join(str(error).split())[:200] or type(error).__name__, flush=True)


main()
