"""Training steps and epochs in scikit-learn: the loop inside `MLPClassifier.fit`.

The clock is read inside `fit`, so that its checks before and behind the loop do not count. A step is an epoch over one
batch, not shuffled: the clock starts where the loop has done a first one, and stops behind the last, so that everything
that the loop does for a step counts and nothing else. An epoch is the whole loop, shuffling included.
"""

import sys
import time
import warnings

import numpy as np
from sklearn.neural_network import MLPClassifier
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from threadpoolctl import threadpool_limits

from serve import Training, outcome, serve


class Clocked(MLPClassifier):
    """Reads the clock where the loop begins, and behind each of its epochs."""

    def _fit_stochastic(self, *arguments, **named):
        self.readings = [time.perf_counter_ns()]
        super()._fit_stochastic(*arguments, **named)

    def _update_no_improvement_count(self, *arguments, **named):
        super()._update_no_improvement_count(*arguments, **named)
        self.readings.append(time.perf_counter_ns())


def classifier_of(training, shuffle):
    rule = training.rule
    if rule["name"] == "adam":
        beta1, beta2 = rule["betas"]
        settings = {"solver": "adam", "beta_1": beta1, "beta_2": beta2, "epsilon": rule["epsilon"]}
    else:
        settings = {"solver": "sgd", "momentum": rule.get("momentum", 0.0), "nesterovs_momentum": False}
    return Clocked(
        hidden_layer_sizes=training.widths[1:-1],
        activation="logistic" if training.hidden == "sigmoid" else "relu",
        alpha=0.0,
        batch_size=training.batch,
        learning_rate_init=rule["rate"],
        max_iter=1,
        shuffle=shuffle,
        tol=0.0,
        n_iter_no_change=sys.maxsize,
        warm_start=True,
        **settings,
    )


def optimizer_of(training, classifier):
    """One whose state is that of the steps before."""
    rule, parameters = training.rule, classifier.coefs_ + classifier.intercepts_
    # Transposed weights of all layers, then the biases.
    states = [[array.T.copy() for array in state] for state in training.states[::2]] + training.states[1::2]
    if rule["name"] == "adam":
        optimizer = AdamOptimizer(parameters, rule["rate"], *rule["betas"], rule["epsilon"])
        optimizer.ms, optimizer.vs = ([state[which] for state in states] for which in range(2))
        optimizer.t = training.steps_before
        return optimizer
    optimizer = SGDOptimizer(parameters, rule["rate"], "constant", rule.get("momentum", 0.0), nesterov=False)
    if rule["name"] == "momentum":
        # Its velocity has the rate in it, and the other sign.
        optimizer.velocities = [-rule["rate"] * state[0] for state in states]
    return optimizer


def state_of(training, classifier):
    optimizer, layers = classifier._optimizer, len(training.widths) - 1
    if training.rule["name"] == "descent":
        return [[] for _ in training.parameters]
    if training.rule["name"] == "momentum":
        arrays = [[velocity / -training.rule["rate"] for velocity in optimizer.velocities]]
    else:
        arrays = [optimizer.ms, optimizer.vs]
    states = []
    for at in range(layers):
        states += [[array[at].T for array in arrays], [array[layers + at] for array in arrays]]
    return states


def rehearsed(training, x, y):
    """A classifier from the parameters given, behind the first batches in their order."""
    classifier = classifier_of(training, shuffle=False)
    # Makes what must be there before parameters can be set.
    classifier.fit(x, y)
    classifier.coefs_ = [w.T.copy() for w in training.parameters[::2]]
    classifier.intercepts_ = [b.copy() for b in training.parameters[1::2]]
    classifier._optimizer = optimizer_of(training, classifier)
    classes = np.unique(y) if training.has_classes else np.arange(training.widths[-1])
    for rows in training.batches(training.checked):
        classifier.partial_fit(x[rows], y[rows], classes=classes)
    return classifier


def prepare(request):
    if request["task"] not in ("step", "epoch"):
        raise NotImplementedError("it has no calls for single layers")
    training = Training(request)
    if training.cost == "quadratic":
        raise NotImplementedError("it has no quadratic cost behind sigmoids")
    x, y = training.x, training.y if training.has_classes else training.y.astype(np.int64)
    if training.has_classes and len(np.unique(y)) < max(3, training.widths[-1]):
        raise NotImplementedError("it takes from the batch how many classes there are, three at least")
    if not training.has_classes and training.widths[-1] == 1:
        y = y.ravel()
        if len(np.unique(y)) < 2:
            raise NotImplementedError("it takes two classes at least")
    is_epoch = request["task"] == "epoch"
    classifier = rehearsed(training, x, y)
    parameters = [p for pair in zip((w.T for w in classifier.coefs_), classifier.intercepts_) for p in pair]
    results = [np.array(value) for value in outcome(parameters, state_of(training, classifier))]
    classifier.shuffle = is_epoch

    def timed(calls):
        classifier.max_iter = calls if is_epoch else calls + 1
        classifier.fit(x, y)
        readings = classifier.readings
        assert len(readings) == classifier.max_iter + 1
        return readings[-1] - readings[0 if is_epoch else 1]

    return results, timed


warnings.filterwarnings("ignore")
with threadpool_limits(int(sys.argv[1])):
    serve(prepare)
