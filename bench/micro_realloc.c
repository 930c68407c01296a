// SPDX-License-Identifier: MIT
//
// A block that grows by half its size until it holds 16 MB.
//
// realloc_string: one buffer that is appended to; only what is appended at the end and the first
// word are written, so what shows is whether realloc copies (36 times, 48 MB in all) or grows in
// place or by moving page table entries. realloc_vector: every element is written as the vector
// grows, as a program does that fills it; the writing and the page faults are then part of it.
// realloc_small: a hundred strings grow in turn from 16 bytes to 4 KB, as lines being read do: none
// can grow in place for long, and all of it is copying between size classes.

#include <stdio.h>
#include <string.h>

#include "rows.h"
#include "workload.h"

enum {
    GROW_FROM = 16,
    GROW_TO = 16 << 20,
    STRINGS = 100,
    STRING_TO = 4 << 10,
    VECTOR_TO = 16 << 20,
    FILL_BYTE = 0x5a,
};

static size_t grown(size_t size)
{
    return (size + size / 2 + 7) & ~(size_t)7;
}

static void run_string(struct bench *b)
{
    while (bench_next(b)) {
        size_t size = GROW_FROM;
        char *p = alloc_touched(size);
        while (size < GROW_TO) {
            size = grown(size);
            p = realloc(p, size);
            touch(p);
            touch(p + size - sizeof(uint64_t));
        }
        free(p);
    }
}

static void run_vector(struct bench *b)
{
    while (bench_next(b)) {
        size_t size = GROW_FROM;
        char *p = malloc(size);
        memset(p, FILL_BYTE, size);
        while (size < VECTOR_TO) {
            size_t more = grown(size);
            p = realloc(p, more);
            memset(p + size, FILL_BYTE, more - size);
            keep(p);
            size = more;
        }
        free(p);
    }
}

static void run_small(struct bench *b)
{
    char *s[STRINGS];
    unsigned steps = 0;
    for (size_t size = GROW_FROM; size < STRING_TO; size = grown(size))
        steps++;
    bench_ops(b, (uint64_t)STRINGS * steps);
    while (bench_next(b)) {
        for (unsigned i = 0; i < STRINGS; i++)
            s[i] = alloc_touched(GROW_FROM);
        for (size_t size = GROW_FROM; size < STRING_TO;) {
            size = grown(size);
            for (unsigned i = 0; i < STRINGS; i++) {
                s[i] = realloc(s[i], size);
                touch(s[i] + size - sizeof(uint64_t));
            }
        }
        for (unsigned i = 0; i < STRINGS; i++)
            free(s[i]);
    }
}

void micro_realloc_rows(void)
{
    rows_add(&(struct bench_row){.name = "micro/realloc_string/16m", .run = run_string});
    rows_add(&(struct bench_row){.name = "micro/realloc_vector/16m", .run = run_vector});
    rows_add(&(struct bench_row){.name = "micro/realloc_small/4k", .run = run_small});
}
