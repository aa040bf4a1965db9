"""Uses of the package that a type checker has to understand, and none that it has to refuse: checked, never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

from fused_dense import Adam, DivergenceError, Epoch, Evaluation, History, Network, Sgd

x: NDArray[np.float32] = np.zeros((3, 4), np.float32)
labels: NDArray[np.int64] = np.zeros(3, np.int64)
values: NDArray[np.float32] = np.zeros((3, 2), np.float32)

network = Network(4, [(3, "relu"), (2, "identity")], cost="softmax_cross_entropy", optimizer=Adam(1e-3), threads=2)
assert_type(network, Network)
assert_type(network.layers, list[tuple[int, str]])
assert_type(network.learning_rate, float)
network.learning_rate = 0.5
network.optimizer = Sgd(0.1, momentum=0.9)
network.optimizer = 0.1

assert_type(network.step(x, labels), float)
assert_type(network.step(x, values, sample_weight=np.ones(3, np.float32)), float)
assert_type(network.predict(x, out=values), NDArray[np.float32])
assert_type(network.predict_classes(x), NDArray[np.uint32])
assert_type(network.evaluate(x, labels), Evaluation)
assert_type(network.evaluate(x, labels).accuracy, Optional[float])
cost, gradients = network.gradients(x, labels)
assert_type(cost, float)
assert_type(gradients[0], tuple[NDArray[np.float32], NDArray[np.float32]])


def on_epoch(epoch: Epoch) -> Optional[bool]:
    return epoch.cost < 0.1


history = network.fit(
    x, labels, epochs=3, batch=2, validation=(x, labels), early_stopping=2, learning_rate=lambda epoch: 1 / epoch, on_epoch=on_epoch
)
assert_type(history, History)
assert_type(history.epochs[0].validation, Optional[Evaluation])
network.fit(x, labels, validation=0.25)

network.set_parameters(network.parameters())
assert_type(network.state_dict(), dict[str, NDArray[Any]])
network.load_state_dict(network.state_dict())
network.save(Path("network.safetensors"))
network.load("network.safetensors")

try:
    network.step(x, labels)
except DivergenceError as error:
    assert_type(error, DivergenceError)
