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
#include <stdbool.h>
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

/* Whether the kernel fetches memory by MADV_POPULATE_WRITE (Linux 5.14), with pages of 4 KB. */
bool test_kernel_fetches(void);
/* Whether it moves pages and leaves their place mapped (Linux 5.7), and tells which are written
 * (6.7, where allowed). All three ask it themselves: what of ours fails must not skip its test. */
bool test_kernel_moves(void);
bool test_kernel_tracks(void);

/* meson takes cmocka's skip() for a failure. */
#define SKIP_UNLESS(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("# SKIPPED %s\n", __func__);                                                    \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/*
 * For a test that only a kernel can pass. An emulator of user programs stands in for it, and does
 * some things otherwise: qemu 7.2 ignores limits of address space, and releases nothing of memory
 * that mremap has touched.
 */
#define NEEDS_A_KERNEL() SKIP_UNLESS(!getenv("GOALLOC_TEST_EMULATED"))

/* The kernel's mappings that lie wholly or partly in [from, to). */
size_t count_mappings(uintptr_t from, uintptr_t to);

#endif
