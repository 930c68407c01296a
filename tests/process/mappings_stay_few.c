// SPDX-License-Identifier: MIT
//
// The kernel allows a process 65,530 mappings. However mixed the work, with large reallocs, trims
// and threads, the library needs few: the process stays under 200.

#include "promise.h"

#include <malloc.h>
#include <pthread.h>

#define BLOCKS       20000
#define LARGE_BLOCKS 100
#define MAX_MAPPINGS 200

static unsigned mappings(void)
{
    char text[4096];
    unsigned lines = 0;
    int fd = open("/proc/self/maps", O_RDONLY);
    for (ssize_t got; (got = read(fd, text, sizeof(text))) > 0;)
        for (ssize_t i = 0; i < got; i++)
            lines += text[i] == '\n';
    close(fd);
    return lines;
}

static void expect_few(const char *when)
{
    unsigned count = mappings();
    expect(count > 5 && count < MAX_MAPPINGS, "expected fewer than %u mappings %s, counted %u",
           MAX_MAPPINGS, when, count);
}

/* Many blocks that grow past one another, so that they have to be moved. */
static void grow_large_blocks(struct random *random)
{
    char *blocks[LARGE_BLOCKS] = {NULL};
    size_t sizes[LARGE_BLOCKS];
    for (unsigned i = 0; i < LARGE_BLOCKS; i++)
        sizes[i] = 150000;
    for (unsigned step = 0; step < 1000; step++) {
        size_t i = random_next(random) % LARGE_BLOCKS;
        sizes[i] += sizes[i] / 2;
        if (sizes[i] > (size_t)8 << 20)
            sizes[i] = 150000;
        blocks[i] = realloc(blocks[i], sizes[i]);
        mark(blocks[i], sizes[i], (unsigned char)i);
        if (step % 200 == 0)
            expect_few("while large blocks grow");
    }
    for (unsigned i = 0; i < LARGE_BLOCKS; i++)
        free(blocks[i]);
}

static void *mix(void *seed)
{
    struct random random = {(size_t)seed};
    void **blocks = calloc(BLOCKS, sizeof(*blocks));
    for (unsigned step = 0; step < 5 * BLOCKS; step++) {
        size_t i = random_next(&random) % BLOCKS;
        free(blocks[i]);
        blocks[i] = malloc(random_size(&random, random_next(&random) % 100 ? 13 : 21));
        if (step % BLOCKS == 0)
            malloc_trim(0);
    }
    expect_few("in the midst of the work");
    for (unsigned i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    free(blocks);
    grow_large_blocks(&random);
    return NULL;
}

int main(void)
{
    pthread_t threads[3];
    promise_begin(60);
    for (size_t i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, mix, (void *)(i + 1));
    mix((void *)(size_t)4);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    expect_few("after the work");
    malloc_trim(0);
    expect_few("after trimming");
    return 0;
}
