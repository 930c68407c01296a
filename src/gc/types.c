// SPDX-License-Identifier: MIT
/*
 * types.c: the layouts that the program has described.
 *
 * Place: src/libc makes them, typed.c reads them. Calls src/mheap for memory.
 *
 *   number -> chunks[number / 1024] -> the type       for readers, who take no lock
 *   layout -> buckets[hash] -> next -> next           so that each is there once
 *
 * Invariants: types are never changed nor freed; one is in its chunk before its number is told.
 * Locking: types_lock guards the buckets and the count; the page heap's are taken inside. A chunk,
 * and a type in it, is stored with release and read with acquire.
 */
#include <errno.h>
#include <string.h>

#include "../os/lock.h"
#include "internal.h"
#include "types.h"

#define CHUNK_TYPES 1024
#define CHUNKS      1024
#define BUCKETS     256

typedef struct gc_type *_Atomic type_slot;

struct lock types_lock;

static struct {
    type_slot *_Atomic chunks[CHUNKS];
    struct gc_type *buckets[BUCKETS]; /* guarded by types_lock */
    uint32_t count;                   /* the same */
} types;

static size_t bit_words(size_t words)
{
    return (words + 63) / 64;
}

/* --- Nonsense --- */

static bool is_layout(size_t size, const uint64_t *bits)
{
    if (!bits || size == 0 || size % sizeof(void *) != 0 || size > TYPE_MAX)
        return false;
    size_t words = size / sizeof(void *);
    return words % 64 == 0 || bits[words / 64] >> words % 64 == 0;
}

/* --- Finding and making; lock held --- */

static struct gc_type **bucket_of(uint32_t words, const uint64_t *bits)
{
    uint64_t hash = words;
    for (size_t i = 0; i < bit_words(words); i++)
        hash = (hash ^ bits[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return &types.buckets[hash >> 56];
}

static struct gc_type *find_layout(const struct gc_type *first, uint32_t words,
                                   const uint64_t *bits)
{
    for (const struct gc_type *type = first; type; type = type->next)
        if (type->words == words && memcmp(type->bits, bits, bit_words(words) * sizeof(*bits)) == 0)
            return (struct gc_type *)(uintptr_t)type;
    return NULL;
}

static type_slot *slot_of(uint32_t number)
{
    if (number / CHUNK_TYPES >= CHUNKS)
        return NULL;
    type_slot *_Atomic *chunk = &types.chunks[number / CHUNK_TYPES];
    type_slot *slots = atomic_load_explicit(chunk, memory_order_relaxed);
    if (!slots) {
        slots = mheap_meta_alloc(CHUNK_TYPES * sizeof(*slots));
        atomic_store_explicit(chunk, slots, memory_order_release);
    }
    return slots ? &slots[number % CHUNK_TYPES] : NULL;
}

static struct gc_type *make(uint32_t words, const uint64_t *bits)
{
    type_slot *slot = slot_of(types.count + 1);
    size_t bytes = bit_words(words) * sizeof(*bits);
    struct gc_type *type = slot ? mheap_meta_alloc(sizeof(*type) + bytes) : NULL;
    if (!type)
        return NULL;
    type->number = ++types.count;
    type->words = words;
    memcpy(type->bits, bits, bytes);
    for (size_t i = 0; i < bit_words(words); i++)
        type->has_pointers |= bits[i] != 0;
    atomic_store_explicit(slot, type, memory_order_release);
    return type;
}

uint32_t types_number(size_t size, const uint64_t *bits)
{
    if (!is_layout(size, bits)) {
        errno = EINVAL;
        return 0;
    }
    uint32_t words = (uint32_t)(size / sizeof(void *));
    lock_acquire(&types_lock);
    struct gc_type **bucket = bucket_of(words, bits);
    struct gc_type *type = find_layout(*bucket, words, bits);
    if (!type && (type = make(words, bits))) {
        type->next = *bucket;
        *bucket = type;
    }
    lock_release(&types_lock);
    if (!type)
        errno = ENOMEM;
    return type ? type->number : 0;
}

const struct gc_type *types_find(uint32_t number)
{
    if (number / CHUNK_TYPES >= CHUNKS)
        return NULL;
    type_slot *slots =
        atomic_load_explicit(&types.chunks[number / CHUNK_TYPES], memory_order_acquire);
    return slots ? atomic_load_explicit(&slots[number % CHUNK_TYPES], memory_order_acquire) : NULL;
}
