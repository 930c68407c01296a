// SPDX-License-Identifier: MIT
/*
 * misuses.c: the reports of this folder.
 *
 * Place: whoever here finds something wrong. Calls src/os/misuse.h. No lock is held.
 */
#include "internal.h"

void misuse_block(const char *what, const struct slab *slab, const void *address, const void *block,
                  size_t size)
{
    misuse_report(&(struct misuse){.what = what,
                                   .address = address,
                                   .block = block,
                                   .size = size,
                                   .class = slab->class,
                                   .class_size = size_classes[slab->class].size});
}
