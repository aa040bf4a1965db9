/* What the examples share: how they end where something is wrong, and numbers that are the same everywhere. */

#ifndef SUPPORT_H
#define SUPPORT_H

#include <fused_dense.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program where a call fails. */
static inline void check(fd_status status) {
    if (status != FD_OK) {
        fprintf(stderr, "%s: %s\n", fd_status_name(status), fd_last_error());
        exit(EXIT_FAILURE);
    }
}

/* A number from 0 to below 1. */
static inline float random_unit(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(*state >> 40) / 16777216.0f;
}

#endif
