// SPDX-License-Identifier: MIT
//
// After 256 MB of blocks of mixed sizes are freed, malloc_trim brings RSS back to near what it was,
// and the memory can be used again.

#include "promise.h"

#include <malloc.h>

#define TOTAL ((size_t)256 << 20)
/* Tables and magazines stay; 3 % of what there was. */
#define MARGIN_KILOBYTES (8u << 10)

struct link {
    struct link *next;
};

static struct link *fill(void)
{
    struct random random = {42};
    struct link *chain = NULL;
    for (size_t sum = 0; sum < TOTAL;) {
        size_t size = random_size(&random, 22);
        struct link *block = malloc(size + sizeof(*block));
        expect(block != NULL, "expected %zu bytes", size);
        memset(block, 1, size + sizeof(*block));
        block->next = chain;
        chain = block;
        sum += size;
    }
    return chain;
}

static void drop(struct link *chain)
{
    while (chain) {
        struct link *next = chain->next;
        free(chain);
        chain = next;
    }
}

int main(void)
{
    promise_begin(30);
    free(malloc(1));
    size_t start = resident_kilobytes();
    for (unsigned round = 0; round < 2; round++) {
        struct link *chain = fill();
        size_t full = resident_kilobytes();
        expect(full >= start + (TOTAL >> 10), "expected RSS to grow by 256 MB, to %zu KB", full);
        drop(chain);
        expect(malloc_trim(0) == 1, "expected malloc_trim to say that memory went back");
        size_t end = resident_kilobytes();
        expect(end <= start + MARGIN_KILOBYTES,
               "expected RSS to come back to %zu KB and at most %u more, it is %zu KB", start,
               MARGIN_KILOBYTES, end);
        allocate_all_classes((size_t)4 << 20);
    }
    return 0;
}
