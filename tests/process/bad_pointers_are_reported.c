// SPDX-License-Identifier: MIT
//
// free, realloc and malloc_usable_size of what isn't a block, and a block freed twice, end the
// process by SIGABRT after one line on stderr that names the kind, the address, the size class
// where there is one, and the thread. What shows only when a magazine is drained shows there at the
// latest.

#include "promise.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>

#define LARGE ((size_t)4 << 20)

/* Where the child says which pointer it will misuse: shared with the parent. */
static void **misused;

static void *note(void *p)
{
    *misused = p;
    return p;
}

static void *block(size_t size)
{
    char *p = malloc(size);
    mark(p, size, 1);
    return p;
}

static void *inside(size_t size, size_t offset)
{
    return note((char *)block(size) + offset);
}

static void *freed_large(void)
{
    void *p = note(block(LARGE));
    free(p);
    return p;
}

static void *stack_address(void)
{
    static char *volatile address;
    char local[64];
    address = local;
    return note((void *)((uintptr_t)address & ~(uintptr_t)15));
}

static void *static_address(void)
{
    static char bytes[64] __attribute__((aligned(16)));
    return note(bytes);
}

static void *mapped_address(void)
{
    return note(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

/* --- The mistakes --- */

static void free_stack(void)
{
    free(stack_address());
}

static void free_static(void)
{
    free(static_address());
}

static void free_mapped(void)
{
    free(mapped_address());
}

/* Where programs lie that aren't position-independent. */
static void free_low_mapping(void)
{
    void *wish = (void *)(uintptr_t)0x10000000;
    free(note(mmap(wish, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
}

static void free_low_address(void)
{
    free(note((void *)(uintptr_t)64));
}

static void free_beyond_heap(void)
{
    free(note((void *)((uintptr_t)block(100) + ((size_t)1 << 40))));
}

static void free_misaligned_small(void)
{
    free(inside(100, 1));
}

static void free_misaligned_large(void)
{
    free(inside(LARGE, 9));
}

static void free_interior_small(void)
{
    free(inside(100, 16));
    malloc_trim(0);
}

static void free_interior_of_pages(void)
{
    free(inside(100000, 8192));
    malloc_trim(0);
}

static void free_interior_large(void)
{
    free(inside(LARGE, 65536));
}

static void free_large_twice(void)
{
    free(freed_large());
}

static void free_after_trim(void)
{
    void *p = note(block(100000));
    free(p);
    malloc_trim(0);
    free(p);
}

static void free_twice_in_a_row(void)
{
    void *p = note(block(100));
    free(p);
    free(p);
    block(100);
}

/* Its neighbours stay, and with them their span. */
static void free_twice_and_drain(void)
{
    void *p = note(block(100)), *q = block(100);
    block(100);
    free(p);
    free(q);
    free(p);
    malloc_trim(0);
}

static void free_twice_and_drain_all(void)
{
    void *p = note(block(100000)), *q = block(100000);
    free(p);
    free(q);
    free(p);
    malloc_trim(0);
}

static void *free_it(void *p)
{
    free(p);
    return NULL;
}

static void free_twice_in_two_threads(void)
{
    pthread_t thread;
    void *p = note(block(100));
    block(100);
    free(p);
    pthread_create(&thread, NULL, free_it, p);
    pthread_join(thread, NULL);
    malloc_trim(0);
}

static void realloc_foreign(void)
{
    void *p = realloc(static_address(), 100);
    free(p);
}

static void realloc_misaligned(void)
{
    void *p = realloc(inside(100, 4), 5000);
    free(p);
}

static void realloc_interior_large(void)
{
    void *p = realloc(inside(LARGE, 4096), LARGE * 2);
    free(p);
}

static void realloc_freed_large(void)
{
    void *p = realloc(freed_large(), LARGE * 2);
    free(p);
}

static void usable_size_of_foreign(void)
{
    expect(malloc_usable_size(stack_address()) == 0, "expected no size for a stack address");
}

static void usable_size_of_interior_large(void)
{
    expect(malloc_usable_size(inside(LARGE, 4096)) == 0, "expected no size for the middle");
}

static const struct mistake {
    void (*make)(void);
    const char *what;
    const char *kind;  /* must be in the line */
    const char *class; /* must be in the line too; NULL: there is no class to name */
} mistakes[] = {
    {free_stack, "free of a stack address", "free of a foreign pointer", NULL},
    {free_static, "free of a static address", "free of a foreign pointer", NULL},
    {free_mapped, "free of a mapping", "free of a foreign pointer", NULL},
    {free_low_mapping, "free of a low mapping", "free of a foreign pointer", NULL},
    {free_low_address, "free of a number", "free of a foreign pointer", NULL},
    {free_beyond_heap, "free beyond the heap", "free of a foreign pointer", NULL},
    {free_misaligned_small, "free of a misaligned address", "misaligned", "of 112 bytes"},
    {free_misaligned_large, "free of a misaligned large address", "interior", "4194304"},
    {free_interior_small, "free of a small block's middle", "middle of a block", "of 112 bytes"},
    {free_interior_of_pages, "free of a larger block's middle", "middle of a block", "size class"},
    {free_interior_large, "free of a large block's middle", "interior pointer", "4194304"},
    {free_large_twice, "a large block freed twice", "freed block", NULL},
    {free_after_trim, "a block freed again after its span was", "freed block", NULL},
    {free_twice_in_a_row, "a block freed twice in a row", "double free", "of 112 bytes"},
    {free_twice_and_drain, "a block freed twice with another between", "double free", "of 112"},
    {free_twice_and_drain_all, "a block freed twice whose span went", "freed before", "size class"},
    {free_twice_in_two_threads, "a block freed by two threads", "double free", "of 112 bytes"},
    {realloc_foreign, "realloc of a static address", "realloc of a foreign pointer", NULL},
    {realloc_misaligned, "realloc of a misaligned address", "realloc of a misaligned", "of 112"},
    {realloc_interior_large, "realloc of a large block's middle", "realloc of an interior", NULL},
    {realloc_freed_large, "realloc of a freed large block", "realloc of a freed block", NULL},
    {usable_size_of_foreign, "usable size of a stack address",
     "malloc_usable_size of a foreign pointer", NULL},
    {usable_size_of_interior_large, "usable size of a large block's middle",
     "malloc_usable_size of an interior", "4194304"},
};

static void run_child(const struct mistake *mistake, int write_end)
{
    watchdog(10);
    dup2(write_end, 2);
    mistake->make();
    _exit(0);
}

/* Everything the child wrote to stderr. */
static void read_all(int read_end, char *text, size_t size)
{
    size_t length = 0;
    for (ssize_t got; length < size - 1; length += (size_t)got)
        if ((got = read(read_end, text + length, size - 1 - length)) <= 0)
            break;
    text[length] = '\0';
}

static void expect_line(const struct mistake *mistake, const char *text, pid_t child)
{
    char address[32], thread[32];
    snprintf(address, sizeof(address), "%p", *misused);
    snprintf(thread, sizeof(thread), "thread %d", child);
    const char *end = strchr(text, '\n');
    expect(end && end[1] == '\0', "%s: expected one line, got \"%s\"", mistake->what, text);
    expect(strncmp(text, "goalloc: ", 9) == 0, "%s: expected a line of goalloc's, got %s",
           mistake->what, text);
    expect(strstr(text, mistake->kind) != NULL, "%s: expected \"%s\" in: %s", mistake->what,
           mistake->kind, text);
    expect(!mistake->class || strstr(text, mistake->class), "%s: expected \"%s\" in: %s",
           mistake->what, mistake->class ? mistake->class : "", text);
    expect(strstr(text, address) != NULL, "%s: expected address %s in: %s", mistake->what, address,
           text);
    expect(strstr(text, thread) != NULL, "%s: expected \"%s\" in: %s", mistake->what, thread, text);
}

static void try(const struct mistake *mistake)
{
    int ends[2], status;
    char text[4096];
    expect(pipe(ends) == 0, "expected a pipe");
    pid_t child = fork();
    if (child == 0)
        run_child(mistake, ends[1]);
    close(ends[1]);
    read_all(ends[0], text, sizeof(text));
    close(ends[0]);
    expect(waitpid(child, &status, 0) == child, "expected to wait for the child");
    expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
           "%s: expected SIGABRT, got status 0x%x and \"%s\"", mistake->what, (unsigned)status,
           text);
    expect_line(mistake, text, child);
}

int main(void)
{
    promise_begin(60);
    misused = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    expect(misused != MAP_FAILED, "expected a shared page");
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++)
        try(&mistakes[i]);
    return 0;
}
