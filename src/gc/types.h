// SPDX-License-Identifier: MIT
/*
 * types.h: which words of a block may be pointers, and how a block says so.
 *
 * A large block's type is in its span. Others, of all types, share spans; each has a tag for a last
 * word, which the program doesn't know of:
 *
 *   object  | words, by the type again and again ... | tag |
 *
 * The tag depends on the address, so that one that was written over is known for what it is: such
 * an object counts as one without a type.
 */
#ifndef GOALLOC_GC_TYPES_H
#define GOALLOC_GC_TYPES_H

#include "../goalloc.h"

#define TYPE_TAG sizeof(uint64_t)
#define TYPE_MAX ((size_t)1 << 20) /* bytes that a type describes */

struct gc_type {
    struct gc_type *next; /* of the same hash; guarded by types.c's lock */
    uint32_t number;      /* constant, as the rest; from 1 on */
    uint32_t words;       /* how many it describes; then it begins anew */
    bool has_pointers;
    uint64_t bits[]; /* a bit a word: it may be a pointer */
};

/* The type whose `size` bytes have pointers where `bits` has ones: the same for the same layout. 0,
 * with errno EINVAL or ENOMEM: there's none such. */
uint32_t types_number(size_t size, const uint64_t *bits);
/* NULL: there's none of that number. */
const struct gc_type *types_find(uint32_t number);

GA_INLINE uint32_t type_check(uint32_t number, uintptr_t object)
{
    return (uint32_t)(((object ^ number) * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

GA_INLINE uint64_t type_tag(uint32_t number, uintptr_t object)
{
    return (uint64_t)type_check(number, object) << 32 | number;
}

/* 0: it is no tag of that object's. */
GA_INLINE uint32_t type_of_tag(uint64_t tag, uintptr_t object)
{
    uint32_t number = (uint32_t)tag;
    return (uint32_t)(tag >> 32) == type_check(number, object) ? number : 0;
}

#endif
