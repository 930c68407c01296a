// SPDX-License-Identifier: MIT
//
// Under `ulimit -v 65536` programs start, and one that allocates until there's no more is told so
// by NULL and ENOMEM, from every entry point; what it then frees it can allocate again.

#include "address_space.h"

#include <malloc.h>
#include <pthread.h>

static const size_t sizes[] = {16, 100, 1000, 8192, 65536, 1 << 20, 5 << 20};
#define SIZES (sizeof(sizes) / sizeof(*sizes))

static void run(char *program, char *argument)
{
    char *arguments[] = {program, argument, NULL};
    pid_t child = fork();
    if (child == 0) {
        limit_address_space((size_t)64 << 20);
        execv(program, arguments);
        _exit(3);
    }
    expect_success(child, program);
}

static void expect_every_entry_refused(void)
{
    const size_t size = (size_t)64 << 20;
    void *kept = malloc(10), *aligned = NULL;
    expect(!malloc(size) && errno == ENOMEM, "expected malloc to fail with ENOMEM");
    errno = 0;
    expect(!calloc(64, size / 64) && errno == ENOMEM, "expected calloc to fail with ENOMEM");
    errno = 0;
    expect(!realloc(kept, size) && errno == ENOMEM, "expected realloc to fail with ENOMEM");
    errno = 0;
    expect(!aligned_alloc(64, size) && errno == ENOMEM, "expected aligned_alloc to fail so");
    errno = 0;
    expect(!memalign(4096, size) && errno == ENOMEM, "expected memalign to fail with ENOMEM");
    expect(posix_memalign(&aligned, 64, size) == ENOMEM, "expected posix_memalign to say ENOMEM");
    errno = 0;
    expect(!valloc(size) && errno == ENOMEM, "expected valloc to fail with ENOMEM");
    errno = 0;
    expect(!pvalloc(size) && errno == ENOMEM, "expected pvalloc to fail with ENOMEM");
    free(kept);
}

static pthread_barrier_t exhausted;

/* Has no cache yet when there's no memory for one; frees some blocks nevertheless. */
static void *thread_in_need(void *chain)
{
    pthread_barrier_wait(&exhausted);
    for (size_t size = 16; size <= 100000; size *= 2)
        free(malloc(size));
    struct link **first = chain;
    for (unsigned i = 0; i < 10 && *first; i++) {
        struct link *block = *first;
        *first = block->next;
        free(block);
    }
    return NULL;
}

static pthread_t start_thread_in_need(struct link **chain)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)128 << 10);
    pthread_barrier_init(&exhausted, NULL, 2);
    expect(pthread_create(&thread, &attributes, thread_in_need, chain) == 0, "expected a thread");
    return thread;
}

static void fill(size_t size)
{
    size_t bytes, again;
    struct link *chain = NULL;
    pthread_t thread = start_thread_in_need(&chain);
    free_chain(allocate_to_the_limit(size, &bytes));
    expect(bytes >= (size_t)32 << 20, "expected at least 32 MB in blocks of %zu, got %zu KB", size,
           bytes >> 10);
    chain = allocate_to_the_limit(size, &again);
    expect(again >= bytes - bytes / 16, "expected %zu KB a second time, got %zu KB", bytes >> 10,
           again >> 10);
    expect_every_entry_refused();
    pthread_barrier_wait(&exhausted);
    pthread_join(thread, NULL);
    free_chain(chain);
}

int main(int argc, char **argv)
{
    promise_begin(30);
    char *number = argc > 1 ? strstr(argv[1], "fill ") : NULL;
    if (number) {
        fill(sizes[number[5] - '0']);
        return 0;
    }
    char name[] = "/bin/true", self[] = "/proc/self/exe", argument[] = "fill 0";
    run(name, NULL);
    for (unsigned i = 0; i < SIZES; i++) {
        argument[5] = (char)('0' + i);
        run(self, argument);
    }
    return 0;
}
