/* Layers refuse bad input with a status and a reason, before any output is touched. */

#include "expect.h"

#include <math.h>
#include <stdint.h>

static float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, w[4] = {1, 0, 0, 1}, b[2] = {0, 0}, a[8], z[8];

static fd_dense *make(fd_activation activation) {
    fd_dense_options options = FD_DENSE_OPTIONS_DEFAULTS;
    options.inputs = 2;
    options.outputs = 2;
    options.activation = activation;
    fd_dense *layer = NULL;
    WORKS(fd_dense_new(&options, &layer));
    return layer;
}

static int is_untouched(void) {
    for (size_t i = 0; i < 8; i++) {
        if (a[i] != 9.0f || z[i] != 9.0f) return 0;
    }
    return 1;
}

static void fill_outputs(void) {
    for (size_t i = 0; i < 8; i++) a[i] = z[i] = 9.0f;
}

static void options_are_checked(void) {
    fd_dense *layer = (fd_dense *)(void *)x;
    fd_dense_options options = FD_DENSE_OPTIONS_DEFAULTS;
    REFUSED(FD_ERROR_NULL, "options: expected a pointer", fd_dense_new(NULL, &layer));
    EXPECT(layer == NULL);
    REFUSED(FD_ERROR_NULL, "layer: expected a pointer", fd_dense_new(&options, NULL));
    const fd_dense_options *odd = (const fd_dense_options *)(const void *)((const char *)&options + 1);
    REFUSED(FD_ERROR_MISALIGNED, "options: expected an address", fd_dense_new(odd, &layer));

    const size_t sizes[] = {0, 1, sizeof options - 1, 4097, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        options.size = sizes[i];
        REFUSED(FD_ERROR_STRUCT_SIZE, "options: expected a structure whose size", fd_dense_new(&options, &layer));
    }
    struct {
        fd_dense_options known;
        size_t unknown;
    } longer = {FD_DENSE_OPTIONS_DEFAULTS, 0};
    longer.known.size = sizeof longer;
    WORKS(fd_dense_new(&longer.known, &layer));
    fd_dense_free(layer);
    longer.unknown = 1;
    REFUSED(FD_ERROR_STRUCT_SIZE, "zeros behind", fd_dense_new(&longer.known, &layer));
    fd_dense_options huge = FD_DENSE_OPTIONS_DEFAULTS;
    huge.inputs = huge.outputs = SIZE_MAX;
    REFUSED(FD_ERROR_MEMORY, "expected a size that fits memory", fd_dense_new(&huge, &layer));
    EXPECT(layer == NULL);
    fd_dense_free(NULL);
}

/* Enumerations, parameters and names. */
static void choices_are_checked(void) {
    fd_dense *layer = NULL;
    const int32_t numbers[] = {-1, 10, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 4; i++) {
        fd_dense_options wrong = FD_DENSE_OPTIONS_DEFAULTS;
        wrong.activation = numbers[i];
        REFUSED(FD_ERROR_ENUM, "activation: expected a value from 0 to 9", fd_dense_new(&wrong, &layer));
        wrong.activation = FD_ACTIVATION_RELU;
        wrong.isa = numbers[i];
        REFUSED(FD_ERROR_ENUM, "isa: expected a value from 0 to 4", fd_dense_new(&wrong, &layer));
        wrong.isa = FD_ISA_BEST;
        wrong.summation = numbers[i];
        REFUSED(FD_ERROR_ENUM, "summation: expected a value from 0 to 2", fd_dense_new(&wrong, &layer));
        EXPECT(strcmp(fd_status_name(numbers[i] == 10 ? 100 : numbers[i]), "unknown status") == 0);
        EXPECT(fd_activation_name(numbers[i]) == NULL && fd_isa_name(numbers[i]) == NULL);
    }
    const float parameters[] = {NAN, INFINITY, -1.0f};
    for (size_t i = 0; i < 3; i++) {
        fd_dense_options wrong = FD_DENSE_OPTIONS_DEFAULTS;
        wrong.activation = FD_ACTIVATION_ELU;
        wrong.parameter = &parameters[i];
        REFUSED(FD_ERROR_SETTING, "activation: expected a finite parameter", fd_dense_new(&wrong, &layer));
        wrong.activation = FD_ACTIVATION_RELU;
        REFUSED(FD_ERROR_ARGUMENT, "parameter: expected none for relu", fd_dense_new(&wrong, &layer));
    }
    fd_dense_options named = FD_DENSE_OPTIONS_DEFAULTS;
    named.activation_name = "softmax";
    REFUSED(FD_ERROR_TEXT, "found \"softmax\"", fd_dense_new(&named, &layer));
    named.activation_name = "\xff";
    REFUSED(FD_ERROR_TEXT, "expected UTF-8", fd_dense_new(&named, &layer));
    named.activation_name = "relu";
    named.activation = FD_ACTIVATION_TANH;
    REFUSED(FD_ERROR_ARGUMENT, "activation_name", fd_dense_new(&named, &layer));
    EXPECT(layer == NULL);
}

