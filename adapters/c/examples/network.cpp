// A network in C++: owners, exceptions, a cost of one's own, and inference by several threads at once.
//
//     c++ -std=c++17 network.cpp $(pkg-config --cflags --libs fused_dense) -pthread -o network && ./network

#include <fused_dense.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <thread>

namespace fd = fused_dense;

namespace {

fd::network make_network(const fd::team &team, const fd_adam &adam) {
    fd_layer layers[2] = {FD_LAYER_DEFAULTS, FD_LAYER_DEFAULTS};
    layers[0].outputs = 16;
    layers[0].activation = FD_ACTIVATION_TANH;
    layers[1].outputs = 2;
    fd_network_options options = FD_NETWORK_OPTIONS_DEFAULTS;
    options.inputs = 2;
    options.layers = layers;
    options.layer_count = 2;
    options.cost = FD_COST_SOFTMAX_CROSS_ENTROPY;
    options.adam = &adam;
    options.team = team.get();
    return fd::network(options);
}

// Exclusive or, and a copy that does not learn with the original.
bool learns() {
    const fd::team team(2);
    fd_adam adam = FD_ADAM_DEFAULTS;
    adam.learning_rate = 0.05f;
    fd::network network = make_network(team, adam);
    const fd::network untrained = network;

    const std::vector<float> x{0, 0, 0, 1, 1, 0, 1, 1};
    const std::vector<int> labels{0, 1, 1, 0};
    double cost = 0.0;
    for (int step = 0; step < 200; step++) cost = network.step(fd::rows(x, 2), fd::classes(labels));
    const fd_evaluation after = network.evaluate(fd::rows(x, 2), fd::classes(labels));
    std::cout << "exclusive or: cost " << cost << ", accuracy " << after.accuracy << " after " << network.info().steps
              << " steps\n";

    // A const network is shared.
    std::vector<std::vector<std::uint32_t>> read(4);
    std::vector<std::thread> threads;
    for (auto &place : read) {
        threads.emplace_back([&] { place = network.predict_classes(fd::rows(x, 2)); });
    }
    for (auto &thread : threads) thread.join();
    for (const auto &found : read) {
        if (found != std::vector<std::uint32_t>{0, 1, 1, 0}) return false;
    }
    return after.accuracy == 1.0 && untrained.info().steps == 0
           && untrained.array(0, FD_ARRAY_W) != network.array(0, FD_ARRAY_W);
}

// The distance to a point, by a function of the caller's own, which may throw.
bool descends_an_own_cost() {
    fd_layer layer = FD_LAYER_DEFAULTS;
    layer.outputs = 2;
    fd_sgd sgd = FD_SGD_DEFAULTS;
    sgd.learning_rate = 0.1f;
    fd_network_options options = FD_NETWORK_OPTIONS_DEFAULTS;
    options.inputs = 1;
    options.layers = &layer;
    options.layer_count = 1;
    options.sgd = &sgd;
    fd::network network(options);

    const std::vector<float> x{1.0f};
    const auto cost = [](const float *a, float *d_a, std::size_t, std::size_t) {
        const float to[] = {3.0f, -4.0f};
        double sum = 0.0;
        for (int i = 0; i < 2; i++) {
            d_a[i] = a[i] - to[i];
            sum += 0.5 * d_a[i] * d_a[i];
        }
        return sum;
    };
    double last = 0.0;
    for (int step = 0; step < 100; step++) last = network.step_own(fd::rows(x, 1), FD_OWN_COST_BY_A, cost);
    const std::vector<float> a = network.predict(fd::rows(x, 1));
    std::cout << "a cost of one's own: " << last << " at (" << a[0] << ", " << a[1] << ")\n";

    const std::vector<float> before = network.array(0, FD_ARRAY_W);
    try {
        network.step_own(fd::rows(x, 1), FD_OWN_COST_BY_A,
                         [](const float *, float *, std::size_t, std::size_t) -> double { throw std::logic_error("no cost"); });
        return false;
    } catch (const std::logic_error &error) {
        std::cout << "thrown through the call: " << error.what() << "\n";
    }
    return std::fabs(a[0] - 3.0f) < 1e-2f && std::fabs(a[1] + 4.0f) < 1e-2f && network.array(0, FD_ARRAY_W) == before;
}

bool refuses() {
    fd_dense_options options = FD_DENSE_OPTIONS_DEFAULTS;
    options.inputs = 2;
    options.outputs = 1;
    options.activation_name = "relu";
    const fd::dense layer(options);
    const std::vector<float> x{1, 2}, w{1, 1, 1};
    std::vector<float> a(1, 7.0f);
    try {
        layer.forward(fd::rows(x, 2), fd::rows(w, 3), nullptr, fd::rows(a, 1));
        return false;
    } catch (const fd::error &error) {
        std::cout << fd_status_name(error.status()) << ": " << error.what() << "\n";
        return error.status() == FD_ERROR_SHAPE && a[0] == 7.0f;
    }
}

} // namespace

int main() {
    try {
        return learns() && descends_an_own_cost() && refuses() ? EXIT_SUCCESS : EXIT_FAILURE;
    } catch (const std::exception &error) {
        std::cerr << "error: " << error.what() << "\n";
        return EXIT_FAILURE;
    }
}
