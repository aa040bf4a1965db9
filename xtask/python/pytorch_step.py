"""Training steps in PyTorch, eager: answers `cargo xtask training` over its standard streams."""

import sys
import time

import numpy as np
import torch
import torch.nn.functional as F


def main():
    operands, threads, batch, rate = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    widths = [int(width) for width in sys.argv[5:]]
    torch.set_num_threads(threads)

    values = torch.from_numpy(np.fromfile(operands, dtype=np.float32))

    def take(*shape):
        nonlocal values
        count = int(np.prod(shape))
        taken, values = values[:count].reshape(shape).clone(), values[count:]
        return taken

    x, y = take(batch, widths[0]), take(batch, widths[-1])
    parameters = []
    for inputs, outputs in zip(widths, widths[1:]):
        parameters.append((take(outputs, inputs).requires_grad_(), take(outputs).requires_grad_()))
    descent = torch.optim.SGD([parameter for layer in parameters for parameter in layer], lr=rate)

    def step():
        a = x
        for w, b in parameters[:-1]:
            a = torch.sigmoid(F.linear(a, w, b))
        z = F.linear(a, *parameters[-1])
        cost = F.binary_cross_entropy_with_logits(z, y, reduction="sum") / batch
        descent.zero_grad(set_to_none=True)
        cost.backward()
        descent.step()
        return cost

    print(torch.__version__, flush=True)
    for line in sys.stdin:
        start = time.perf_counter_ns()
        for _ in range(int(line)):
            cost = step()
        print(time.perf_counter_ns() - start, cost.item(), flush=True)


main()