static void operands_are_checked(void) {
    fd_dense *layer = make(FD_ACTIVATION_IDENTITY);
    fill_outputs();
    const fd_matrix in = fd_rows(x, 2, 2), weights = fd_rows(w, 2, 2), bias = fd_rows(b, 1, 2);
    const fd_matrix_mut out = fd_rows_mut(a, 2, 2), kept = fd_rows_mut(z, 2, 2);
    REFUSED(FD_ERROR_NULL, "layer: ", fd_dense_forward(NULL, &in, &weights, &bias, &out, NULL));
    REFUSED(FD_ERROR_NULL, "a_prev: ", fd_dense_forward(layer, NULL, &weights, &bias, &out, NULL));
    REFUSED(FD_ERROR_NULL, "w: ", fd_dense_forward(layer, &in, NULL, &bias, &out, NULL));
    REFUSED(FD_ERROR_NULL, "a: ", fd_dense_forward(layer, &in, &weights, &bias, NULL, &kept));
    const fd_matrix no_data = fd_rows(NULL, 2, 2);
    REFUSED(FD_ERROR_NULL, "a_prev.data: ", fd_dense_forward(layer, &no_data, &weights, &bias, &out, NULL));
    const fd_matrix odd = fd_rows((const float *)(const void *)((const char *)x + 1), 2, 2);
    REFUSED(FD_ERROR_MISALIGNED, "w.data: ", fd_dense_forward(layer, &in, &odd, &bias, &out, NULL));
    const fd_matrix narrow = fd_rows(x, 2, 1), wide_bias = fd_rows(b, 2, 1);
    REFUSED(FD_ERROR_SHAPE, "a_prev: expected a 2", fd_dense_forward(layer, &narrow, &weights, &bias, &out, NULL));
    REFUSED(FD_ERROR_SHAPE, "w: expected a 2", fd_dense_forward(layer, &in, &narrow, &bias, &out, NULL));
    REFUSED(FD_ERROR_SHAPE, "b: expected a 1", fd_dense_forward(layer, &in, &weights, &wide_bias, &out, NULL));
    const fd_matrix_mut three = fd_rows_mut(a, 3, 2), three_z = fd_rows_mut(z, 3, 2);
    REFUSED(FD_ERROR_SHAPE, "a: expected a 2", fd_dense_forward(layer, &in, &weights, &bias, &three, NULL));
    REFUSED(FD_ERROR_SHAPE, "z: expected a 2", fd_dense_forward(layer, &in, &weights, &bias, &out, &three_z));
    const fd_matrix huge[] = {
        {x, SIZE_MAX, 2, 1, 1}, {x, 2, 2, SIZE_MAX, 1}, {x, 2, 2, SIZE_MAX / 4, SIZE_MAX / 4}, {x, SIZE_MAX / 8, 2, 2, 1}};
    for (size_t i = 0; i < 4; i++) {
        REFUSED(FD_ERROR_SHAPE, "a_prev: ", fd_dense_forward(layer, &huge[i], &weights, &bias, &out, NULL));
    }
    /* Nothing to do, at any address. */
    const fd_matrix none = {NULL, 0, 2, 2, 1};
    const fd_matrix_mut to_none = {NULL, 0, 2, 2, 1};
    WORKS(fd_dense_forward(layer, &none, &weights, NULL, &to_none, NULL));
    EXPECT(is_untouched());
    WORKS(fd_dense_forward(layer, &in, &weights, NULL, &out, &kept));
    EXPECT(a[0] == 1.0f && a[3] == 4.0f && z[3] == 4.0f && a[4] == 9.0f);
    fd_dense_free(layer);
}

