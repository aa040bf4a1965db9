"""The same networks in double precision, by numpy alone: an independent answer."""

from __future__ import annotations

import numpy as np

ACTIVATIONS = {
    "identity": (lambda z: z, lambda z: np.ones_like(z)),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(z.dtype)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "silu": (lambda z: z / (1 + np.exp(-z)), lambda z: (1 + np.exp(-z) * (1 + z)) / (1 + np.exp(-z)) ** 2),
}


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def rows_of(targets, outputs):
    """Targets as a value for each output."""
    targets = np.asarray(targets)
    if targets.dtype.kind == "f":
        return targets.reshape(len(targets), outputs).astype(float)
    return np.eye(max(outputs, 2))[targets][:, -outputs:]


def forward(parameters, activations, x):
    """Each layer's pre-activation and output, from the input on."""
    zs, outputs = [], [np.asarray(x, float)]
    for (w, b), activation in zip(parameters, activations):
        zs.append(outputs[-1] @ np.asarray(w, float).T + np.asarray(b, float))
        outputs.append(ACTIVATIONS[activation][0](zs[-1]))
    return zs, outputs


def cost_and_gradients(parameters, activations, cost, x, targets, sample_weight=None):
    """The cost of a batch, a weighted mean, and its gradients by each layer's weights and bias."""
    zs, outputs = forward(parameters, activations, x)
    y = rows_of(targets, outputs[-1].shape[1])
    s = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
    s = (s / s.sum())[:, None]
    a = outputs[-1]
    if cost == "quadratic":
        value = (s * (a - y) ** 2).sum() / 2
        d_z = (a - y) * ACTIVATIONS[activations[-1]][1](zs[-1])
    elif cost == "softmax_cross_entropy":
        p = softmax(zs[-1])
        value = -(s * y * np.log(p)).sum()
        d_z = p - y
    else:
        value = -(s * (y * np.log(a) + (1 - y) * np.log(1 - a))).sum()
        d_z = a - y
    d_z = d_z * s
    gradients = []
    for layer in reversed(range(len(parameters))):
        gradients.insert(0, (d_z.T @ outputs[layer], d_z.sum(axis=0)))
        if layer:
            d_z = (d_z @ np.asarray(parameters[layer][0], float)) * ACTIVATIONS[activations[layer - 1]][1](zs[layer - 1])
    return value, gradients
