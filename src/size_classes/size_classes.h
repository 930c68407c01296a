// SPDX-License-Identifier: MIT
/*
 * size_classes.h: the table of size classes, which every other part reads and none writes.
 *
 * Class 0 is "no class": a free page, a large block, or an address that isn't ours.
 *
 * What malloc and free look up is not the class but its offset, class * 8: added to the address of
 * a thread's cache it is where the class's words lie. See mcache.h.
 */
#ifndef GOALLOC_SIZE_CLASSES_H
#define GOALLOC_SIZE_CLASSES_H

#include "../goalloc.h"
#include "size_classes_table.h"

#define SMALL_BYTE_MAX        ((size_t)1024)    /* up to here the class is looked up by the byte */
#define SMALL_MAX             ((size_t)32768)   /* up to here by steps of 128 */
#define CLASS_SIZE_MAX        ((size_t)1 << 20) /* up to here by pages; above, a block has no class */
#define SPAN_OBJECTS_MAX      512
#define MAGAZINE_CAPACITY_MAX 127

_Static_assert(sizeof(void *) == SIZE_CLASS_OFFSET, "an array of pointers, by class");

/* Immutable. `inverse` is 2^32 / size rounded up: an offset's object is (offset * inverse) >> 32.
 */
struct size_class {
    uint32_t size;
    uint16_t pages;
    uint16_t objects;
    uint32_t inverse;
    uint16_t magazine_first; /* what a magazine holds while the class has few spans */
    uint16_t magazine_capacity;
};

extern GA_HIDDEN const struct size_class size_classes[SIZE_CLASS_COUNT];
/* Constant, but for size_classes_pad. */
extern GA_HIDDEN uint16_t size_class_offset_by_byte[SMALL_BYTE_MAX + 1];
extern GA_HIDDEN uint8_t size_class_by_128[SMALL_MAX / 128 + 1];
extern GA_HIDDEN uint8_t size_class_by_page[CLASS_SIZE_MAX / HEAP_PAGE + 1];

/*
 * For a collector: from now on every request gets a class with room for a byte more (but where
 * there's none larger), so that a pointer right behind a block still lies in its object. Once,
 * while other threads may look sizes up.
 */
void size_classes_pad(void);
extern GA_HIDDEN size_t size_class_padding; /* 1 once that is so, else 0 */

/* The class of a request above SMALL_BYTE_MAX and up to CLASS_SIZE_MAX. */
GA_INLINE unsigned size_class_of_medium(size_t size)
{
    if (size <= SMALL_MAX)
        return size_class_by_128[(size + 127) >> 7];
    return size_class_by_page[pages_for(size)];
}

/* The class of a request, or 0 where it is too large for one. */
GA_INLINE unsigned size_class_of(size_t size)
{
    if (size <= SMALL_BYTE_MAX)
        return size_class_offset_by_byte[size] / SIZE_CLASS_OFFSET;
    if (size <= CLASS_SIZE_MAX)
        return size_class_of_medium(size);
    return 0;
}

#endif
