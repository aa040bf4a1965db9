/* Expectations: a program counts those that are not met, says where, and ends with 1 if there are any. */

#ifndef EXPECT_H
#define EXPECT_H

#include <fused_dense.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int expectations, failures;

static inline void expect(int is_met, const char *text, const char *file, int line) {
    expectations++;
    if (!is_met) {
        failures++;
        fprintf(stderr, "%s:%d: not so: %s\n", file, line, text);
    }
}

#define EXPECT(condition) expect((condition) != 0, #condition, __FILE__, __LINE__)

static inline void expect_status(fd_status expected, fd_status found, const char *text, const char *call, const char *file,
                                 int line) {
    expectations++;
    const char *error = found == FD_OK ? "" : fd_last_error();
    if (found != expected || strstr(error, text) == NULL) {
        failures++;
        fprintf(stderr, "%s:%d: %s: expected %s with \"%s\", found %s with \"%s\"\n", file, line, call,
                fd_status_name(expected), text, fd_status_name(found), error);
    }
}

/* A call that fails with this status and a message that holds this text. */
#define REFUSED(status, text, call) expect_status(status, call, text, #call, __FILE__, __LINE__)
#define WORKS(call) expect_status(FD_OK, call, "", #call, __FILE__, __LINE__)

static inline int finish(const char *name, int least) {
    if (expectations < least) {
        fprintf(stderr, "%s: expected at least %d expectations, found %d\n", name, least, expectations);
        return EXIT_FAILURE;
    }
    printf("%s: %d of %d expectations met\n", name, expectations - failures, expectations);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
