/* Networks refuse bad input with a status and a reason, and change nothing then. The calls of training give what the others say. */

#include "expect.h"

#include <math.h>
#include <stdint.h>

static const float x[8] = {0, 0, 0, 1, 1, 0, 1, 1}, y[4] = {0, 1, 1, 0};
static const uint8_t labels[4] = {0, 1, 1, 0};

static fd_network_options options_of(const fd_layer *layers, size_t count) {
    fd_network_options options = FD_NETWORK_OPTIONS_DEFAULTS;
    options.inputs = 2;
    options.layers = layers;
    options.layer_count = count;
    return options;
}

static fd_network *make(fd_cost cost) {
    fd_layer layers[2] = {FD_LAYER_DEFAULTS, FD_LAYER_DEFAULTS};
    layers[0].outputs = 4;
    layers[0].activation = FD_ACTIVATION_TANH;
    layers[1].outputs = cost == FD_COST_SOFTMAX_CROSS_ENTROPY ? 2 : 1;
    fd_network_options options = options_of(layers, 2);
    options.cost = cost;
    options.max_batch = 8;
    fd_network *network = NULL;
    WORKS(fd_network_new(&options, &network));
    return network;
}

static fd_targets values(const float *data, size_t count) {
    fd_targets targets = FD_TARGETS_DEFAULTS;
    targets.values = data;
    targets.value_count = count;
    return targets;
}

static fd_targets classes(const void *data, size_t count, fd_class_type type) {
    fd_targets targets = FD_TARGETS_DEFAULTS;
    targets.classes = data;
    targets.class_count = count;
    targets.class_type = type;
    return targets;
}

static void options_are_checked(void) {
    fd_network *network = NULL;
    fd_layer layer = FD_LAYER_DEFAULTS;
    layer.outputs = 1;
    const fd_network_options good = options_of(&layer, 1);
    fd_network_options options = good;
    REFUSED(FD_ERROR_NULL, "options: ", fd_network_new(NULL, &network));
    REFUSED(FD_ERROR_NULL, "network: ", fd_network_new(&options, NULL));
    options.layer_count = 0;
    REFUSED(FD_ERROR_MISMATCH, "expected at least one layer", fd_network_new(&options, &network));
    options.layer_count = SIZE_MAX;
    REFUSED(FD_ERROR_SHAPE, "layers: ", fd_network_new(&options, &network));
    options = good;
    options.layers = NULL;
    REFUSED(FD_ERROR_NULL, "layers: ", fd_network_new(&options, &network));
    options = good;
    options.layer_size = 3;
    REFUSED(FD_ERROR_STRUCT_SIZE, "layer_size: ", fd_network_new(&options, &network));
    options = good;
    options.cost = 3;
    REFUSED(FD_ERROR_ENUM, "cost: expected a value from 0 to 2", fd_network_new(&options, &network));
    options.cost = FD_COST_BINARY_CROSS_ENTROPY;
    REFUSED(FD_ERROR_MISMATCH, "expected sigmoid activation", fd_network_new(&options, &network));
    options = good;
    layer.activation = -7;
    REFUSED(FD_ERROR_ENUM, "layers[0]: activation: ", fd_network_new(&options, &network));
    layer.activation = FD_ACTIVATION_LEAKY_RELU;
    const float slope = NAN;
    layer.parameter = &slope;
    REFUSED(FD_ERROR_SETTING, "layer 0: activation: ", fd_network_new(&options, &network));
    layer.parameter = NULL;
    options.init = "xavier";
    REFUSED(FD_ERROR_TEXT, "found \"xavier\"", fd_network_new(&options, &network));
    options.init = "uniform(-1)";
    REFUSED(FD_ERROR_SETTING, "limit", fd_network_new(&options, &network));
    options = good;
    options.max_batch = SIZE_MAX;
    REFUSED(FD_ERROR_MEMORY, "batches of", fd_network_new(&options, &network));
    EXPECT(network == NULL);
    fd_network_free(NULL);
}

