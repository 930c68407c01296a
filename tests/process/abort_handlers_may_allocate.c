// SPDX-License-Identifier: MIT
//
// A program's handler of SIGABRT may malloc and free, whichever mistake was reported, as one does
// that writes a trace or saves its work: the process ends by SIGABRT after it, and neither hangs
// nor is reported on again and again.

#include "promise.h"

#include <malloc.h>
#include <pthread.h>

#define LARGE ((size_t)4 << 20)

static void *in_thread(void *unused)
{
    allocate_all_classes(LARGE);
    return unused;
}

static void on_abort(int signal_number)
{
    pthread_t thread;
    void *blocks[1000];
    (void)signal_number;
    allocate_all_classes(2 * LARGE);
    malloc_trim(0);
    expect(pthread_create(&thread, NULL, in_thread, NULL) == 0, "expected a thread");
    pthread_join(thread, NULL);
    for (size_t size = 112; size <= 100000; size *= 30)
        for (unsigned round = 0; round < 2; round++) {
            for (unsigned i = 0; i < 1000; i++)
                blocks[i] = malloc(size);
            for (unsigned i = 0; i < 1000; i++)
                free(blocks[i]);
        }
    if (write(2, "handled\n", 8) < 0)
        _exit(3);
}

/* --- The mistakes --- */

static void *block(size_t size)
{
    void *p = malloc(size);
    mark(p, size, 1);
    return p;
}

static void twice_at_trim(void)
{
    void *p = block(112), *q = block(112);
    block(112);
    free(p);
    free(q);
    free(p);
    malloc_trim(0);
}

/* After so many that the depot is full and free itself drains what comes next. */
static void twice_at_depot(void)
{
    static void *blocks[40000];
    for (unsigned i = 0; i < 40000; i++)
        blocks[i] = block(112);
    for (unsigned i = 0; i < 40000; i++) {
        free(blocks[i]);
        if (i == 20001)
            free(blocks[20000]);
    }
}

static void *free_it(void *p)
{
    free(p);
    return NULL;
}

/* The second time by a thread that has ended. */
static void twice_by_a_thread(void)
{
    pthread_t thread;
    void *p = block(112);
    block(112);
    free(p);
    pthread_create(&thread, NULL, free_it, p);
    pthread_join(thread, NULL);
    malloc_trim(0);
}

static void twice_in_a_row(void)
{
    void *p = block(112);
    free(p);
    free(p);
    block(112);
}

/* The handler comes upon the next of them, and its own report is the last. */
static void many_twice(void)
{
    static void *blocks[300];
    for (unsigned i = 0; i < 300; i++)
        blocks[i] = block(112);
    for (unsigned i = 0; i < 300; i++) {
        free(blocks[i]);
        free(blocks[i]);
    }
    block(112);
}

static void inside_small(void)
{
    free((char *)block(112) + 16);
    malloc_trim(0);
}

static void inside_pages(void)
{
    free((char *)block(100000) + 8192);
    malloc_trim(0);
}

static void inside_large(void)
{
    free((char *)block(LARGE) + 65536);
}

static void large_twice(void)
{
    void *p = block(LARGE);
    free(p);
    free(p);
}

static void foreign(void)
{
    static char bytes[64] __attribute__((aligned(16)));
    free(bytes);
}

static void realloc_inside_large(void)
{
    void *p = realloc((char *)block(LARGE) + 4096, 2 * LARGE);
    free(p);
}

static const struct mistake {
    void (*make)(void);
    const char *what;
    const char *second; /* how the second line begins */
} mistakes[] = {
    {twice_at_trim, "a double free found by malloc_trim", "handled"},
    {twice_at_depot, "a double free found by a full depot", "handled"},
    {twice_by_a_thread, "a block freed by two threads", "handled"},
    {twice_in_a_row, "a block freed twice in a row", "handled"},
    {many_twice, "blocks freed twice in a row, each", "goalloc: double free"},
    {inside_small, "free of a small block's middle", "handled"},
    {inside_pages, "free of a larger block's middle", "handled"},
    {inside_large, "free of a large block's middle", "handled"},
    {large_twice, "a large block freed twice", "handled"},
    {foreign, "free of a static address", "handled"},
    {realloc_inside_large, "realloc of a large block's middle", "handled"},
};

static void run_child(const struct mistake *mistake, int write_end)
{
    watchdog(5);
    signal(SIGABRT, on_abort);
    dup2(write_end, 2);
    mistake->make();
    _exit(0);
}

/* Reads all the child wrote to stderr and counts its lines; the first ones are kept. */
static unsigned read_lines(int read_end, char *kept, size_t size)
{
    char text[4096];
    unsigned lines = 0;
    size_t length = 0;
    for (ssize_t got; (got = read(read_end, text, sizeof(text))) > 0;)
        for (ssize_t i = 0; i < got; i++) {
            lines += text[i] == '\n';
            if (length < size - 1)
                kept[length++] = text[i];
        }
    kept[length] = '\0';
    return lines;
}

static void try(const struct mistake *mistake)
{
    int ends[2], status;
    char text[400];
    expect(pipe(ends) == 0, "expected a pipe");
    pid_t child = fork();
    if (child == 0)
        run_child(mistake, ends[1]);
    close(ends[1]);
    unsigned lines = read_lines(ends[0], text, sizeof(text));
    close(ends[0]);
    expect(waitpid(child, &status, 0) == child, "expected to wait for the child");
    expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
           "%s: expected SIGABRT, got status 0x%x after %u lines: %s", mistake->what,
           (unsigned)status, lines, text);
    expect(strncmp(text, "goalloc: ", 9) == 0, "%s: expected a report first, got: %s",
           mistake->what, text);
    const char *second = strchr(text, '\n') + 1;
    expect(lines == 2 && strncmp(second, mistake->second, strlen(mistake->second)) == 0,
           "%s: expected a report and a line \"%s\", got %u lines: %s", mistake->what,
           mistake->second, lines, text);
}

int main(void)
{
    promise_begin(60);
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++)
        try(&mistakes[i]);
    return 0;
}
