// SPDX-License-Identifier: MIT
/*
 * pins.c: blocks that are kept because the program says so.
 *
 * Place: src/libc's calls come here. Calls nothing.
 *
 * Pins are words in this library's data, which is a root like any other's.
 *
 * Locking: a lock of their own, inside of which no other is taken. Fork: thread.c freezes it.
 */
#include "../os/lock.h"
#include "gc.h"
#include "internal.h"

#define PINS_MAX 4096

struct lock pins_lock;

static struct {
    size_t count;                 /* guarded by pins_lock */
    const void *blocks[PINS_MAX]; /* the same */
} pins;

bool gc_pin(const void *block)
{
    lock_acquire(&pins_lock);
    bool room = pins.count < PINS_MAX;
    if (room)
        pins.blocks[pins.count++] = block;
    lock_release(&pins_lock);
    return room;
}

void gc_unpin(const void *block)
{
    lock_acquire(&pins_lock);
    for (size_t i = pins.count; i-- > 0;)
        if (pins.blocks[i] == block) {
            pins.blocks[i] = pins.blocks[--pins.count];
            pins.blocks[pins.count] = NULL;
            break;
        }
    lock_release(&pins_lock);
}
