"""The module for PyTorch, against PyTorch's own layers."""

from __future__ import annotations

import copy
import io
import pickle
import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fused_dense.torch import Mlp  # noqa: E402

MODULES = {
    "identity": None,
    "sigmoid": torch.nn.Sigmoid,
    "tanh": torch.nn.Tanh,
    "relu": torch.nn.ReLU,
    "leaky_relu": torch.nn.LeakyReLU,
    "leaky_relu(0.25)": lambda: torch.nn.LeakyReLU(0.25),
    "elu": torch.nn.ELU,
    "elu(0.5)": lambda: torch.nn.ELU(0.5),
    "softplus": torch.nn.Softplus,
    "silu": torch.nn.SiLU,
    "gelu": torch.nn.GELU,
    "gelu_tanh": lambda: torch.nn.GELU(approximate="tanh"),
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sequential(inputs, layers, bias=True):
    """PyTorch's own network of the same layers."""
    modules = []
    for outputs, activation in layers:
        modules.append(torch.nn.Linear(inputs, outputs, bias=bias))
        if MODULES[activation] is not None:
            modules.append(MODULES[activation]())
        inputs = outputs
    return torch.nn.Sequential(*modules)


def both(inputs, layers, seed=0, bias=True, **settings):
    """An ``Mlp`` and PyTorch's own network with the same parameters."""
    torch.manual_seed(seed)
    ours = Mlp(inputs, layers, bias=bias, **settings)
    torch.manual_seed(seed)
    return ours, sequential(inputs, layers, bias)


def random_layers(rng):
    names = list(MODULES)
    return [(int(rng.integers(1, 40)), names[rng.integers(len(names))]) for _ in range(rng.integers(1, 5))]


def close(ours, theirs):
    scale = max(float(theirs.detach().abs().max()), 1e-3) if theirs.numel() else 1.0
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=2e-6 * scale)


@pytest.mark.parametrize("seed", range(40))
def test_outputs_and_gradients_are_pytorchs(seed):
    rng = np.random.default_rng(seed)
    layers, inputs = random_layers(rng), int(rng.integers(1, 40))
    ours, theirs = both(inputs, layers, seed, bias=bool(seed % 4))
    leading = [(), (1,), (17,), (3, 5), (2, 3, 4), (0,)][seed % 6]
    x = torch.randn(*leading, inputs)
    of_ours, of_theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    a, b = ours(of_ours), theirs(of_theirs)
    assert a.shape == b.shape == (*leading, layers[-1][0])
    close(a, b)
    upstream = torch.randn_like(b)
    a.backward(upstream)
    b.backward(upstream)
    close(of_ours.grad, of_theirs.grad)
    for (name, p), (same, q) in zip(ours.named_parameters(), theirs.named_parameters()):
        assert name == same
        close(p.grad, q.grad)


@pytest.mark.parametrize("activation", MODULES)
def test_each_activation_in_each_place(activation):
    ours, theirs = both(5, [(6, activation), (4, activation)])
    x = torch.randn(9, 5)
    of_ours, of_theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    a, b = ours(of_ours), theirs(of_theirs)
    close(a, b)
    a.square().sum().backward()
    b.square().sum().backward()
    close(of_ours.grad, of_theirs.grad)
    for p, q in zip(ours.parameters(), theirs.parameters()):
        close(p.grad, q.grad)


def test_parameters_have_the_names_and_values_of_a_sequential():
    layers = [(8, "relu"), (7, "identity"), (6, "gelu"), (3, "identity")]
    ours, theirs = both(4, layers)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for p, q in zip(ours.state_dict().values(), theirs.state_dict().values()):
        assert torch.equal(p, q)
    other = Mlp(4, layers)
    other.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(5, 4)
    assert torch.equal(other(x), ours(x))
    with pytest.raises(RuntimeError, match="size mismatch"):
        Mlp(4, [(9, "relu"), (7, "identity"), (6, "gelu"), (3, "identity")]).load_state_dict(theirs.state_dict())
    assert list(Mlp(4, [(3, "relu")], bias=False).state_dict()) == ["0.weight"]


def test_gradients_are_made_for_those_who_ask():
    ours, theirs = both(4, [(6, "tanh"), (5, "silu"), (3, "identity")])
    x = torch.randn(7, 4)
    for frozen in (("0.weight",), ("0.weight", "0.bias"), ("0.weight", "0.bias", "2.bias"), ("4.weight",)):
        for model in (ours, theirs):
            model.zero_grad()
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(name not in frozen)
            model(x).sum().backward()
        for (name, p), q in zip(ours.named_parameters(), theirs.parameters()):
            assert (p.grad is None) == (name in frozen)
            if p.grad is not None:
                close(p.grad, q.grad)
    for model in (ours, theirs):
        model.requires_grad_(False)
    assert not ours(x).requires_grad
    grads = [torch.autograd.grad(model(given).sum(), given)[0] for model in (ours, theirs) for given in [x.clone().requires_grad_()]]
    close(*grads)


