// SPDX-License-Identifier: MIT
/*
 * size_classes.c: the tables themselves.
 *
 * Place: read by all, depends on nothing. mksizeclasses.py writes size_classes_table.h and states
 * the rule by which the sizes are chosen.
 *
 * Invariants (tests/test_size_classes.c checks each):
 *   - sizes rise strictly, are multiples of 16, and pages' last object ends within the span;
 *   - a class's span leaves at most an eighth of itself unused;
 *   - size_class_of(n) is the smallest class that holds n bytes;
 *   - (offset * inverse) >> 32 is offset / size for every multiple of 16 within a span of classes
 * up to 32 KB. Locking, fork, signals: none; the tables are
 * constant, but that a collector has them padded, an entry at a time.
 */
#include "size_classes.h"

const struct size_class size_classes[SIZE_CLASS_COUNT] = {SIZE_CLASS_ROWS};
uint16_t size_class_offset_by_byte[SMALL_BYTE_MAX + 1] = {SIZE_CLASS_OFFSETS_BY_BYTE};
uint8_t size_class_by_128[SMALL_MAX / 128 + 1] = {SIZE_CLASS_BY_128};
uint8_t size_class_by_page[CLASS_SIZE_MAX / HEAP_PAGE + 1] = {SIZE_CLASS_BY_PAGE};
size_t size_class_padding;

/* Each entry takes over its neighbour's: nothing is ever mapped to a class that is too small. */
static void shift(uint8_t *table, size_t last, unsigned beyond)
{
    for (size_t i = 0; i < last; i++)
        __atomic_store_n(&table[i], table[i + 1], __ATOMIC_RELAXED);
    __atomic_store_n(&table[last], (uint8_t)beyond, __ATOMIC_RELAXED);
}

static void shift_offsets(void)
{
    uint16_t *table = size_class_offset_by_byte;
    size_t beyond = (size_t)size_class_of(SMALL_BYTE_MAX + 1) * SIZE_CLASS_OFFSET;
    for (size_t i = 0; i < SMALL_BYTE_MAX; i++)
        __atomic_store_n(&table[i], table[i + 1], __ATOMIC_RELAXED);
    __atomic_store_n(&table[SMALL_BYTE_MAX], (uint16_t)beyond, __ATOMIC_RELAXED);
}

void size_classes_pad(void)
{
    const size_t last_page = CLASS_SIZE_MAX / HEAP_PAGE;
    shift_offsets();
    shift(size_class_by_128, SMALL_MAX / 128, size_class_of(SMALL_MAX + 1));
    shift(size_class_by_page, last_page, size_class_by_page[last_page]);
    size_class_padding = 1;
}
