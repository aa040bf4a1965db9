"""Threads, processes and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import rng, same_bits, same_state

from fused_dense import Network, Sgd

LAYERS = [(300, "relu"), (10, "identity")]


@pytest.fixture
def data(rng):
    return rng.standard_normal((200, 150)).astype(np.float32), rng.integers(0, 10, 200)


def network(**settings):
    return Network(150, LAYERS, cost="softmax_cross_entropy", **settings)


@pytest.mark.parametrize("threads", [1, 2])
def test_several_threads_with_a_network_each(data, threads):
    def train(seed):
        one = network(threads=threads, seed=seed)
        for _ in range(20):
            one.step(*data)
        return one

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(train, range(8)))
    assert all(same_state(one, train(seed)) for seed, one in enumerate(found))


@pytest.mark.parametrize("threads", [1, 2])
def test_several_threads_with_one_network(data, threads):
    one, stop = network(threads=threads, optimizer=Sgd(0.01, momentum=0.9)), threading.Event()

    def read():
        count = 0
        while not stop.is_set():
            assert one.predict(data[0]).shape == (200, 10) and one.steps >= 0 and repr(one)
            one.state_dict()
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        writers = [pool.submit(lambda: [one.step(*data) for _ in range(50)]) for _ in range(2)]
        costs = [writer.result() for writer in writers]
        stop.set()
        assert all(reader.result() >= 0 for reader in readers)
    assert one.steps == 100 and np.isfinite(costs).all()
    # Steps on the same batch are the same in any order.
    expected = network(optimizer=Sgd(0.01, momentum=0.9))
    for _ in range(100):
        expected.step(*data)
    assert same_state(one, expected)


def test_other_threads_run_while_a_network_trains(data):
    one, others = network(), []
    thread = threading.Thread(target=lambda: others.append(one.steps))

    def on_epoch(epoch):
        if epoch.number == 1:
            thread.start()
        thread.join(0)
        return bool(others)

    history = one.fit(*data, epochs=100_000, on_epoch=on_epoch)
    thread.join()
    assert history.end == "callback"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_computes_the_same(data):
    one = network(threads=2)
    one.step(*data)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            one.step(*data)
            fresh = network(threads=2, seed=9)
            fresh.fit(*data, epochs=2)
            with os.fdopen(write, "wb") as file:
                file.write(one.predict(data[0]).tobytes() + fresh.predict(data[0]).tobytes())
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        found = file.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    one.step(*data)
    fresh = network(seed=9)
    fresh.fit(*data, epochs=2)
    assert found == one.predict(data[0]).tobytes() + fresh.predict(data[0]).tobytes()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_that_is_forked_while_a_thread_trains_does_not_hang(data):
    one, started, stop = network(), threading.Event(), threading.Event()

    def on_epoch(epoch):
        started.set()
        return stop.is_set()

    thread = threading.Thread(target=one.fit, args=data, kwargs={"epochs": 10**9, "on_epoch": on_epoch})
    thread.start()
    started.wait()
    exits = []
    for _ in range(5):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                one.step(*data)
                status = 0
            except RuntimeError as error:
                status = 0 if "forked" in str(error) else 2
            finally:
                os._exit(status)
        exits.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    stop.set()
    thread.join()
    assert exits == [0] * 5


def test_arrays_that_change_meanwhile_harm_nobody(data):
    x, labels = data
    one, shared, values, stop = network(), labels.copy(), x.copy(), threading.Event()

    def change():
        while not stop.is_set():
            shared[...] = 10**9
            values[...] = np.nan
            shared[...] = labels
            values[...] = x

    thread = threading.Thread(target=change)
    thread.start()
    outcomes = []
    for _ in range(300):
        for call in (one.step, one.evaluate, lambda x, labels: one.fit(x, labels, epochs=1)):
            try:
                outcomes.append(call(values, shared))
            except ValueError as error:
                outcomes.append(error)
    stop.set()
    thread.join()
    assert len(outcomes) == 900
    assert np.isfinite(one.step(x, labels))


def test_an_interpreter_ends_while_a_thread_trains():
    program = """
import threading, numpy as np, fused_dense
network = fused_dense.Network(150, [(300, "relu"), (10, "identity")], cost="softmax_cross_entropy", threads=2)
x, labels = np.ones((200, 150), np.float32), np.zeros(200, int)
started = threading.Event()
def train():
    network.fit(x, labels, epochs=10**9, on_epoch=lambda epoch: started.set())
threading.Thread(target=train, daemon=True).start()
started.wait()
print("done")
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert (found.returncode, found.stdout, found.stderr) == (0, "done\n", "")


class Alarm(Exception):
    pass


@pytest.fixture
def interrupt_soon():
    """Sends the signal of Ctrl-C to this process in a moment."""
    if not hasattr(signal, "setitimer"):
        pytest.skip("no timers")

    def soon():
        signal.setitimer(signal.ITIMER_REAL, 0.2)

    before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    former = signal.getsignal(signal.SIGINT)
    if former is signal.SIG_IGN:
        # A shell has started the tests in the background: the signal would be lost, and a fit without end.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield soon
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    signal.signal(signal.SIGINT, former)


def test_control_c_ends_a_fit(data, interrupt_soon):
    one = network()
    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        one.fit(*data, epochs=10**9, batch=1)
    assert one.steps > 0
    assert np.isfinite(one.step(*data)), "the network can still be used"


def test_control_c_ends_a_train_and_is_reported(data, interrupt_soon):
    one, losses = network(), []
    order = np.tile(np.arange(200), 500_000)

    def next_order(loss):
        losses.append(loss)
        return order

    interrupt_soon()
    assert one._train(*data, None, 1, 0.0, "cost", next_order) is False
    assert losses == [None], "the first epoch was not over"
    assert 0 < one.steps < len(order)
    assert np.isfinite(one.step(*data)), "the network can still be used"


def test_other_handlers_may_raise_and_use_the_network(data, interrupt_soon):
    one = network()

    def handler(*_):
        one.predict(data[0])
        raise Alarm

    signal.signal(signal.SIGALRM, handler)
    interrupt_soon()
    with pytest.raises(Alarm):
        one._train(*data, None, 1, 0.0, "cost", lambda loss: np.tile(np.arange(200), 500_000))
    interrupt_soon()
    with pytest.raises(Alarm):
        one.fit(*data, epochs=10**9)


def test_the_same_bits_on_any_number_of_threads(data):
    found = []
    for threads in (1, 2, 3):
        one = network(threads=threads)
        one.fit(*data, epochs=3, batch=64)
        orders = iter([np.arange(200), np.arange(200)[::-1], None])
        one._train(*data, None, 64, 1e-4, "cost", lambda loss: next(orders))
        found.append(one)
    assert same_state(found[0], found[1]) and same_state(found[0], found[2])
    assert same_bits(found[0]._predict_rows(data[0]), found[2]._predict_rows(data[0]))
