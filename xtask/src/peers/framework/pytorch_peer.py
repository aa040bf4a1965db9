"""Layers, training steps and epochs in PyTorch: eager, eager with its fused optimisers, or compiled."""

import sys

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, linear, mse_loss

from serve import Layer, Training, clocked, outcome, serve

IS_COMPILED = sys.argv[2] == "compiled"
HAS_FUSED_OPTIMISER = sys.argv[2] in ("fused", "compiled")


def forward(x, w, b, a, d_a, scale):
    out = torch.empty_like(a)

    def call():
        torch.addmm(b, x, w.t(), out=out)
        torch.sigmoid_(out)
        return [out]

    def compiled(x, w, b):
        return [torch.sigmoid(linear(x, w, b))]

    return call, compiled, (x, w, b)


def backward(x, w, b, a, d_a, scale):
    dz, d_w, d_b, d_x = (torch.empty_like(like) for like in (a, w, b, x))

    def call():
        torch.ops.aten.sigmoid_backward.grad_input(d_a, a, grad_input=dz)
        torch.addmm(d_w, dz.t(), x, beta=0, alpha=scale, out=d_w)
        torch.sum(dz, 0, out=d_b).mul_(scale)
        torch.mm(dz, w, out=d_x)
        return [d_w, d_b, d_x]

    def compiled(x, w, a, d_a):
        dz = d_a * a * (1 - a)
        return [(dz.t() @ x) * scale, dz.sum(0) * scale, dz @ w]

    return call, compiled, (x, w, a, d_a)


def one_layer(request):
    layer = Layer(request)
    tensors = [torch.from_numpy(array) for array in (layer.x, layer.w, layer.b, layer.a, layer.d_a)]
    call, whole, arguments = (forward if request["task"] == "forward" else backward)(*tensors, layer.scale)
    if IS_COMPILED:
        compiled = torch.compile(whole, dynamic=False)
        call = torch.inference_mode()(lambda: compiled(*arguments))
    else:
        call = torch.inference_mode()(call)
    return call(), clocked(call)


class Network:
    """Parameters, cost and optimiser."""

    def __init__(self, training):
        self.training = training
        self.parameters = [torch.from_numpy(values).requires_grad_() for values in training.parameters]
        self.x, self.y = torch.from_numpy(training.x), torch.from_numpy(training.y)
        self.optimizer = self.optimizer_of(training.rule)
        self.cost_of = torch.compile(self.cost, dynamic=False) if IS_COMPILED else self.cost

    def optimizer_of(self, rule):
        options = {"fused": True} if HAS_FUSED_OPTIMISER else {}
        states = [[torch.from_numpy(array) for array in arrays] for arrays in self.training.states]
        if rule["name"] == "adam":
            names = "exp_avg", "exp_avg_sq"
            settings = {"lr": rule["rate"], "betas": tuple(rule["betas"]), "eps": rule["epsilon"]}
            optimizer = torch.optim.Adam(self.parameters, **settings, **options)
        else:
            names = ("momentum_buffer",)
            optimizer = torch.optim.SGD(self.parameters, rule["rate"], rule.get("momentum", 0.0), **options)
        for parameter, arrays in zip(self.parameters, states):
            optimizer.state[parameter].update(zip(names, arrays))
            if rule["name"] == "adam":
                optimizer.state[parameter]["step"] = torch.tensor(float(self.training.steps_before))
        self.state_names = names
        return optimizer

    def cost(self, x, y):
        activation = torch.sigmoid if self.training.hidden == "sigmoid" else torch.relu
        a = x
        for w, b in zip(self.parameters[:-2:2], self.parameters[1:-2:2]):
            a = activation(linear(a, w, b))
        z = linear(a, self.parameters[-2], self.parameters[-1])
        if self.training.cost == "softmax-cross-entropy":
            return cross_entropy(z, y)
        if self.training.cost == "quadratic":
            return mse_loss(torch.sigmoid(z), y, reduction="sum") / (2 * len(x))
        return binary_cross_entropy_with_logits(z, y, reduction="sum") / len(x)

    def step(self, x, y):
        cost = self.cost_of(x, y)
        self.optimizer.zero_grad(set_to_none=True)
        cost.backward()
        self.optimizer.step()
        return cost

    def epoch(self):
        for rows in torch.randperm(self.training.samples).split(self.training.batch):
            self.step(self.x.index_select(0, rows), self.y.index_select(0, rows))

    def outcome(self):
        has_state = bool(self.training.states[0])
        names = self.state_names if has_state else ()
        states = [[self.optimizer.state[parameter][name] for name in names] for parameter in self.parameters]
        return [value.detach().numpy() for value in outcome(self.parameters, states)]


def prepare(request):
    torch._dynamo.reset()
    if request["task"] in ("forward", "backward"):
        return one_layer(request)
    network = Network(Training(request))
    if request["task"] == "costs":
        batches = network.training.batches(network.training.samples // network.training.batch)
        steps = [batches[step % len(batches)] for step in range(request["steps"])]
        return [[network.step(network.x[rows], network.y[rows]).item() for rows in steps]], None
    for rows in network.training.batches(network.training.checked):
        network.step(network.x[rows], network.y[rows])
    results = [value.copy() for value in network.outcome()]
    call = network.epoch if request["task"] == "epoch" else lambda: network.step(network.x, network.y)
    return results, clocked(call)


torch.set_num_threads(int(sys.argv[1]))
serve(prepare)
