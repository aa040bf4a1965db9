"""The requests of `cargo xtask`: a line of JSON is asked, a line is answered. Each framework's program uses this."""

import json
import sys
import time

import numpy as np


class Operands:
    """Arrays one behind the other in a file of raw 32-bit floats."""

    def __init__(self, path):
        self.values = np.fromfile(path, dtype=np.float32)

    def take(self, *shape):
        count = int(np.prod(shape))
        taken, self.values = self.values[:count].reshape(shape), self.values[count:]
        return taken.copy()


class Layer:
    """A layer's operands, as a request for one of its passes names them."""

    def __init__(self, request):
        operands, (inputs, outputs), batch = Operands(request["operands"]), request["widths"], request["batch"]
        self.x, self.w = operands.take(batch, inputs), operands.take(outputs, inputs)
        self.b, self.a, self.d_a = operands.take(outputs), operands.take(batch, outputs), operands.take(batch, outputs)
        self.scale = request["scale"]


class Training:
    """A network with data, parameters and its optimiser's state."""

    def __init__(self, request):
        self.widths, self.batch, self.samples = request["widths"], request["batch"], request["samples"]
        self.hidden, self.cost, self.rule = request["hidden"], request["cost"], request["rule"]
        self.steps_before, self.checked = request["steps_before"], request["checked"]
        self.has_classes = self.cost == "softmax-cross-entropy"
        operands = Operands(request["operands"])
        self.x = operands.take(self.samples, self.widths[0])
        if self.has_classes:
            self.y = operands.take(self.samples).astype(np.int64)
        else:
            self.y = operands.take(self.samples, self.widths[-1])
        # Weights, bias, weights, bias, …, each with the optimiser's arrays beside it.
        self.parameters, self.states = [], []
        for inputs, outputs in zip(self.widths, self.widths[1:]):
            shapes = (outputs, inputs), (outputs,)
            self.parameters += [operands.take(*shape) for shape in shapes]
            arrays = [[operands.take(*shape) for shape in shapes] for _ in range(request["state_arrays"])]
            self.states += [list(of_one) for of_one in zip(*arrays)] or [[], []]

    def batches(self, count):
        """The first batches in their order, as slices."""
        return [slice(at * self.batch, (at + 1) * self.batch) for at in range(count)]


def outcome(parameters, states):
    """Everything in the order in which it came: layer by layer parameters, then the optimiser's arrays."""
    results = []
    for at in range(0, len(parameters), 2):
        results += parameters[at : at + 2]
        for of_w, of_b in zip(states[at], states[at + 1]):
            results += [of_w, of_b]
    return results


def clocked(call, finish=lambda result: None):
    """Nanoseconds of some calls by this process's clock, to the end of what the last one began."""

    def timed(calls):
        start = time.perf_counter_ns()
        for _ in range(calls):
            result = call()
        finish(result)
        return time.perf_counter_ns() - start

    return timed


def serve(prepare):
    """Answers until nobody asks. `prepare(request)` gives the results to be checked, and what times some calls."""
    timed = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["task"] == "time":
                answer = timed(request["calls"])
            else:
                timed = None
                results, timed = prepare(request)
                flat = [np.asarray(result, dtype=np.float32).ravel() for result in results]
                np.concatenate(flat).tofile(request["results"])
                answer = "ready"
        except Exception as error:
            answer = " ".join(str(error).split())[:200] or type(error).__name__
        print(answer, flush=True)