static void settings_are_checked(void) {
    fd_network *network = NULL;
    fd_layer layer = FD_LAYER_DEFAULTS;
    layer.outputs = 1;
    const fd_network_options good = options_of(&layer, 1);
    fd_network_options options = good;
    const float weights[2] = {1, NAN};
    options.class_weights = weights;
    options.class_weight_count = 1;
    options.positive_weight = &weights[0];
    REFUSED(FD_ERROR_MISMATCH, "positive_weight: ", fd_network_new(&options, &network));
    options.positive_weight = NULL;
    options.class_weight_count = 2;
    REFUSED(FD_ERROR_SHAPE, "class_weights: ", fd_network_new(&options, &network));
    options.class_weights = weights + 1;
    options.class_weight_count = 1;
    REFUSED(FD_ERROR_VALUE, "class_weights: ", fd_network_new(&options, &network));
    options = good;
    fd_adam adam = FD_ADAM_DEFAULTS;
    fd_sgd sgd = FD_SGD_DEFAULTS;
    options.adam = &adam;
    options.sgd = &sgd;
    REFUSED(FD_ERROR_ARGUMENT, "found several", fd_network_new(&options, &network));
    options.sgd = NULL;
    float *const settings[] = {&adam.learning_rate, &adam.beta1, &adam.beta2, &adam.epsilon, &adam.weight_decay};
    for (size_t i = 0; i < 5; i++) {
        const float usual = *settings[i];
        *settings[i] = NAN;
        REFUSED(FD_ERROR_SETTING, "found NaN", fd_network_new(&options, &network));
        *settings[i] = usual;
    }
    EXPECT(network == NULL);
}

static void layers_may_have_options_of_their_own(void) {
    fd_network *network = NULL;
    fd_dense_options of_dense = FD_DENSE_OPTIONS_DEFAULTS;
    of_dense.inputs = 3;
    of_dense.outputs = 1;
    of_dense.isa = FD_ISA_PORTABLE;
    fd_dense *dense = NULL;
    WORKS(fd_dense_new(&of_dense, &dense));
    fd_layer given = FD_LAYER_DEFAULTS;
    given.dense = dense;
    fd_network_options options = options_of(&given, 1);
    REFUSED(FD_ERROR_MISMATCH, "expected layer 0 to take the 2 outputs", fd_network_new(&options, &network));
    options.inputs = 3;
    given.outputs = 1;
    REFUSED(FD_ERROR_ARGUMENT, "layers[0]: dense: expected the other fields", fd_network_new(&options, &network));
    given.outputs = 0;
    WORKS(fd_network_new(&options, &network));
    fd_dense_free(dense);
    fd_dense_info info;
    info.size = sizeof info;
    WORKS(fd_network_get_layer_info(network, 0, &info));
    EXPECT(info.isa == FD_ISA_PORTABLE && info.inputs == 3);
    REFUSED(FD_ERROR_ARGUMENT, "layer: expected a number below 1, found 1", fd_network_get_layer_info(network, 1, &info));
    fd_network_free(network);
}