static void overlaps_are_found(void) {
    fd_dense *layer = make(FD_ACTIVATION_IDENTITY);
    fill_outputs();
    const fd_matrix in = fd_rows(x, 2, 2), weights = fd_rows(w, 2, 2), bias = fd_rows(b, 1, 2);
    const fd_matrix_mut out = fd_rows_mut(a, 2, 2), same = fd_rows_mut(a + 3, 2, 2);
    const fd_matrix_mut over_x = fd_rows_mut(x, 2, 2), over_w = fd_rows_mut(w, 2, 2);
    REFUSED(FD_ERROR_OVERLAP, "a: expected memory apart from that of a_prev",
            fd_dense_forward(layer, &in, &weights, &bias, &over_x, NULL));
    REFUSED(FD_ERROR_OVERLAP, "a: expected memory apart from that of w",
            fd_dense_forward(layer, &in, &weights, &bias, &over_w, NULL));
    REFUSED(FD_ERROR_OVERLAP, "z: expected memory apart from that of a",
            fd_dense_forward(layer, &in, &weights, &bias, &out, &same));
    const fd_matrix_mut within[] = {{a, 2, 2, 0, 1}, {a, 2, 2, 1, 1}, {a, 2, 2, 2, 0}};
    for (size_t i = 0; i < 3; i++) {
        REFUSED(FD_ERROR_OVERLAP, "a: ", fd_dense_forward(layer, &in, &weights, &bias, &within[i], NULL));
    }
    EXPECT(is_untouched() && x[0] == 1.0f && w[0] == 1.0f);
    /* Side by side is no overlap, nor are inputs of one place. */
    const fd_matrix_mut left = {a, 2, 2, 4, 1}, right = {a + 2, 2, 2, 4, 1};
    WORKS(fd_dense_forward(layer, &in, &weights, &bias, &left, &right));
    EXPECT(a[0] == 1.0f && a[2] == 1.0f && a[5] == 4.0f && a[7] == 4.0f);
    WORKS(fd_dense_forward(layer, &weights, &weights, &bias, &out, NULL));
    fd_dense_free(layer);
}

