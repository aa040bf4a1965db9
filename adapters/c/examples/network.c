/* Learns on which of three rings a point lies: a network that trains, is saved, and reads points that it has not seen.
 *
 *     cc network.c $(pkg-config --cflags --libs fused_dense) -lm -o network && ./network
 */

#include "support.h"

#include <math.h>

enum { CLASSES = 3, TRAIN = 600, TEST = 300, BATCH = 50, EPOCHS = 60 };

static const float WANTED_ACCURACY = 0.97f;

/* Points of all classes in turn, with their classes. */
static void make_points(uint64_t *state, size_t count, float *points, uint8_t *labels) {
    for (size_t i = 0; i < count; i++) {
        labels[i] = (uint8_t)(i % CLASSES);
        const float radius = 1.0f + (float)labels[i] + 0.5f * (random_unit(state) - 0.5f);
        const float angle = 6.2831853f * random_unit(state);
        points[2 * i] = radius * cosf(angle);
        points[2 * i + 1] = radius * sinf(angle);
    }
}

static fd_targets classes(const uint8_t *labels, size_t count) {
    fd_targets targets = FD_TARGETS_DEFAULTS;
    targets.classes = labels;
    targets.class_count = count;
    targets.class_type = FD_CLASS_TYPE_U8;
    return targets;
}

static fd_network *make_network(void) {
    fd_layer layers[3] = {FD_LAYER_DEFAULTS, FD_LAYER_DEFAULTS, FD_LAYER_DEFAULTS};
    layers[0].outputs = 32;
    layers[0].activation = FD_ACTIVATION_RELU;
    layers[1].outputs = 32;
    layers[1].activation_name = "leaky relu(0.1)";
    layers[2].outputs = CLASSES;

    fd_adam adam = FD_ADAM_DEFAULTS;
    adam.learning_rate = 0.01f;

    fd_network_options options = FD_NETWORK_OPTIONS_DEFAULTS;
    options.inputs = 2;
    options.layers = layers;
    options.layer_count = 3;
    options.cost = FD_COST_SOFTMAX_CROSS_ENTROPY;
    options.adam = &adam;
    options.seed = 7;

    fd_network *network = NULL;
    check(fd_network_new(&options, &network));
    return network;
}

/* The accuracy on points that nobody trains on. */
static double accuracy(const fd_network *network, const float *points, const uint8_t *labels, size_t count) {
    const fd_matrix x = fd_rows(points, count, 2);
    const fd_targets targets = classes(labels, count);
    fd_evaluation found;
    found.size = sizeof found;
    check(fd_network_evaluate(network, &x, &targets, &found));
    return found.accuracy;
}

int main(int argc, char **argv) {
    static float train[2 * TRAIN], test[2 * TEST];
    static uint8_t train_labels[TRAIN], test_labels[TEST];
    const char *path = argc > 1 ? argv[1] : "network.safetensors";
    uint64_t state = 1;
    make_points(&state, TRAIN, train, train_labels);
    make_points(&state, TEST, test, test_labels);

    printf("fused-dense %s\n", fd_version());
    if (fd_abi_version() != FD_ABI_VERSION) {
        fprintf(stderr, "expected the binary interface %d, found %d\n", FD_ABI_VERSION, (int)fd_abi_version());
        return EXIT_FAILURE;
    }
    fd_network *network = make_network();
    printf("before training: %.1f %%\n", 100.0 * accuracy(network, test, test_labels, TEST));
    for (int epoch = 1; epoch <= EPOCHS; epoch++) {
        double sum = 0.0;
        for (size_t start = 0; start < TRAIN; start += BATCH) {
            const fd_matrix x = fd_rows(train + 2 * start, BATCH, 2);
            const fd_targets targets = classes(train_labels + start, BATCH);
            double cost = 0.0;
            check(fd_network_step(network, &x, &targets, &cost));
            sum += cost;
        }
        if (epoch % 20 == 0) printf("epoch %d: cost %.4f\n", epoch, sum / (TRAIN / BATCH));
    }
    const double reached = accuracy(network, test, test_labels, TEST);
    printf("after training: %.1f %%\n", 100.0 * reached);

    /* Another network reads the file, and answers alike. */
    check(fd_network_save(network, path));
    fd_network *same = make_network();
    check(fd_network_load(same, path));
    static uint32_t read[TEST], read_by_same[TEST];
    const fd_matrix x = fd_rows(test, TEST, 2);
    check(fd_network_predict_classes(network, &x, read, TEST));
    check(fd_network_predict_classes(same, &x, read_by_same, TEST));
    size_t different = 0;
    for (size_t i = 0; i < TEST; i++) different += read[i] != read_by_same[i];
    printf("read from %s: %d of %d points differ\n", path, (int)different, TEST);
    remove(path);

    fd_network_free(same);
    fd_network_free(network);
    return reached >= WANTED_ACCURACY && different == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
