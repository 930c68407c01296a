// SPDX-License-Identifier: MIT
//
// A program that uses up the mappings which the kernel allows (vm.max_map_count) can go on
// allocating and resizing: the heap is one mapping. Where a call is refused it says ENOMEM, and no
// block loses a byte. When mappings are there again, everything works as before.

#include "promise.h"

#include <errno.h>
#include <malloc.h>
#include <sys/mman.h>

#define BLOCKS   60
#define MOST     1100000 /* mappings that this test makes at most */
#define RESERVED ((size_t)MOST * 4096)

static char *foreign; /* every other page of it readable, so that none merge */
static size_t foreign_pages;

static void use_up_mappings(void)
{
    foreign = mmap(NULL, RESERVED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    expect(foreign != MAP_FAILED, "expected address space");
    while (foreign_pages + 2 < MOST &&
           mprotect(foreign + (foreign_pages + 1) * 4096, 4096, PROT_READ) == 0)
        foreign_pages += 2;
    if (foreign_pages + 2 >= MOST)
        exit(EXIT_SKIPPED); /* this kernel allows more than are worth the time */
}

static void give_back_mappings(size_t pages)
{
    expect(mprotect(foreign + (foreign_pages - pages) * 4096, pages * 4096, PROT_NONE) == 0,
           "expected to give mappings back");
    foreign_pages -= pages;
}

struct holder {
    char *blocks[BLOCKS];
    size_t sizes[BLOCKS];
    struct random random;
    unsigned refused;
};

static void resize(struct holder *holder, unsigned i)
{
    size_t size = random_size(&holder->random, random_next(&holder->random) % 3 ? 22 : 12);
    size_t kept = size < holder->sizes[i] ? size : holder->sizes[i];
    errno = 0;
    char *block = realloc(holder->blocks[i], size);
    if (!block) {
        expect(errno == ENOMEM, "expected ENOMEM, got errno %d", errno);
        holder->refused++;
        return;
    }
    if (holder->blocks[i])
        expect(block[0] == (char)i && (kept < holder->sizes[i] || block[kept - 1] == (char)i),
               "expected realloc to keep the bytes");
    holder->blocks[i] = block;
    holder->sizes[i] = size;
    mark(block, size, (unsigned char)i);
}

static void work(struct holder *holder, unsigned steps)
{
    for (unsigned step = 0; step < steps; step++) {
        unsigned i = (unsigned)(random_next(&holder->random) % BLOCKS);
        if (holder->blocks[i])
            expect_mark(holder->blocks[i], holder->sizes[i], (unsigned char)i);
        if (random_next(&holder->random) % 3) {
            resize(holder, i);
            continue;
        }
        free(holder->blocks[i]);
        holder->blocks[i] = NULL;
        holder->sizes[i] = 0;
        if (step % 100 == 0)
            malloc_trim(0);
    }
}

int main(void)
{
    static struct holder holder = {.random = {99}};
    promise_begin(100);
    work(&holder, 500);
    running = "using up the mappings";
    use_up_mappings();
    running = "work without a mapping to be had";
    work(&holder, 3000);
    running = "work with a few mappings to be had";
    for (unsigned few = 0; few < 20; few++) {
        give_back_mappings(2);
        work(&holder, 200);
    }
    running = "work with mappings again";
    munmap(foreign, RESERVED);
    work(&holder, 200); /* some memory may have been refused until here */
    holder.refused = 0;
    work(&holder, 1000);
    expect(holder.refused == 0, "expected memory again, %u calls were refused", holder.refused);
    for (unsigned i = 0; i < BLOCKS; i++)
        free(holder.blocks[i]);
    allocate_all_classes((size_t)8 << 20);
    return 0;
}
