/* Several threads at once: shared handles give each its right answer, and two calls that want a handle alone do not meet. */

#include "expect.h"

#include <pthread.h>
#include <stdint.h>

enum { THREADS = 4, ROUNDS = 200, BATCH = 16, INPUTS = 32, OUTPUTS = 8 };

static float x[BATCH * INPUTS], w[OUTPUTS * INPUTS], expected[BATCH * OUTPUTS];
static const uint8_t labels[BATCH] = {0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7};

struct job {
    fd_dense *layer;
    fd_network *network;
    int number, wrong, busy, done;
};

static void *share_a_layer(void *argument) {
    struct job *job = argument;
    float a[BATCH * OUTPUTS];
    const fd_matrix in = fd_rows(x, BATCH, INPUTS), weights = fd_rows(w, OUTPUTS, INPUTS);
    const fd_matrix_mut out = fd_rows_mut(a, BATCH, OUTPUTS);
    for (int round = 0; round < ROUNDS; round++) {
        memset(a, 0, sizeof a);
        const fd_status status = fd_dense_forward(job->layer, &in, &weights, NULL, &out, NULL);
        job->wrong += status != FD_OK || memcmp(a, expected, sizeof a) != 0;
    }
    return NULL;
}

/* All threads want the network alone, half of them to train and half to look. */
static void *press_a_network(void *argument) {
    struct job *job = argument;
    const fd_matrix in = fd_rows(x, BATCH, INPUTS);
    fd_targets targets = FD_TARGETS_DEFAULTS;
    targets.classes = labels;
    targets.class_count = BATCH;
    float a[BATCH * OUTPUTS];
    for (int round = 0; round < ROUNDS; round++) {
        const fd_status status = job->number % 2 == 0 ? fd_network_step(job->network, &in, &targets, NULL)
                                                      : fd_network_predict(job->network, &in, a, BATCH * OUTPUTS);
        job->done += status == FD_OK;
        job->busy += status == FD_ERROR_BUSY;
        job->wrong += status != FD_OK && status != FD_ERROR_BUSY;
    }
    return NULL;
}

static void *share_a_network(void *argument) {
    struct job *job = argument;
    const fd_matrix in = fd_rows(x, BATCH, INPUTS);
    float a[BATCH * OUTPUTS];
    for (int round = 0; round < ROUNDS; round++) {
        job->wrong += fd_network_predict(job->network, &in, a, BATCH * OUTPUTS) != FD_OK;
        job->wrong += memcmp(a, expected, sizeof a) != 0;
    }
    return NULL;
}

/* Each thread has the text of its own failure. */
static void *fail(void *argument) {
    struct job *job = argument;
    for (int round = 0; round < ROUNDS; round++) {
        fd_dense_options options = FD_DENSE_OPTIONS_DEFAULTS;
        options.activation = 1000 + job->number;
        fd_dense *layer = NULL;
        char text[32];
        snprintf(text, sizeof text, "found %d", 1000 + job->number);
        job->wrong += fd_dense_new(&options, &layer) != FD_ERROR_ENUM || strstr(fd_last_error(), text) == NULL;
    }
    return NULL;
}

/* Calls by another thread while this one has the network alone. */
struct visit {
    fd_network *network;
    fd_status shared, alone;
};

static void *visit(void *argument) {
    struct visit *visit = argument;
    fd_network_info info;
    info.size = sizeof info;
    visit->shared = fd_network_get_info(visit->network, &info);
    visit->alone = fd_network_set_steps(visit->network, 7);
    return NULL;
}

static double cost_with_a_visit(void *user, const float *output, float *gradient, size_t batch, size_t outputs) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, visit, user) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    for (size_t i = 0; i < batch * outputs; i++) gradient[i] = output[i];
    return 0.0;
}

/* Runs a function by all threads at once: the sums of their counts. */
static struct job run(void *(*function)(void *), fd_dense *layer, fd_network *network) {
    pthread_t threads[THREADS];
    struct job jobs[THREADS], sum = {0};
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){.layer = layer, .network = network, .number = i};
        EXPECT(pthread_create(&threads[i], NULL, function, &jobs[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        EXPECT(pthread_join(threads[i], NULL) == 0);
        sum.wrong += jobs[i].wrong;
        sum.busy += jobs[i].busy;
        sum.done += jobs[i].done;
    }
    return sum;
}

int main(void) {
    for (size_t i = 0; i < BATCH * INPUTS; i++) x[i] = (float)(i % 7) - 3.0f;
    for (size_t i = 0; i < OUTPUTS * INPUTS; i++) w[i] = ((float)(i % 5) - 2.0f) / 8.0f;
    const fd_matrix in = fd_rows(x, BATCH, INPUTS), weights = fd_rows(w, OUTPUTS, INPUTS);

    fd_dense_options options = FD_DENSE_OPTIONS_DEFAULTS;
    options.inputs = INPUTS;
    options.outputs = OUTPUTS;
    options.activation = FD_ACTIVATION_TANH;
    fd_team *team = NULL;
    WORKS(fd_team_new(2, &team));
    options.team = team;
    fd_dense *layer = NULL;
    WORKS(fd_dense_new(&options, &layer));
    const fd_matrix_mut out = fd_rows_mut(expected, BATCH, OUTPUTS);
    WORKS(fd_dense_forward(layer, &in, &weights, NULL, &out, NULL));
    EXPECT(run(share_a_layer, layer, NULL).wrong == 0);
    fd_dense_free(layer);

    fd_layer of_network = FD_LAYER_DEFAULTS;
    of_network.outputs = OUTPUTS;
    fd_network_options network_options = FD_NETWORK_OPTIONS_DEFAULTS;
    network_options.inputs = INPUTS;
    network_options.layers = &of_network;
    network_options.layer_count = 1;
    network_options.cost = FD_COST_SOFTMAX_CROSS_ENTROPY;
    network_options.team = team;
    fd_network *network = NULL;
    WORKS(fd_network_new(&network_options, &network));
    fd_team_free(team);
    const struct job pressed = run(press_a_network, NULL, network);
    EXPECT(pressed.wrong == 0 && pressed.done > 0 && pressed.done + pressed.busy == THREADS * ROUNDS);
    printf("%d calls done, %d refused\n", pressed.done, pressed.busy);
    struct visit visit = {network, FD_OK, FD_OK};
    WORKS(fd_network_step_own(network, &in, FD_OWN_COST_BY_A, cost_with_a_visit, &visit, NULL));
    EXPECT(visit.shared == FD_ERROR_BUSY && visit.alone == FD_ERROR_BUSY);

    WORKS(fd_network_predict(network, &in, expected, BATCH * OUTPUTS));
    EXPECT(run(share_a_network, NULL, network).wrong == 0);
    fd_network_free(network);

    EXPECT(run(fail, NULL, NULL).wrong == 0);
    return finish("threads", 30);
}