static void targets_are_checked(void) {
    fd_network *network = make(FD_COST_SOFTMAX_CROSS_ENTROPY);
    const fd_matrix in = fd_rows(x, 4, 2);
    fd_targets targets = classes(labels, 4, FD_CLASS_TYPE_U8);
    double cost = -1.0;
    REFUSED(FD_ERROR_NULL, "network: ", fd_network_step(NULL, &in, &targets, &cost));
    REFUSED(FD_ERROR_NULL, "x: ", fd_network_step(network, NULL, &targets, &cost));
    REFUSED(FD_ERROR_NULL, "targets: ", fd_network_step(network, &in, NULL, &cost));
    targets.values = y;
    targets.value_count = 4;
    REFUSED(FD_ERROR_ARGUMENT, "targets: expected one of values, classes, found several",
            fd_network_step(network, &in, &targets, &cost));
    const fd_targets none = FD_TARGETS_DEFAULTS;
    REFUSED(FD_ERROR_ARGUMENT, "targets: expected one of values, classes, found none",
            fd_network_step(network, &in, &none, &cost));
    targets = classes(labels, 4, 6);
    REFUSED(FD_ERROR_ENUM, "class_type: ", fd_network_step(network, &in, &targets, &cost));
    targets = classes(labels, 3, FD_CLASS_TYPE_U8);
    REFUSED(FD_ERROR_SHAPE, "targets: expected 4", fd_network_step(network, &in, &targets, &cost));
    targets = classes(NULL, 4, FD_CLASS_TYPE_U8);
    REFUSED(FD_ERROR_NULL, "classes: ", fd_network_step(network, &in, &targets, &cost));
    const int64_t wrong[4] = {0, 1, -1, 0};
    targets = classes(wrong, 4, FD_CLASS_TYPE_I64);
    REFUSED(FD_ERROR_VALUE, "sample 2, found -1", fd_network_step(network, &in, &targets, &cost));
    targets = classes((const char *)wrong + 1, 2, FD_CLASS_TYPE_I32);
    REFUSED(FD_ERROR_MISALIGNED, "classes: ", fd_network_step(network, &in, &targets, &cost));
    const float half[8] = {0.5f, 0.5f, 0.5f, 0.4f, 0, 1, 1, 0};
    targets = values(half, 8);
    REFUSED(FD_ERROR_VALUE, "sample 1", fd_network_step(network, &in, &targets, &cost));
    targets = classes(labels, 4, FD_CLASS_TYPE_U8);
    const float weights[4] = {1, NAN, 0, 0};
    targets.sample_weights = weights;
    targets.sample_weight_count = 4;
    REFUSED(FD_ERROR_VALUE, "sample_weights: ", fd_network_step(network, &in, &targets, &cost));
    targets.sample_weight_count = 1;
    REFUSED(FD_ERROR_SHAPE, "sample_weights: ", fd_network_step(network, &in, &targets, &cost));
    targets.sample_weights = NULL;
    REFUSED(FD_ERROR_NULL, "sample_weights: ", fd_network_step(network, &in, &targets, &cost));
    targets = classes(labels, 4, FD_CLASS_TYPE_U8);
    double *odd = (double *)(void *)((char *)&cost + 1);
    REFUSED(FD_ERROR_MISALIGNED, "cost: ", fd_network_step(network, &in, &targets, odd));
    EXPECT(cost == -1.0);
    fd_network_free(network);
}

static void steps_are_refused_as_a_whole(void) {
    fd_network *network = make(FD_COST_SOFTMAX_CROSS_ENTROPY);
    const fd_targets targets = classes(labels, 4, FD_CLASS_TYPE_U8);
    double cost = -1.0;
    static float many[18];
    const fd_matrix nine = fd_rows(many, 9, 2);
    REFUSED(FD_ERROR_SHAPE, "expected a batch of at most 8", fd_network_step(network, &nine, &targets, &cost));
    many[0] = INFINITY;
    const fd_matrix four = fd_rows(many, 4, 2);
    REFUSED(FD_ERROR_NOT_FINITE, "found infinity or NaN", fd_network_step(network, &four, &targets, &cost));
    fd_network_info info;
    info.size = sizeof info;
    WORKS(fd_network_get_info(network, &info));
    EXPECT(cost == -1.0 && info.steps == 0 && info.layer_count == 2 && info.parameter_count == 12 + 10);
    EXPECT(info.inputs == 2 && info.outputs == 2 && info.max_batch == 8 && info.state_arrays == 2);
    EXPECT(info.cost == FD_COST_SOFTMAX_CROSS_ENTROPY && info.learning_rate == 0.001f && info.has_gradients == 0);
    fd_network_free(network);
}

