// SPDX-License-Identifier: MIT
/*
 * lender.h: what a library exports that allocates for its user and frees for it.
 */
#ifndef GOALLOC_PROCESS_LENDER_H
#define GOALLOC_PROCESS_LENDER_H

#include <stddef.h>

struct lender {
    void *(*lend)(size_t size);
    char *(*copy)(const char *text);
    void (*take_back)(void *p);
    void *malloc_it_uses;
};

/* struct lender *lender(void) */
#define LENDER_ENTRY "lender"

#endif
