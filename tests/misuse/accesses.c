// SPDX-License-Identifier: MIT
//
// Mistakes of reading and writing: past the end, before the start, after the free.

#include "cases.h"

volatile char misuse_sink;
#define sink misuse_sink

/* --- Past the end --- */

/* Writes `count` bytes behind a block, then frees it. */
static void overflow(char *p, size_t size, size_t count, bool wrong)
{
    for (size_t i = 0; wrong && i < count; i++)
        ((volatile char *)p)[size + i] = 'x';
    free(p);
}

void overflow_by_one(bool wrong)
{
    overflow(block(SMALL), SMALL, 1, wrong);
}

void overflow_by_a_zero(bool wrong)
{
    char *p = block(SMALL);
    if (wrong)
        ((volatile char *)p)[SMALL] = '\0';
    free(p);
}

void overflow_by_one_odd(bool wrong)
{
    overflow(block(13), 13, 1, wrong);
}

void overflow_by_eight(bool wrong)
{
    overflow(block(SMALL), SMALL, 8, wrong);
}

void overflow_into_neighbours(bool wrong)
{
    overflow(block(SMALL), SMALL, 200, wrong);
}

void overflow_empty(bool wrong)
{
    overflow(hidden(malloc(0)), 0, 1, wrong);
}

void overflow_medium(bool wrong)
{
    overflow(block(MEDIUM), MEDIUM, 1, wrong);
}

void overflow_pages(bool wrong)
{
    overflow(block(PAGES), PAGES, 1, wrong);
}

void overflow_large(bool wrong)
{
    overflow(block(LARGE - 100), LARGE - 100, 1, wrong);
}

void overflow_large_whole_pages(bool wrong)
{
    overflow(block(LARGE), LARGE, 1, wrong);
}

void overflow_aligned(bool wrong)
{
    overflow(hidden(memalign(64, 200)), 200, 1, wrong);
}

void overflow_page_aligned(bool wrong)
{
    overflow(hidden(memalign(4096, 4000)), 4000, 1, wrong);
}

void overflow_calloc(bool wrong)
{
    overflow(hidden(calloc(7, 7)), 49, 1, wrong);
}

void overflow_grown(bool wrong)
{
    overflow(hidden(realloc(block(SMALL), 300)), 300, 1, wrong);
}

void overflow_shrunk(bool wrong)
{
    overflow(hidden(realloc(block(300), 290)), 290, 1, wrong);
}

void overflow_freed_by_other_thread(bool wrong)
{
    char *p = block(SMALL);
    if (wrong)
        ((volatile char *)p)[SMALL] = 'x';
    run_in_thread(free_it, p);
}

void overflow_found_by_realloc(bool wrong)
{
    char *p = block(SMALL);
    if (wrong)
        ((volatile char *)p)[SMALL] = 'x';
    free(realloc(p, MEDIUM));
}

/* A word behind the canary: what lies there is another block's, or free. */
void overflow_over_the_canary(bool wrong)
{
    char *blocks[200];
    for (unsigned i = 0; i < 200; i++)
        blocks[i] = block(SMALL);
    for (unsigned i = 0; wrong && i < 200; i++)
        ((volatile char *)blocks[i])[2 * 48 - 1] = 'x';
    for (unsigned i = 0; i < 200; i++)
        free(blocks[i]);
}

void read_past_the_end(bool wrong)
{
    char *p = block(64);
    sink = ((volatile char *)p)[wrong ? 64 : 0];
    free(p);
}

void read_past_the_end_large(bool wrong)
{
    char *p = block(LARGE);
    sink = ((volatile char *)p)[wrong ? LARGE : 0];
    free(p);
}

/* --- Before the start --- */

void underflow_small(bool wrong)
{
    char *blocks[200];
    for (unsigned i = 0; i < 200; i++)
        blocks[i] = block(SMALL);
    for (unsigned i = 0; wrong && i < 200; i++)
        if ((uintptr_t)blocks[i] % 8192 != 0) /* before which may lie nothing at all */
            ((volatile char *)blocks[i])[-1] = 'x';
    for (unsigned i = 0; i < 200; i++)
        free(blocks[i]);
}

static void underflow(size_t size, bool wrong)
{
    char *p = block(size);
    if (wrong)
        ((volatile char *)p)[-1] = 'x';
    free(p);
}

void underflow_pages(bool wrong)
{
    underflow(PAGES, wrong);
}

void underflow_large(bool wrong)
{
    underflow(LARGE, wrong);
}

/* --- After the free --- */

static void write_freed(size_t size, size_t offset, bool wrong)
{
    char *p = block(size);
    free(p);
    if (wrong)
        ((volatile char *)hidden(p))[offset] = 'x';
}

void write_after_free_trimmed(bool wrong)
{
    write_freed(SMALL, 8, wrong);
    malloc_trim(0);
}

void write_after_free_at_exit(bool wrong)
{
    write_freed(SMALL, 8, wrong);
}

void write_after_free_reused(bool wrong)
{
    write_freed(SMALL, 8, wrong);
    churn(SMALL, 1000);
    churn(SMALL, 1000);
}

void write_after_free_last_byte(bool wrong)
{
    write_freed(SMALL, SMALL - 1, wrong);
    malloc_trim(0);
}

void write_after_free_medium(bool wrong)
{
    write_freed(MEDIUM, 1000, wrong);
    malloc_trim(0);
}

void write_after_free_medium_tail(bool wrong)
{
    write_freed(MEDIUM, MEDIUM - 1, wrong);
    malloc_trim(0);
}

void write_after_free_pages(bool wrong)
{
    write_freed(PAGES, 100, wrong);
    malloc_trim(0);
}

void write_after_free_large(bool wrong)
{
    write_freed(LARGE, LARGE / 2, wrong);
}

static void *write_it(void *p)
{
    ((volatile char *)p)[8] = 'x';
    return NULL;
}

void write_after_free_other_thread(bool wrong)
{
    char *p = block(SMALL);
    free(p);
    if (wrong)
        run_in_thread(write_it, hidden(p));
    malloc_trim(0);
}

void write_after_realloc(bool wrong)
{
    char *old = block(SMALL), *p = realloc(hidden(old), MEDIUM);
    if (wrong)
        ((volatile char *)hidden(old))[8] = 'x';
    malloc_trim(0);
    free(p);
}

void read_after_free(bool wrong)
{
    char *p = block(64);
    memset(p, 's', 64);
    if (!wrong)
        sink = p[8];
    free(p);
    if (wrong)
        sink = ((volatile char *)hidden(p))[8];
}

void read_after_free_large(bool wrong)
{
    char *p = block(LARGE);
    if (!wrong)
        sink = p[8];
    free(p);
    if (wrong)
        sink = ((volatile char *)hidden(p))[8];
}

/* A secret in a freed block isn't to be had by the next owner of its memory. */
void read_of_leftovers(bool wrong)
{
    char *p = block(500);
    memset(p, 's', 500);
    free(p);
    for (unsigned i = 0; wrong && i < 500; i++) {
        char *q = hidden(malloc(500));
        expect(memchr(q, 's', 500) == NULL, "leftovers");
        free(q);
    }
}
