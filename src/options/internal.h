// SPDX-License-Identifier: MIT
/* internal.h: what options.c and values.c share. */
#ifndef GOALLOC_OPTIONS_INTERNAL_H
#define GOALLOC_OPTIONS_INTERNAL_H

#include <string.h>

#include "options.h"

/* A part of a string. */
struct slice {
    const char *at; /* NULL: there's none */
    size_t length;
};

GA_INLINE bool slice_is(struct slice slice, const char *word)
{
    return strlen(word) == slice.length && memcmp(slice.at, word, slice.length) == 0;
}

/* values.c: false, and nothing changed, for a value that the option can't have. */
bool option_set(const struct option *option, struct slice value);
/* What it can have, for people: into `buffer`. */
const char *option_allows(const struct option *option, char *buffer, size_t size);
/* As Go has it in GOMEMLIMIT: a whole number, and B, KiB, MiB, GiB or TiB; bytes without. */
bool parse_size(struct slice text, uint64_t *out);

#endif
