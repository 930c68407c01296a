// SPDX-License-Identifier: MIT
/*
 * test.h: what every unit test starts with: cmocka, and promises about how a process ends.
 *
 * cmocka's assertions jump back into the test runner, which in a forked child would go on with the
 * parent's tests. A child uses CHILD_CHECK instead.
 */
#ifndef GOALLOC_TEST_H
#define GOALLOC_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dice.h"

/* cmocka hands every test a state, which few look at. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

/* In a cross build the kernel is qemu's imitation of one: it ignores MADV_DONTNEED on pages that
 * mremap has moved, has its own idea of RLIMIT_AS, and other errors. */
#ifndef GOALLOC_TEST_EMULATED
#define GOALLOC_TEST_EMULATED 0
#endif
/* Leaves the test, and says so: cmocka's skip() counts as a failure where meson reads its TAP. */
#define SKIP_IF(condition)                                                                         \
    do {                                                                                           \
        if (condition) {                                                                           \
            printf("# %s is skipped: %s\n", __func__, #condition);                                 \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* A child that ended: how, and what it wrote to stderr. */
struct child {
    int status; /* as waitpid has it */
    char text[8192];
};

/* Runs the function in a forked child, which then exits with 0. */
void child_run(struct child *child, void (*function)(void *), void *argument);
/* The same, and fails the test unless the child exited with 0. */
void assert_child_passes(void (*function)(void *), void *argument);
/* The same, and fails the test unless it aborted after one line that has `words` in it. */
void assert_child_aborts(void (*function)(void *), void *argument, const char *words);

/* In a child: says what doesn't hold and ends it. */
void child_fail(const char *file, int line, const char *what);
#define CHILD_CHECK(condition)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            child_fail(__FILE__, __LINE__, #condition);                                            \
    } while (0)

/* The kernel's mappings that lie wholly or partly in [from, to). */
size_t count_mappings(uintptr_t from, uintptr_t to);

#endif
