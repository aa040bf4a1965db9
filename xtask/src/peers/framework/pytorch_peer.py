"""Layers and training steps in PyTorch: answers `cargo xtask bench` over its standard streams."""

import sys
import time

import numpy as np
import torch


def forward(x, w, b, a, d_a, scale):
    out = torch.empty_like(a)

    def call():
        torch.addmm(b, x, w.t(), out=out)
        torch.sigmoid_(out)
        return [out]

    def compiled(x, w, b):
        return [torch.sigmoid(torch.nn.functional.linear(x, w, b))]

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


def step(x, y, parameters, rate, is_compiled):
    flat = [parameter.requires_grad_() for parameter in parameters]
    descent = torch.optim.SGD(flat, lr=rate)

    def cost_of(x, y):
        a = x
        for w, b in zip(flat[:-2:2], flat[1:-2:2]):
            a = torch.sigmoid(torch.nn.functional.linear(a, w, b))
        z = torch.nn.functional.linear(a, flat[-2], flat[-1])
        return torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="sum") / len(x)

    cost_of = torch.compile(cost_of, dynamic=False) if is_compiled else cost_of

    def call():
        cost = cost_of(x, y)
        descent.zero_grad(set_to_none=True)
        cost.backward()
        descent.step()
        return flat

    return call


def prepare(kind, is_compiled, operands, factor, batch, widths):
    values = torch.from_numpy(np.fromfile(operands, dtype=np.float32))

    def take(*shape):
        nonlocal values
        count = int(np.prod(shape))
        taken, values = values[:count].reshape(shape).clone(), values[count:]
        return taken

    if kind == "step":
        x, y = take(batch, widths[0]), take(batch, widths[-1])
        parameters = []
        for inputs, outputs in zip(widths, widths[1:]):
            parameters += [take(outputs, inputs), take(outputs)]
        return step(x, y, parameters, factor, is_compiled)
    inputs, outputs = widths
    tensors = take(batch, inputs), take(outputs, inputs), take(outputs), take(batch, outputs), take(batch, outputs)
    call, whole, arguments = (forward if kind == "forward" else backward)(*tensors, factor)
    if not is_compiled:
        return torch.inference_mode()(call)
    compiled = torch.compile(whole, dynamic=False)
    return torch.inference_mode()(lambda: compiled(*arguments))


def main():
    torch.set_num_threads(int(sys.argv[1]))
    is_compiled = sys.argv[2] == "compiled"
    call = None
    for line in sys.stdin:
        kind, *rest = line.split()
        if kind == "time":
            count = int(rest[0])
            start = time.perf_counter_ns()
            for _ in range(count):
                call()
            print(time.perf_counter_ns() - start, flush=True)
            continue
        try:
            operands, results, factor, batch, *widths = rest
            torch._dynamo.reset()
            call = prepare(kind, is_compiled, operands, float(factor), int(batch), [int(width) for width in widths])
            outcome = [result.detach().numpy().ravel() for result in call()]
            np.concatenate(outcome).astype(np.float32).tofile(results)
            print("ready", flush=True)
        except Exception as error:
            print(" ".join(str(error).split())[:200] or type(error).__name__, flush=True)


main()
