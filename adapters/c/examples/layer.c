/* One layer among the caller's own matrices: foreign layouts, interleaved outputs, and a backward pass that is held against
 * finite differences.
 *
 *     cc layer.c $(pkg-config --cflags --libs fused_dense) -lm -o layer && ./layer
 */

#include "support.h"

#include <math.h>

enum { SAMPLES = 5, INPUTS = 4, OUTPUTS = 3 };

/* Samples are columns here, and weights are stored [inputs, outputs]. */
static float x_by_features[INPUTS * SAMPLES], w_by_inputs[INPUTS * OUTPUTS], b[OUTPUTS];

/* Rows of a and z side by side: a in the first columns, z in the last. */
static float a_and_z[SAMPLES * 2 * OUTPUTS];

/* The cost is the sum of all a, each with a factor of its own: its gradient by a. */
static float factors[SAMPLES * OUTPUTS];

static const fd_matrix X = {x_by_features, SAMPLES, INPUTS, 1, SAMPLES};
static const fd_matrix W = {w_by_inputs, OUTPUTS, INPUTS, 1, OUTPUTS};
static const fd_matrix B = {b, 1, OUTPUTS, OUTPUTS, 1};
static const fd_matrix_mut A = {a_and_z, SAMPLES, OUTPUTS, 2 * OUTPUTS, 1};
static const fd_matrix_mut Z = {a_and_z + OUTPUTS, SAMPLES, OUTPUTS, 2 * OUTPUTS, 1};
static const fd_matrix D_A = {factors, SAMPLES, OUTPUTS, OUTPUTS, 1};

static double cost(const fd_dense *layer) {
    check(fd_dense_forward(layer, &X, &W, &B, &A, &Z));
    double sum = 0.0;
    for (size_t i = 0; i < SAMPLES; i++) {
        for (size_t j = 0; j < OUTPUTS; j++) sum += (double)factors[i * OUTPUTS + j] * a_and_z[i * 2 * OUTPUTS + j];
    }
    return sum;
}

/* The largest difference between gradients and the slopes of the cost along each value. */
static double largest_difference(const fd_dense *layer, float *values, const float *gradients, size_t count) {
    const float step = 1e-2f;
    double largest = 0.0;
    for (size_t i = 0; i < count; i++) {
        const float value = values[i], above = value + step, below = value - step;
        values[i] = above;
        const double cost_above = cost(layer);
        values[i] = below;
        const double cost_below = cost(layer);
        values[i] = value;
        const double slope = (cost_above - cost_below) / ((double)above - (double)below);
        largest = fmax(largest, fabs(slope - (double)gradients[i]));
    }
    return largest;
}

static void fill(uint64_t *state, float *values, size_t count) {
    for (size_t i = 0; i < count; i++) values[i] = 2.0f * random_unit(state) - 1.0f;
}

int main(void) {
    uint64_t state = 3;
    fill(&state, x_by_features, INPUTS * SAMPLES);
    fill(&state, w_by_inputs, INPUTS * OUTPUTS);
    fill(&state, b, OUTPUTS);
    fill(&state, factors, SAMPLES * OUTPUTS);

    double worst = 0.0;
    for (fd_activation activation = FD_ACTIVATION_SIGMOID; fd_activation_name(activation) != NULL; activation++) {
        /* Slopes across the kink of a piecewise linear function tell nothing. */
        if (activation == FD_ACTIVATION_RELU || activation == FD_ACTIVATION_LEAKY_RELU) continue;
        fd_dense_options options = FD_DENSE_OPTIONS_DEFAULTS;
        options.inputs = INPUTS;
        options.outputs = OUTPUTS;
        options.activation = activation;
        fd_dense *layer = NULL;
        check(fd_dense_new(&options, &layer));
        cost(layer);

        /* Gradients in the layouts of what they are gradients of. */
        float d_x[INPUTS * SAMPLES], d_w[INPUTS * OUTPUTS], d_b[OUTPUTS];
        const fd_matrix z = {Z.data, SAMPLES, OUTPUTS, 2 * OUTPUTS, 1};
        const fd_matrix_mut to_x = {d_x, SAMPLES, INPUTS, 1, SAMPLES};
        const fd_matrix_mut to_w = {d_w, OUTPUTS, INPUTS, 1, OUTPUTS};
        const fd_matrix_mut to_b = fd_rows_mut(d_b, 1, OUTPUTS);
        fd_backward call = FD_BACKWARD_DEFAULTS;
        call.a_prev = &X;
        call.w = &W;
        call.saved_z = &z;
        call.from_d_a = &D_A;
        call.d_w = &to_w;
        call.d_b = &to_b;
        call.d_a_prev = &to_x;
        check(fd_dense_backward(layer, &call));

        const double of_w = largest_difference(layer, w_by_inputs, d_w, INPUTS * OUTPUTS);
        const double of_b = largest_difference(layer, b, d_b, OUTPUTS);
        const double of_x = largest_difference(layer, x_by_features, d_x, INPUTS * SAMPLES);
        printf("%-10s largest difference to slopes: d_w %.1e, d_b %.1e, d_x %.1e\n", fd_activation_name(activation), of_w, of_b,
               of_x);
        worst = fmax(worst, fmax(of_w, fmax(of_b, of_x)));
        fd_dense_free(layer);
    }
    return worst < 1e-3 ? EXIT_SUCCESS : EXIT_FAILURE;
}