static void backward_is_checked(void) {
    fd_dense *layer = make(FD_ACTIVATION_SILU);
    fill_outputs();
    const fd_matrix in = fd_rows(x, 2, 2), weights = fd_rows(w, 2, 2), saved = fd_rows(x + 4, 2, 2);
    const fd_matrix_mut d_w = fd_rows_mut(a, 2, 2), d_b = fd_rows_mut(z, 1, 2);
    const fd_backward defaults = FD_BACKWARD_DEFAULTS;
    fd_backward call = defaults;
    REFUSED(FD_ERROR_NULL, "call: ", fd_dense_backward(layer, NULL));
    REFUSED(FD_ERROR_ARGUMENT, "expected one of w, packed, found none", fd_dense_backward(layer, &call));
    call.w = &weights;
    REFUSED(FD_ERROR_NULL, "a_prev: ", fd_dense_backward(layer, &call));
    call.a_prev = &in;
    REFUSED(FD_ERROR_ARGUMENT, "expected one of saved_a, saved_z, found none", fd_dense_backward(layer, &call));
    call.saved_a = call.saved_z = &saved;
    REFUSED(FD_ERROR_ARGUMENT, "expected one of saved_a, saved_z, found several", fd_dense_backward(layer, &call));
    call.saved_z = NULL;
    REFUSED(FD_ERROR_ARGUMENT, "expected one of from_d_a, from_d_z, from_targets, found none", fd_dense_backward(layer, &call));
    call.from_d_a = &saved;
    call.d_w = &d_w;
    call.d_b = &d_b;
    REFUSED(FD_ERROR_MISMATCH, "saved: expected z", fd_dense_backward(layer, &call));
    call.from_targets = &saved;
    REFUSED(FD_ERROR_ARGUMENT, "found several", fd_dense_backward(layer, &call));
    call.from_d_a = NULL;
    REFUSED(FD_ERROR_MISMATCH, "targets: expected a layer with sigmoid", fd_dense_backward(layer, &call));
    call.from_targets = NULL;
    call.from_d_z = &saved;
    const float scales[] = {0.0f, NAN, INFINITY};
    for (size_t i = 0; i < 3; i++) {
        call.scale = scales[i];
        REFUSED(FD_ERROR_SETTING, "expected scale to be", fd_dense_backward(layer, &call));
    }
    call.scale = 1.0f;
    call.add = 8;
    REFUSED(FD_ERROR_ENUM, "add: expected flags among 0x7, found 0x8", fd_dense_backward(layer, &call));
    call.add = 0;
    const fd_matrix_mut over_w = fd_rows_mut(w, 2, 2), wrong = fd_rows_mut(a, 1, 4);
    call.d_w = &over_w;
    REFUSED(FD_ERROR_OVERLAP, "d_w: expected memory apart from that of w", fd_dense_backward(layer, &call));
    call.d_w = &wrong;
    REFUSED(FD_ERROR_SHAPE, "d_w: expected a 2", fd_dense_backward(layer, &call));
    EXPECT(is_untouched());
    call.d_w = &d_w;
    WORKS(fd_dense_backward(layer, &call));
    /* d_w = d_z^T * x, d_b the sum of the rows of d_z. */
    EXPECT(a[0] == 5 * 1 + 7 * 3 && z[0] == 12.0f && z[1] == 14.0f && z[2] == 9.0f);
    call.add = FD_ADD_TO_D_W | FD_ADD_TO_D_B;
    call.scale = 0.5f;
    WORKS(fd_dense_backward(layer, &call));
    EXPECT(a[0] == 39.0f && z[0] == 18.0f);
    fd_dense_free(layer);
}