/* Each type of classes gives the same step. */
static void classes_come_in_any_type(void) {
    fd_network *network = make(FD_COST_SOFTMAX_CROSS_ENTROPY);
    const fd_matrix in = fd_rows(x, 4, 2);
    const uint16_t u16[4] = {0, 1, 1, 0};
    const uint32_t u32[4] = {0, 1, 1, 0};
    const uint64_t u64[4] = {0, 1, 1, 0};
    const int32_t i32[4] = {0, 1, 1, 0};
    const int64_t i64[4] = {0, 1, 1, 0};
    const void *arrays[] = {labels, u16, u32, u64, i32, i64};
    double first = 0.0, cost = 0.0;
    for (int32_t type = FD_CLASS_TYPE_U8; type <= FD_CLASS_TYPE_I64; type++) {
        fd_network *copy = NULL;
        WORKS(fd_network_clone(network, &copy));
        const fd_targets targets = classes(arrays[type], 4, type);
        WORKS(fd_network_step(copy, &in, &targets, NULL));
        WORKS(fd_network_step(copy, &in, &targets, &cost));
        if (type == FD_CLASS_TYPE_U8) first = cost;
        EXPECT(cost == first && cost > 0.0);
        fd_network_free(copy);
    }
    fd_network_free(network);
}

static void outputs_are_checked(void) {
    fd_network *network = make(FD_COST_SOFTMAX_CROSS_ENTROPY);
    float data[16] = {0, 0, 0, 1, 1, 0, 1, 1, 9, 9, 9, 9, 9, 9, 9, 9};
    const fd_matrix in = fd_rows(data, 4, 2);
    REFUSED(FD_ERROR_NULL, "a: ", fd_network_predict(network, &in, NULL, 8));
    REFUSED(FD_ERROR_SHAPE, "a: expected 8 elements, found 7", fd_network_predict(network, &in, data + 8, 7));
    REFUSED(FD_ERROR_SHAPE, "a: expected elements that fit memory", fd_network_predict(network, &in, data + 8, SIZE_MAX));
    REFUSED(FD_ERROR_OVERLAP, "a: expected memory apart from that of x", fd_network_predict(network, &in, data + 7, 8));
    REFUSED(FD_ERROR_OVERLAP, "p: expected memory", fd_network_predict_probabilities(network, &in, data + 7, 8));
    uint32_t found[4];
    REFUSED(FD_ERROR_SHAPE, "classes: ", fd_network_predict_classes(network, &in, found, 3));
    REFUSED(FD_ERROR_NULL, "network: ", fd_network_predict_classes(NULL, &in, found, 4));
    EXPECT(data[8] == 9.0f && data[15] == 9.0f);
    WORKS(fd_network_predict(network, &in, data + 8, 8));
    WORKS(fd_network_predict_classes(network, &in, found, 4));
    for (size_t i = 0; i < 4; i++) EXPECT(found[i] == (data[9 + 2 * i] > data[8 + 2 * i]));
    WORKS(fd_network_predict_probabilities(network, &in, data + 8, 8));
    EXPECT(fabsf(data[8] + data[9] - 1.0f) < 1e-6f);

    const fd_targets targets = classes(labels, 4, FD_CLASS_TYPE_U8);
    fd_evaluation evaluation;
    evaluation.size = sizeof evaluation;
    REFUSED(FD_ERROR_NULL, "evaluation: ", fd_network_evaluate(network, &in, &targets, NULL));
    WORKS(fd_network_evaluate(network, &in, &targets, &evaluation));
    EXPECT(evaluation.has_accuracy == 1 && evaluation.accuracy >= 0.0 && evaluation.cost > 0.0);
    const float rows[8] = {1, 0, 0, 1, 0, 1, 1, 0};
    const fd_targets of_rows = values(rows, 8);
    const double cost = evaluation.cost;
    WORKS(fd_network_evaluate(network, &in, &of_rows, &evaluation));
    EXPECT(evaluation.has_accuracy == 0 && isnan(evaluation.accuracy) && fabs(evaluation.cost - cost) < 1e-12);
    fd_network_free(network);
}

