"""Layers, training steps and epochs in JAX, compiled."""

import jax
import jax.numpy as jnp
import numpy as np

from serve import Layer, Training, clocked, outcome, serve


def forward(x, w, b, a, d_a, scale):
    return jax.jit(lambda x, w, b: [jax.nn.sigmoid(x @ w.T + b)]).lower(x, w, b).compile(), (x, w, b)


def backward(x, w, b, a, d_a, scale):
    def gradients(x, w, a, d_a):
        dz = d_a * a * (1 - a)
        return [(dz.T @ x) * scale, dz.sum(0) * scale, dz @ w]

    return jax.jit(gradients).lower(x, w, a, d_a).compile(), (x, w, a, d_a)


def one_layer(request):
    layer = Layer(request)
    tensors = [jnp.asarray(array) for array in (layer.x, layer.w, layer.b, layer.a, layer.d_a)]
    compiled, arguments = (forward if request["task"] == "forward" else backward)(*tensors, layer.scale)
    return compiled(*arguments), clocked(lambda: compiled(*arguments), jax.block_until_ready)


def cost_function(training):
    activation = jax.nn.sigmoid if training.hidden == "sigmoid" else jax.nn.relu

    def cost_of(parameters, x, y):
        a = x
        for w, b in zip(parameters[:-2:2], parameters[1:-2:2]):
            a = activation(a @ w.T + b)
        z = a @ parameters[-2].T + parameters[-1]
        if training.cost == "softmax-cross-entropy":
            return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1))
        if training.cost == "quadratic":
            return jnp.sum((jax.nn.sigmoid(z) - y) ** 2) / (2 * len(x))
        return jnp.sum(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z)))) / len(x)

    return cost_of


def update_function(rule):
    """The optimiser's rule: parameter, gradient, state and the step's number to the new parameter and state."""
    rate = rule["rate"]
    if rule["name"] == "descent":
        return lambda p, g, state, t: (p - rate * g, [])
    if rule["name"] == "momentum":

        def momentum(p, g, state, t):
            v = rule["momentum"] * state[0] + g
            return p - rate * v, [v]

        return momentum
    (beta1, beta2), epsilon = rule["betas"], rule["epsilon"]

    def adam(p, g, state, t):
        m = beta1 * state[0] + (1 - beta1) * g
        v = beta2 * state[1] + (1 - beta2) * g * g
        return p - rate * (m / (1 - beta1**t)) / (jnp.sqrt(v / (1 - beta2**t)) + epsilon), [m, v]

    return adam


def step_function(training):
    cost_of, update = cost_function(training), update_function(training.rule)

    def step(carried, x, y):
        parameters, states, t = carried
        cost, gradients = jax.value_and_grad(cost_of)(parameters, x, y)
        t = t + 1
        updated = [update(*of_one, t) for of_one in zip(parameters, gradients, states)]
        return ([parameter for parameter, _ in updated], [state for _, state in updated], t), cost

    return step


def prepare(request):
    if request["task"] in ("forward", "backward"):
        return one_layer(request)
    training = Training(request)
    x, y = jnp.asarray(training.x), jnp.asarray(training.y.astype(np.int32) if training.has_classes else training.y)
    carried = jax.tree.map(jnp.asarray, (training.parameters, training.states, np.float32(training.steps_before)))
    step = step_function(training)
    batches = training.samples // training.batch

    def epoch(carried, x, y, order):
        def of_batch(carried, rows):
            return step(carried, x[rows], y[rows])

        return jax.lax.scan(of_batch, carried, order.reshape(-1, training.batch))

    if request["task"] == "epoch":
        whole = jax.jit(epoch, donate_argnums=0)
        random = np.random.default_rng(0)
        first = np.arange(training.checked * training.batch, dtype=np.int32)
        carried, _ = whole(carried, x, y, first)
        compiled = whole.lower(carried, x, y, jnp.arange(batches * training.batch, dtype=jnp.int32)).compile()
    else:
        compiled = jax.jit(step, donate_argnums=0).lower(carried, x, y).compile()
        carried, _ = compiled(carried, x, y)
    results = [np.array(value) for value in outcome(*carried[:2])]

    def call():
        nonlocal carried
        if request["task"] == "epoch":
            order = random.permutation(training.samples).astype(np.int32)
            carried, cost = compiled(carried, x, y, order)
        else:
            carried, cost = compiled(carried, x, y)
        return carried, cost

    return results, clocked(call, jax.block_until_ready)


serve(prepare)