def test_nothing_is_kept_without_a_gradient():
    ours, theirs = both(4, [(6, "tanh"), (3, "identity")])
    x = torch.randn(7, 4)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            y = ours(x)
        assert not y.requires_grad and y.grad_fn is None
        close(y, theirs(x).detach())
    assert ours(x).requires_grad


@pytest.mark.parametrize(
    "memory",
    [
        lambda x: x.t().contiguous().t(),
        lambda x: x.repeat_interleave(2, dim=0)[::2],
        lambda x: x.repeat_interleave(3, dim=1)[:, ::3],
        lambda x: x[:1].expand(12, 6),
        lambda x: x.reshape(3, 4, 6).transpose(0, 1),
        lambda x: x.reshape(3, 2, 2, 6)[:, 0],
        lambda x: torch.zeros(12 * 6 + 1)[1:].view(12, 6).copy_(x),
    ],
)
def test_input_of_any_strides(memory):
    ours, theirs = both(6, [(5, "relu"), (3, "identity")])
    x = memory(torch.randn(12, 6))
    of_ours, of_theirs = x.detach().requires_grad_(), x.detach().requires_grad_()
    a, b = ours(of_ours), theirs(of_theirs)
    close(a, b)
    a.sum().backward()
    b.sum().backward()
    close(of_ours.grad, of_theirs.grad)
    close(ours.get_submodule("0").weight.grad, theirs[0].weight.grad)


def test_gradients_of_any_strides():
    ours, theirs = both(6, [(5, "relu"), (4, "identity")])
    x = torch.randn(2, 3, 6)
    for loss in (
        lambda y: y.sum(),
        lambda y: y.mean(dim=0).square().sum(),
        lambda y: (y.transpose(1, 2) * torch.arange(3.0)).sum(),
        lambda y: y[..., ::2].square().sum(),
    ):
        for model in (ours, theirs):
            model.zero_grad()
            loss(model(x)).backward()
        for p, q in zip(ours.parameters(), theirs.parameters()):
            close(p.grad, q.grad)


def test_parameters_of_any_strides():
    ours, theirs = both(6, [(5, "relu"), (4, "identity")])
    for model in (ours, theirs):
        linear = model.get_submodule("0")
        linear.weight = torch.nn.Parameter(linear.weight.detach().t().contiguous().t())
        linear.bias = torch.nn.Parameter(linear.bias.detach().repeat(2)[::2] * 0 + torch.arange(5.0))
    x = torch.randn(3, 6)
    close(ours(x), theirs(x))
    for model in (ours, theirs):
        model(x).sum().backward()
    close(ours.get_submodule("0").weight.grad, theirs[0].weight.grad)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
        lambda p: torch.optim.AdamW(p, 0.01),
        lambda p: torch.optim.RMSprop(p, 0.001),
    ],
)
def test_pytorchs_optimisers_train_it(optimizer):
    ours, theirs = both(6, [(16, "tanh"), (3, "identity")])
    x, labels = torch.randn(60, 6), torch.arange(60) % 3
    losses = []
    for model in (ours, theirs):
        steps, of_model = optimizer(model.parameters()), []
        for _ in range(30):
            steps.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), labels)
            loss.backward()
            steps.step()
            of_model.append(loss.item())
        losses.append(of_model)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
    assert losses[0][-1] < losses[0][0]


def test_gradients_add_up_and_graphs_are_kept():
    ours, theirs = both(6, [(5, "gelu"), (4, "relu")])
    x = torch.randn(7, 6)
    for model in (ours, theirs):
        y = model(x)
        y.sum().backward(retain_graph=True)
        y.square().sum().backward()
        model(2 * x).sum().backward()
    for p, q in zip(ours.parameters(), theirs.parameters()):
        close(p.grad, q.grad)


def test_two_passes_in_one_graph():
    ours, theirs = both(6, [(5, "tanh"), (6, "identity")])
    x = torch.randn(7, 6)
    for model in (ours, theirs):
        model(model(x) + x).square().sum().backward()
    for p, q in zip(ours.parameters(), theirs.parameters()):
        close(p.grad, q.grad)


@pytest.mark.parametrize("penalised", ["input", "parameter"])
def test_a_second_derivative_is_refused(penalised):
    ours, theirs = both(3, [(4, "tanh"), (2, "identity")])
    x = torch.randn(4, 3, requires_grad=True)
    for model in (ours, theirs):
        y = model(x).square().sum()
        by = x if penalised == "input" else model.get_submodule("0").weight
        (gradient,) = torch.autograd.grad(y, by, create_graph=True)
        if model is theirs:
            (y + gradient.square().sum()).backward()
        else:
            close(gradient, torch.autograd.grad(model(x).square().sum(), by)[0])
            # Without an error the second term would count as a constant.
            with pytest.raises(RuntimeError, match="Mlp: its gradients cannot be differentiated once more"):
                (y + gradient.square().sum()).backward()


def test_changes_in_between_are_noticed():
    ours = Mlp(3, [(2, "tanh"), (2, "identity")])
    y = ours(torch.randn(4, 3))
    with torch.no_grad():
        ours.get_submodule("0").weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    y = Mlp(3, [(2, "tanh")])(torch.randn(4, 3))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.add_(1).sum().backward()


