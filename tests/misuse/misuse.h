// SPDX-License-Identifier: MIT
/*
 * misuse.h: what the mistakes under tests/misuse share.
 *
 * A case is a function that makes one mistake with memory if it is told to, and otherwise does the
 * same thing right. The table (table.c) says what is expected of it in each mode; the runner
 * (misuse.c) runs each in a process of its own.
 */
#ifndef GOALLOC_MISUSE_TEST_H
#define GOALLOC_MISUSE_TEST_H

#include "../process/promise.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>

enum { SMALL = 40, MEDIUM = 3000, PAGES = 100000 };
#define LARGE ((size_t)4 << 20)

struct misuse_case {
    const char *name;
    const char *what; /* for the table in docs/security.md */
    void (*run)(bool wrong);
    /* What is said in the default mode, with GOALLOC=hardened and with GOALLOC=sample=1. NULL:
     * nothing, and the program goes on. ANYTHING: it may crash or go on. ALSO: as by default. */
    const char *by_default, *hardened, *sampled;
};
#define ANYTHING "?"
#define ALSO     "="
extern const struct misuse_case misuse_cases[];
extern const size_t misuse_count;

/* --- For the cases --- */

/* Hides from the compiler what a pointer points to, and that it may not be used. */
static inline void *hidden(void *p)
{
    void *volatile hiding = p;
    return hiding;
}

static inline char *block(size_t size)
{
    char *p = malloc(size);
    mark(p, size, 1);
    return hidden(p);
}

static inline void run_in_thread(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    expect(pthread_create(&thread, NULL, run, argument) == 0, "expected a thread");
    pthread_join(thread, NULL);
}

static inline void *free_it(void *p)
{
    free(p);
    return NULL;
}

/* Allocates and frees so many blocks of a size, so that others come and go. */
static inline void churn(size_t size, unsigned count)
{
    void *blocks[2048];
    for (unsigned i = 0; i < count; i++)
        blocks[i] = block(size);
    for (unsigned i = 0; i < count; i++)
        free(blocks[i]);
}

#endif