static void arrays_are_copied(void) {
    fd_network *network = make(FD_COST_QUADRATIC);
    float w[8], b[4];
    REFUSED(FD_ERROR_ENUM, "array: ", fd_network_get_array(network, 0, 8, w, 8));
    REFUSED(FD_ERROR_ARGUMENT, "layer: ", fd_network_get_array(network, 2, FD_ARRAY_W, w, 8));
    REFUSED(FD_ERROR_SHAPE, "values: expected 8 elements, found 7", fd_network_get_array(network, 0, FD_ARRAY_W, w, 7));
    REFUSED(FD_ERROR_NULL, "values: ", fd_network_get_array(network, 0, FD_ARRAY_W, NULL, 8));
    REFUSED(FD_ERROR_NO_GRADIENTS, "expected gradients", fd_network_get_array(network, 0, FD_ARRAY_D_W, w, 8));
    REFUSED(FD_ERROR_ARGUMENT, "found a gradient", fd_network_set_array(network, 0, FD_ARRAY_D_W, w, 8));
    WORKS(fd_network_get_array(network, 0, FD_ARRAY_W, w, 8));
    for (size_t i = 0; i < 8; i++) w[i] *= 2.0f;
    WORKS(fd_network_set_array(network, 0, FD_ARRAY_W, w, 8));
    float again[8];
    WORKS(fd_network_get_array(network, 0, FD_ARRAY_W, again, 8));
    EXPECT(memcmp(w, again, sizeof w) == 0);
    WORKS(fd_network_get_array(network, 0, FD_ARRAY_B_STATE_1, b, 4));
    EXPECT(b[0] == 0.0f);
    fd_layer layer = FD_LAYER_DEFAULTS;
    layer.outputs = 1;
    fd_sgd sgd = FD_SGD_DEFAULTS;
    fd_network_options options = options_of(&layer, 1);
    options.sgd = &sgd;
    fd_network *plain = NULL;
    WORKS(fd_network_new(&options, &plain));
    REFUSED(FD_ERROR_MISMATCH, "array: expected one that the network's optimiser keeps",
            fd_network_get_array(plain, 0, FD_ARRAY_W_STATE_0, w, 2));
    fd_network_free(plain);
    fd_network_free(network);
}