static void updates_are_checked(void) {
    fd_dense *layer = make(FD_ACTIVATION_IDENTITY);
    float weights[4] = {1, 1, 1, 1}, velocity[4] = {0}, bias[2] = {0}, velocity_b[2] = {0};
    const fd_matrix in = fd_rows(x, 2, 2), saved = fd_rows(x + 4, 2, 2);
    const fd_matrix_mut to_w = fd_rows_mut(weights, 2, 2), state = fd_rows_mut(velocity, 2, 2);
    const fd_matrix_mut to_b = fd_rows_mut(bias, 1, 2), state_b = fd_rows_mut(velocity_b, 1, 2);
    fd_sgd sgd = FD_SGD_DEFAULTS;
    fd_adam adam = FD_ADAM_DEFAULTS;
    fd_update call = FD_UPDATE_DEFAULTS;
    call.a_prev = &in;
    call.saved_a = &saved;
    call.from_d_z = &saved;
    REFUSED(FD_ERROR_ARGUMENT, "expected one of sgd, adam, found none", fd_dense_update(layer, &call));
    call.sgd = &sgd;
    REFUSED(FD_ERROR_NULL, "w: ", fd_dense_update(layer, &call));
    call.w = &to_w;
    const float wrong[] = {NAN, INFINITY, -1.0f};
    for (size_t i = 0; i < 3; i++) {
        sgd.learning_rate = wrong[i];
        REFUSED(FD_ERROR_SETTING, "learning_rate", fd_dense_update(layer, &call));
        sgd.learning_rate = 0.5f;
        sgd.momentum = wrong[i];
        REFUSED(FD_ERROR_SETTING, "momentum", fd_dense_update(layer, &call));
        sgd.momentum = 0.0f;
    }
    sgd.is_nesterov = 1;
    REFUSED(FD_ERROR_SETTING, "momentum", fd_dense_update(layer, &call));
    sgd.is_nesterov = 0;
    call.step = 0;
    REFUSED(FD_ERROR_SETTING, "expected a step from 1 on", fd_dense_update(layer, &call));
    call.step = 1;
    sgd.momentum = 0.5f;
    REFUSED(FD_ERROR_MISMATCH, "w: expected 1 state arrays", fd_dense_update(layer, &call));
    call.w_state[0] = &to_w;
    REFUSED(FD_ERROR_OVERLAP, "w_state[0]: expected memory apart from that of w", fd_dense_update(layer, &call));
    call.w_state[0] = &state;
    call.b_state[0] = &state_b;
    REFUSED(FD_ERROR_ARGUMENT, "b_state: expected none without b", fd_dense_update(layer, &call));
    call.adam = &adam;
    REFUSED(FD_ERROR_ARGUMENT, "found several", fd_dense_update(layer, &call));
    call.adam = NULL;
    call.add = FD_ADD_TO_D_W;
    REFUSED(FD_ERROR_ENUM, "add: ", fd_dense_update(layer, &call));
    call.add = 0;
    EXPECT(weights[0] == 1.0f && velocity[0] == 0.0f && bias[0] == 0.0f);
    call.b = &to_b;
    WORKS(fd_dense_update(layer, &call));
    EXPECT(velocity[0] == 26.0f && weights[0] == -12.0f && velocity_b[1] == 14.0f && bias[1] == -7.0f);
    fd_dense_free(layer);
}

