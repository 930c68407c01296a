// SPDX-License-Identifier: MIT
/* target.h: what entry.c, which libFuzzer calls, wants of a target. */
#ifndef GOALLOC_FUZZ_TARGET_H
#define GOALLOC_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

/* One input; aborts on a find. */
void fuzz_one(const uint8_t *data, size_t size);
/* What the library writes, a line a call. */
void fuzz_output(const char *text, size_t length);

#endif
