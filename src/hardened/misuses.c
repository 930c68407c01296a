// SPDX-License-Identifier: MIT
/*
 * misuses.c: the reports of this folder.
 *
 * Place: whoever here finds something wrong. Calls src/os/misuse.h. No lock is held.
 */
#include "../os/report.h"
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

void misuse_call(const char *function, const char *kind, const struct misuse *about)
{
    char what[96];
    struct text text;
    struct misuse misuse = *about;
    text_init(&text, what, sizeof(what));
    text_add(&text, "%s of %s", function, kind);
    misuse.what = what;
    misuse_report(&misuse);
}