static void packed_weights_fit_their_layer(void) {
    fd_dense *layer = make(FD_ACTIVATION_TANH);
    fd_dense_options options = FD_DENSE_OPTIONS_DEFAULTS;
    options.inputs = 3;
    options.outputs = 2;
    fd_dense *other = NULL;
    WORKS(fd_dense_new(&options, &other));
    fd_packed *packed = NULL;
    const fd_matrix weights = fd_rows(w, 2, 2), wrong = fd_rows(x, 2, 3), in = fd_rows(x, 2, 2), in_3 = fd_rows(x, 2, 3);
    const fd_matrix_mut out = fd_rows_mut(a, 2, 2), plain = fd_rows_mut(z, 2, 2);
    REFUSED(FD_ERROR_SHAPE, "w: ", fd_packed_new(layer, &wrong, &packed));
    EXPECT(packed == NULL);
    REFUSED(FD_ERROR_NULL, "packed: ", fd_packed_new(layer, &weights, NULL));
    WORKS(fd_packed_new(layer, &weights, &packed));
    REFUSED(FD_ERROR_NULL, "w: ", fd_dense_forward_packed(layer, &in, NULL, NULL, &out, NULL));
    REFUSED(FD_ERROR_SHAPE, "w: ", fd_dense_forward_packed(other, &in_3, packed, NULL, &out, NULL));
    REFUSED(FD_ERROR_SHAPE, "w: ", fd_packed_repack(packed, &wrong));
    WORKS(fd_dense_forward_packed(layer, &in, packed, NULL, &out, NULL));
    WORKS(fd_dense_forward(layer, &in, &weights, NULL, &plain, NULL));
    EXPECT(memcmp(a, z, 4 * sizeof(float)) == 0);
    w[1] = 0.5f;
    WORKS(fd_packed_repack(packed, &weights));
    WORKS(fd_dense_forward_packed(layer, &in, packed, NULL, &out, NULL));
    WORKS(fd_dense_forward(layer, &in, &weights, NULL, &plain, NULL));
    EXPECT(memcmp(a, z, 4 * sizeof(float)) == 0);

    /* Backward with both is refused, and packed weights give the bits of plain ones. */
    float d_x[2][4];
    const fd_matrix saved = fd_rows(z, 2, 2);
    const fd_matrix_mut to[2] = {fd_rows_mut(d_x[0], 2, 2), fd_rows_mut(d_x[1], 2, 2)};
    fd_backward call = FD_BACKWARD_DEFAULTS;
    call.a_prev = &in;
    call.w = &weights;
    call.packed = packed;
    call.saved_a = &saved;
    call.from_d_a = &in;
    call.d_a_prev = &to[0];
    REFUSED(FD_ERROR_ARGUMENT, "expected one of w, packed, found several", fd_dense_backward(layer, &call));
    call.w = NULL;
    WORKS(fd_dense_backward(layer, &call));
    call.w = &weights;
    call.packed = NULL;
    call.d_a_prev = &to[1];
    WORKS(fd_dense_backward(layer, &call));
    EXPECT(memcmp(d_x[0], d_x[1], sizeof d_x[0]) == 0);
    fd_packed_free(packed);
    fd_packed_free(NULL);
    fd_dense_free(other);
    fd_dense_free(layer);
}

static void facts_and_copies(void) {
    fd_dense *layer = make(FD_ACTIVATION_ELU), *copy = NULL;
    fd_dense_info info;
    info.size = sizeof info;
    REFUSED(FD_ERROR_NULL, "info: ", fd_dense_get_info(layer, NULL));
    REFUSED(FD_ERROR_NULL, "layer: ", fd_dense_get_info(NULL, &info));
    WORKS(fd_dense_clone(layer, &copy));
    fd_dense_free(layer);
    WORKS(fd_dense_get_info(copy, &info));
    EXPECT(info.size == sizeof info && info.inputs == 2 && info.outputs == 2 && info.activation == FD_ACTIVATION_ELU);
    EXPECT(info.parameter == 1.0f && info.needs_z == 0 && info.isa >= FD_ISA_PORTABLE && info.workspace_len > 0);
    EXPECT(fd_isa_name(info.isa) != NULL && info.update_batch >= 256 && info.summation == FD_SUMMATION_AUTO);
    info.size = 3;
    REFUSED(FD_ERROR_STRUCT_SIZE, "info: ", fd_dense_get_info(copy, &info));
    REFUSED(FD_ERROR_NULL, "layer: ", fd_dense_clone(NULL, &layer));
    EXPECT(layer == NULL);
    fd_activation activation = 0;
    float parameter = 0.0f;
    WORKS(fd_activation_parse("Leaky_ReLU(0.25)", &activation, &parameter));
    EXPECT(activation == FD_ACTIVATION_LEAKY_RELU && parameter == 0.25f);
    WORKS(fd_activation_parse("gelu", NULL, NULL));
    REFUSED(FD_ERROR_TEXT, "found \"\"", fd_activation_parse("", &activation, NULL));
    REFUSED(FD_ERROR_NULL, "name: ", fd_activation_parse(NULL, &activation, NULL));
    fd_dense_free(copy);
}

int main(void) {
    EXPECT(strcmp(fd_last_error(), "") == 0);
    options_are_checked();
    choices_are_checked();
    operands_are_checked();
    overlaps_are_found();
    backward_is_checked();
    updates_are_checked();
    packed_weights_fit_their_layer();
    facts_and_copies();
    return finish("layer_input", 120);
}