/* The calls in parts give the bits of a step. */
static void steps_in_parts(void) {
    fd_network *whole = make(FD_COST_QUADRATIC), *parts = NULL;
    WORKS(fd_network_clone(whole, &parts));
    const fd_matrix in = fd_rows(x, 4, 2);
    const fd_targets targets = values(y, 4);
    double norm = 0.0, cost = 0.0, of_parts = 0.0;
    REFUSED(FD_ERROR_NO_GRADIENTS, "", fd_network_apply_gradients(parts));
    REFUSED(FD_ERROR_NO_GRADIENTS, "", fd_network_clip_gradients(parts, 1.0f, &norm));
    WORKS(fd_network_step(whole, &in, &targets, &cost));
    REFUSED(FD_ERROR_SETTING, "samples", fd_network_accumulate(parts, &in, &targets, NAN, NULL));
    WORKS(fd_network_accumulate(parts, &in, &targets, 4.0f, &of_parts));
    REFUSED(FD_ERROR_SETTING, "max_norm", fd_network_clip_gradients(parts, NAN, &norm));
    WORKS(fd_network_clip_gradients(parts, 1e6f, &norm));
    EXPECT(fabs(cost - of_parts) < 1e-12 && norm > 0.0);
    WORKS(fd_network_apply_gradients(parts));
    REFUSED(FD_ERROR_NO_GRADIENTS, "", fd_network_apply_gradients(parts));
    float w[2][8];
    WORKS(fd_network_get_array(whole, 0, FD_ARRAY_W, w[0], 8));
    WORKS(fd_network_get_array(parts, 0, FD_ARRAY_W, w[1], 8));
    EXPECT(memcmp(w[0], w[1], sizeof w[0]) == 0);

    /* A gradient against the slope of the cost. */
    WORKS(fd_network_gradients(parts, &in, &targets, &cost));
    float gradient[8];
    WORKS(fd_network_get_array(parts, 0, FD_ARRAY_D_W, gradient, 8));
    const float step = 1e-2f, value = w[1][3];
    double costs[2];
    for (int side = 0; side < 2; side++) {
        fd_evaluation found;
        found.size = sizeof found;
        w[1][3] = side == 0 ? value - step : value + step;
        WORKS(fd_network_set_array(parts, 0, FD_ARRAY_W, w[1], 8));
        WORKS(fd_network_evaluate(parts, &in, &targets, &found));
        costs[side] = found.cost;
    }
    EXPECT(fabs((costs[1] - costs[0]) / (2.0 * (double)step) - (double)gradient[3]) < 1e-3);

    REFUSED(FD_ERROR_SETTING, "learning_rate", fd_network_set_learning_rate(whole, NAN));
    WORKS(fd_network_set_learning_rate(whole, 0.5f));
    WORKS(fd_network_set_steps(whole, 41));
    fd_sgd sgd = FD_SGD_DEFAULTS;
    fd_adam adam = FD_ADAM_DEFAULTS;
    REFUSED(FD_ERROR_ARGUMENT, "found none", fd_network_set_optimizer(whole, NULL, NULL));
    REFUSED(FD_ERROR_MISMATCH, "state arrays", fd_network_set_optimizer(whole, &sgd, NULL));
    adam.learning_rate = NAN;
    REFUSED(FD_ERROR_SETTING, "learning_rate", fd_network_set_optimizer(whole, NULL, &adam));
    adam.learning_rate = 0.25f;
    fd_network_info info;
    info.size = sizeof info;
    WORKS(fd_network_get_info(whole, &info));
    EXPECT(info.learning_rate == 0.5f && info.steps == 41);
    WORKS(fd_network_set_optimizer(whole, NULL, &adam));
    WORKS(fd_network_get_info(whole, &info));
    EXPECT(info.learning_rate == 0.25f && info.steps == 41);
    fd_network_free(parts);
    fd_network_free(whole);
}

static void files_are_checked(void) {
    fd_network *network = make(FD_COST_QUADRATIC), *other = make(FD_COST_SOFTMAX_CROSS_ENTROPY), *same = NULL;
    const char *path = "network_input.safetensors";
    const fd_matrix in = fd_rows(x, 4, 2);
    const fd_targets targets = values(y, 4);
    REFUSED(FD_ERROR_NULL, "path: ", fd_network_save(network, NULL));
    REFUSED(FD_ERROR_IO, "no such folder", fd_network_save(network, "no such folder/x"));
    REFUSED(FD_ERROR_IO, "no such file", fd_network_load(network, "no such file"));
    FILE *file = fopen(path, "wb");
    EXPECT(file != NULL && fputs("no tensors", file) >= 0 && fclose(file) == 0);
    REFUSED(FD_ERROR_FORMAT, path, fd_network_load(network, path));
    WORKS(fd_network_clone(network, &same));
    WORKS(fd_network_step(network, &in, &targets, NULL));
    WORKS(fd_network_save(network, path));
    REFUSED(FD_ERROR_FORMAT, "expected the shape", fd_network_load(other, path));
    REFUSED(FD_ERROR_FORMAT, "metadata", fd_network_load_checkpoint(same, path));
    WORKS(fd_network_save_checkpoint(network, path));
    WORKS(fd_network_load_checkpoint(same, path));
    double costs[2];
    WORKS(fd_network_step(network, &in, &targets, NULL));
    WORKS(fd_network_step(same, &in, &targets, NULL));
    WORKS(fd_network_step(network, &in, &targets, &costs[0]));
    WORKS(fd_network_step(same, &in, &targets, &costs[1]));
    EXPECT(costs[0] == costs[1]);
    remove(path);
    fd_network_free(same);
    fd_network_free(other);
    fd_network_free(network);
}