@pytest.mark.parametrize(
    "x, error, text",
    [
        (torch.zeros(2, 3, dtype=torch.float64), TypeError, "expected the input in torch.float32, found torch.float64"),
        (torch.zeros(2, 3, dtype=torch.bfloat16), TypeError, "expected the input in torch.float32, found torch.bfloat16"),
        (torch.zeros(2, 3, device="meta"), ValueError, "expected the input as strided memory on the CPU, .*meta"),
        (torch.zeros(2, 3).to_sparse(), ValueError, "expected the input as strided memory on the CPU, found torch.sparse_coo"),
        (np.zeros((2, 3), np.float32), TypeError, "expected the input as a tensor, found ndarray"),
        (torch.zeros(2, 4), ValueError, r"x: expected an array of shape \(samples, 3\), found \(2, 4\)"),
        (torch.zeros(()), ValueError, r"x: expected an array of shape \(samples, 3\), found \(\)"),
    ],
)
def test_input_that_does_not_fit_is_refused(x, error, text):
    with pytest.raises(error, match=text):
        Mlp(3, [(2, "relu")])(x)


def test_parameters_elsewhere_are_refused():
    x = torch.zeros(2, 3)
    with pytest.raises(TypeError, match="expected parameters in torch.float32, found torch.float64"):
        Mlp(3, [(2, "relu")]).double()(x)
    with pytest.raises(ValueError, match="expected parameters as strided memory on the CPU"):
        Mlp(3, [(2, "relu")]).to("meta")(x)


@pytest.mark.parametrize(
    "arguments, error, text",
    [
        ((3, []), ValueError, "layers: expected at least one, found none"),
        ((0, [(2, "relu")]), ValueError, "inputs: expected an integer from 1 on"),
        ((3, [(2, "softmax")]), ValueError, "activation: expected identity"),
        ((3, [2]), TypeError, "layers: expected pairs"),
    ],
)
def test_layers_that_cannot_be_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        Mlp(*arguments)


def test_copies_compute_the_same():
    model = Mlp(6, [(5, "gelu"), (4, "identity")], threads=2, summation="chain")
    x = torch.randn(7, 6)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for same in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), torch.load(file, weights_only=False)):
        assert repr(same) == repr(model) and torch.equal(same(x), model(x))
        same.get_submodule("0").weight.data.zero_()
        assert not torch.equal(same(x), model(x))


def test_bits_do_not_depend_on_threads():
    found = []
    for threads in (1, 2, 3):
        torch.manual_seed(0)
        model = Mlp(150, [(300, "relu"), (200, "tanh"), (10, "identity")], threads=threads)
        y = model(torch.randn(256, 150))
        y.square().sum().backward()
        found.append([y.detach(), *(p.grad for p in model.parameters())])
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other))


def test_several_threads_share_a_model():
    model = Mlp(50, [(60, "relu"), (10, "identity")], threads=2)
    inputs = [torch.randn(30, 50) for _ in range(4)]
    expected = [torch.autograd.grad(model(x).sum(), list(model.parameters())) for x in inputs]
    faults = []

    def work(x, expected):
        for _ in range(30):
            found = torch.autograd.grad(model(x).sum(), list(model.parameters()))
            if not all(torch.equal(a, b) for a, b in zip(found, expected)):
                faults.append(x)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(inputs, expected)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def test_a_sequential_is_taken_over_with_its_parameters():
    layers = [(8, "leaky_relu(0.25)"), (7, "identity"), (6, "gelu_tanh"), (5, "elu(0.5)"), (3, "softplus")]
    theirs = sequential(4, layers)
    ours = Mlp.from_sequential(theirs, threads=2)
    assert [p is q for p, q in zip(ours.parameters(), theirs.parameters())] == [True] * 10
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = torch.randn(5, 4)
    close(ours(x), theirs(x))
    for wrong, text in (
        (torch.nn.Sequential(), "expected Linear modules and activations"),
        (torch.nn.Sequential(torch.nn.ReLU()), "expected a Linear before each activation, found ReLU"),
        (torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout()), "expected an activation that fused_dense has, found Drop"),
        (torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Softplus(beta=2)), "expected an activation"),
        (torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Tanh()), "expected a Linear before each"),
    ):
        with pytest.raises(TypeError, match=text):
            Mlp.from_sequential(wrong)
    with pytest.raises(ValueError, match="expected a Linear of 4 inputs, as many as the outputs before it"):
        Mlp.from_sequential(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(5, 2)))


def test_parametrisations_are_followed():
    ours, theirs = both(4, [(6, "tanh"), (3, "identity")])
    for model in (ours, theirs):
        torch.manual_seed(1)
        torch.nn.utils.parametrizations.weight_norm(model.get_submodule("0"))
    x = torch.randn(5, 4)
    close(ours(x), theirs(x))
    for model in (ours, theirs):
        model(x).sum().backward()
    for p, q in zip(ours.parameters(), theirs.parameters()):
        close(p.grad, q.grad)
