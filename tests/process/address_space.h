// SPDX-License-Identifier: MIT
/*
 * limits.h: for promises about a limited address space.
 */
#ifndef GOALLOC__ADDRESS_SPACE_H
#define GOALLOC__ADDRESS_SPACE_H

#include <errno.h>
#include <sys/resource.h>

#include "promise.h"

static inline void limit_address_space(size_t bytes)
{
    struct rlimit limit = {bytes, bytes};
    expect(setrlimit(RLIMIT_AS, &limit) == 0, "expected to set RLIMIT_AS to %zu bytes", bytes);
}

static inline size_t address_space_kilobytes(void)
{
    return (size_t)proc_number("/proc/self/status", "VmSize:");
}

/* Blocks that hold the address of the next one. */
struct link {
    struct link *next;
};

/* As many blocks as there is memory for, each of whose pages is written to; adds up their bytes. */
static inline struct link *allocate_to_the_limit(size_t size, size_t *bytes)
{
    struct link *chain = NULL;
    for (*bytes = 0;; *bytes += size) {
        errno = 0;
        struct link *block = malloc(size);
        if (!block)
            break;
        for (size_t i = 0; i < size; i += 4096)
            ((volatile char *)block)[i] = 0x5a;
        ((volatile char *)block)[size - 1] = 0x5a;
        block->next = chain;
        chain = block;
    }
    expect(errno == ENOMEM, "expected ENOMEM where memory ran out, got errno %d", errno);
    return chain;
}

static inline void free_chain(struct link *chain)
{
    while (chain) {
        struct link *next = chain->next;
        free(chain);
        chain = next;
    }
}

#endif
