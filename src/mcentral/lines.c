// SPDX-License-Identifier: MIT
/*
 * lines.c: which objects share a cache line, and who gets them.
 *
 * Place: objects.c asks it what a fill takes and in which order. Calls nothing.
 *
 * A fill ends where a line does: what is left may go to another thread. Threads that start together
 * would share a line at the end of every fill else, and each write to it would wait for the other
 * core. Where objects were freed here and there it makes no difference.
 *
 * Objects of less than a line are parted while all of the class fit into a near cache: those that
 * will be used one after the other lie in different lines. What is written to an object holds up
 * what is read from its neighbour (arithmetic on numbers of 16 to 64 bytes, the same few again and
 * again: a fifth of the time), and when neighbours go to different threads, these wait for each
 * other. In a larger class it would be a loss: a program walks through its blocks in the order in
 * which it made them, and lists in cold memory take a third more time when neighbours are apart.
 *
 * Locking: the class's central is locked, but for lines_part.
 */
#include "internal.h"

/* Lines that two cores had better not write to at the same time: processors fetch them in pairs. */
#define LINES_BYTES (2u * GA_CACHE_LINE)

/* No free object lies before a used one. */
static bool is_filled_from_front(const struct span *span)
{
    unsigned word = span->used / 64;
    uint64_t below = (UINT64_C(1) << span->used % 64) - 1;
    for (unsigned i = 0; i < word; i++)
        if (~span->bits[i])
            return false;
    return (span->bits[word] & below) == below;
}

unsigned lines_period(unsigned class)
{
    return LINES_BYTES >> __builtin_ctz(size_classes[class % SIZE_CLASS_COUNT].size | LINES_BYTES);
}

unsigned lines_whole(const struct span *span, unsigned part, unsigned period)
{
    unsigned end = (span->used + part) & ~(period - 1);
    return period > 1 && end > span->used && is_filled_from_front(span) ? end - span->used : part;
}

/* Of a class that is near. */
#define PARTED_BYTES ((size_t)64 << 10)

bool lines_near(unsigned class)
{
    size_t spans = mcentrals[class].span_count;
    const struct size_class *c = &size_classes[class % SIZE_CLASS_COUNT];
    return c->size < GA_CACHE_LINE && (spans * c->pages) << HEAP_PAGE_SHIFT <= PARTED_BYTES;
}

/* No pointer is left behind on the stack or in a vector register, where a collector would find it:
 * only places are noted, and the objects move around the cycles of the permutation. */
void lines_part(void **objects, unsigned count, size_t size)
{
    unsigned stride = (unsigned)((GA_CACHE_LINE + size - 1) / size), to = count;
    uint8_t from[MAGAZINE_CAPACITY_MAX + 1] = {0};
    for (unsigned first = 0; first < stride; first++)
        for (unsigned i = first; i < count; i += stride)
            from[--to] = (uint8_t)(count - 1 - i);
    for (unsigned start = 0; start < count; start++) {
        void *object = objects[start];
        unsigned at = start, next = from[at];
        for (; next != start; at = next, next = from[at]) {
            objects[at] = objects[next];
            from[at] = (uint8_t)at;
        }
        objects[at] = object;
        from[at] = (uint8_t)at;
    }
}