struct own {
    fd_network *network;
    double cost;
    int calls;
    size_t batch, outputs;
    fd_status within;
};

static double own_cost(void *user, const float *output, float *gradient, size_t batch, size_t outputs) {
    struct own *own = user;
    own->calls++;
    own->batch = batch;
    own->outputs = outputs;
    float a[4];
    const fd_matrix in = fd_rows(x, 4, 2);
    own->within = fd_network_predict(own->network, &in, a, 4);
    for (size_t i = 0; i < batch * outputs; i++) gradient[i] = output[i] - y[i];
    return own->cost;
}

static void own_costs(void) {
    fd_network *network = make(FD_COST_QUADRATIC);
    const fd_matrix in = fd_rows(x, 4, 2);
    struct own own = {network, 1.5, 0, 0, 0, FD_OK};
    double cost = 0.0;
    REFUSED(FD_ERROR_NULL, "function: ", fd_network_step_own(network, &in, FD_OWN_COST_BY_A, NULL, &own, &cost));
    REFUSED(FD_ERROR_ENUM, "by: ", fd_network_step_own(network, &in, 2, own_cost, &own, &cost));
    EXPECT(own.calls == 0);
    WORKS(fd_network_step_own(network, &in, FD_OWN_COST_BY_A, own_cost, &own, &cost));
    EXPECT(own.calls == 1 && own.batch == 4 && own.outputs == 1 && cost == 1.5);
    /* A call on the same network within its own is refused, and does not wait for itself. */
    EXPECT(own.within == FD_ERROR_BUSY);
    WORKS(fd_network_gradients_own(network, &in, FD_OWN_COST_BY_Z, own_cost, &own, &cost));
    WORKS(fd_network_apply_gradients(network));
    own.cost = NAN;
    REFUSED(FD_ERROR_NOT_FINITE, "cost", fd_network_step_own(network, &in, FD_OWN_COST_BY_Z, own_cost, &own, NULL));
    float a[4];
    WORKS(fd_network_predict(network, &in, a, 4));
    fd_network_free(network);
}

static void teams(void) {
    fd_team *team = NULL;
    size_t threads = 0;
    REFUSED(FD_ERROR_NULL, "team: ", fd_team_new(2, NULL));
    WORKS(fd_team_new(0, &team));
    WORKS(fd_team_threads(team, &threads));
    EXPECT(threads == 1);
    fd_team_free(team);
    WORKS(fd_team_new(2, &team));
    REFUSED(FD_ERROR_NULL, "team: ", fd_team_threads(NULL, &threads));
    REFUSED(FD_ERROR_NULL, "threads: ", fd_team_threads(team, NULL));
    fd_layer layer = FD_LAYER_DEFAULTS;
    layer.outputs = 256;
    fd_network_options options = options_of(&layer, 1);
    options.inputs = 256;
    options.team = team;
    fd_network *network = NULL;
    WORKS(fd_network_new(&options, &network));
    /* The network keeps the threads. */
    fd_team_free(team);
    static float in[256 * 256], a[256 * 256];
    const fd_matrix matrix = fd_rows(in, 256, 256);
    WORKS(fd_network_predict(network, &matrix, a, 256 * 256));
    fd_network_free(network);
    fd_team_free(NULL);
}

int main(void) {
    options_are_checked();
    settings_are_checked();
    layers_may_have_options_of_their_own();
    targets_are_checked();
    steps_are_refused_as_a_whole();
    classes_come_in_any_type();
    outputs_are_checked();
    arrays_are_copied();
    steps_in_parts();
    files_are_checked();
    own_costs();
    teams();
    return finish("network_input", 150);
}
