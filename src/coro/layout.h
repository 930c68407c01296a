// SPDX-License-Identifier: MIT
/*
 * layout.h: what a debugger needs to find coroutines without debug information.
 *
 * tools/goalloc-gdb.py reads ga_debug_layout, an array of words in this order. What is called
 * ..._at is an offset, what is an address is so called.
 */
#ifndef GOALLOC_CORO_LAYOUT_H
#define GOALLOC_CORO_LAYOUT_H

enum layout_word {
    LAYOUT_VERSION, /* 2 */
    LAYOUT_WORDS,
    LAYOUT_SLABS_ADDRESS,
    LAYOUT_SLAB_COUNT_ADDRESS,
    LAYOUT_SLAB_SIZE,
    LAYOUT_SLAB_BASE_AT,
    LAYOUT_SLAB_USED_AT,
    LAYOUT_SLAB_COLD_AT,
    LAYOUT_SLAB_STRIDE_AT,
    LAYOUT_WAITER_SIZE,
    LAYOUT_COLOURS,
    LAYOUT_SP_AT,
    LAYOUT_STATUS_AT,
    LAYOUT_REASON_AT,
    LAYOUT_ID_AT,
    LAYOUT_NAME_AT,
    LAYOUT_SITE_AT,
    LAYOUT_MAIN_ADDRESS, /* of a pointer to main's */
    LAYOUT_REASONS_ADDRESS,
    LAYOUT_FORKS_AT,
    LAYOUT_FORKS_ADDRESS, /* of the process's count */
    LAYOUT_COUNT
};

#endif
