// SPDX-License-Identifier: MIT
/*
 * promise.h: what the programs under tests/process share.
 *
 * Each is a process of its own that keeps one promise or ends with status 1 and one line that says
 * what was expected. Nothing here allocates, so that it can be used wherever malloc is under test.
 */
#ifndef GOALLOC_PROCESS_PROMISE_H
#define GOALLOC_PROCESS_PROMISE_H

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goalloc/goalloc.h>

/* Meson counts this exit status as "skipped". */
#define EXIT_SKIPPED 77

/* --- Saying what was expected --- */

static inline void expect(bool holds, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Ends the process, in whichever thread, with no handler or destructor run. */
static inline void expect(bool holds, const char *format, ...)
{
    char line[512];
    va_list args;
    if (holds)
        return;
    va_start(args, format);
    int length = vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    size_t end = length < 0 ? 0 : (size_t)length;
    end = end > sizeof(line) - 2 ? sizeof(line) - 2 : end;
    line[end] = '\n';
    if (write(2, line, end + 1) < 0)
        _exit(2);
    _exit(1);
}

/* What the watchdog says was going on. */
static const char *volatile running = "its work";

static inline void out_of_time(int signal_number)
{
    (void)signal_number;
    expect(false, "expected to be done long ago: something waits for ever in %s", running);
}

/* A forked child inherits the handler, but needs an alarm of its own. */
static inline void watchdog(unsigned seconds)
{
    signal(SIGALRM, out_of_time);
    alarm(seconds);
}

/* --- The library, which the programs aren't linked with --- */

/* As a data pointer, which is what dlsym has; C has no cast to a function pointer. */
static inline void *library_symbol(const char *name)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);
    expect(symbol != NULL, "expected the preloaded library to have %s", name);
    return symbol;
}

static inline struct ga_stats stats_now(void)
{
    void (*read_stats)(struct ga_stats *, size_t);
    struct ga_stats stats;
    void *symbol = library_symbol("ga_stats");
    memcpy(&read_stats, &symbol, sizeof(read_stats));
    read_stats(&stats, sizeof(stats));
    return stats;
}

/* Without this a promise would be kept by whichever malloc there is. */
static inline void expect_goalloc(void)
{
    Dl_info version, allocator;
    expect(dladdr(library_symbol("ga_version"), &version) != 0, "expected ga_version in a library");
    expect(dladdr(library_symbol("malloc"), &allocator) != 0, "expected malloc in a library");
    expect(version.dli_fbase == allocator.dli_fbase, "expected malloc to be goalloc's, not %s's",
           allocator.dli_fname);
}

static inline void promise_begin(unsigned seconds)
{
    watchdog(seconds);
    expect_goalloc();
}

/* --- Using malloc --- */

struct random {
    uint64_t state; /* not 0 */
};

static inline uint64_t random_next(struct random *random)
{
    random->state ^= random->state << 13;
    random->state ^= random->state >> 7;
    random->state ^= random->state << 17;
    return random->state;
}

/* Mostly small, sometimes up to 2^largest_shift bytes. */
static inline size_t random_size(struct random *random, unsigned largest_shift)
{
    unsigned shift = 4 + (unsigned)(random_next(random) % (largest_shift - 3));
    return 1 + (size_t)(random_next(random) % (1u << shift));
}

/* Marks both ends of a block, so that two blocks in one place are noticed. */
static inline void mark(void *block, size_t size, unsigned char with)
{
    unsigned char *bytes = block;
    expect(block != NULL, "expected %zu bytes, malloc returned NULL", size);
    expect((uintptr_t)block % 16 == 0, "expected a block aligned to 16, got %p", block);
    bytes[0] = bytes[size - 1] = with;
}

static inline void expect_mark(const void *block, size_t size, unsigned char with)
{
    const unsigned char *bytes = block;
    expect(bytes[0] == with && bytes[size - 1] == with,
           "expected the %zu bytes at %p to keep %u, found %u and %u", size, block, with, bytes[0],
           bytes[size - 1]);
}

/* Sizes in every class and beyond: about 120 of them, the largest near `largest`. */
static inline size_t next_size(size_t size)
{
    return size + size / 8 + 1;
}

/* All of them at once, then none. */
static inline void allocate_all_classes(size_t largest)
{
    void *blocks[256];
    unsigned count = 0;
    for (size_t size = 1; size <= largest; size = next_size(size)) {
        blocks[count] = malloc(size);
        mark(blocks[count], size, (unsigned char)count);
        count++;
    }
    unsigned i = 0;
    for (size_t size = 1; size <= largest; size = next_size(size), i++) {
        expect_mark(blocks[i], size, (unsigned char)i);
        free(blocks[i]);
    }
}

/* malloc's relatives: whatever a process may need at any moment. */
static inline void use_whole_family(void)
{
    char *text = calloc(3, 5);
    expect(text && !text[0] && !text[14], "expected calloc to give zeroed bytes");
    strcpy(text, "fourteen chars");
    text = realloc(text, 3000);
    expect(text && strcmp(text, "fourteen chars") == 0, "expected realloc to keep the bytes");
    free(text);
    void *aligned = NULL;
    expect(posix_memalign(&aligned, 4096, 100) == 0, "expected posix_memalign to succeed");
    expect((uintptr_t)aligned % 4096 == 0, "expected a page-aligned block, got %p", aligned);
    free(aligned);
    free(NULL);
}

/* --- Looking at the process --- */

/* The number after `name` in one of /proc's files; -1 if it isn't there. Reads up to 16 KB. */
static inline long proc_number(const char *file, const char *name)
{
    static char text[16384];
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    close(fd);
    if (length < 0)
        return -1;
    text[length] = '\0';
    const char *at = strstr(text, name);
    return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

static inline size_t resident_kilobytes(void)
{
    return (size_t)proc_number("/proc/self/status", "VmRSS:");
}

/* --- Child processes --- */

static inline void expect_success(pid_t child, const char *what)
{
    int status;
    expect(child > 0, "expected to fork %s", what);
    expect(waitpid(child, &status, 0) == child, "expected %s to be waited for", what);
    expect(!WIFSIGNALED(status), "expected %s to end well, it ended by signal %d", what,
           WTERMSIG(status));
    expect(WEXITSTATUS(status) == 0, "expected %s to end well, its status is %d", what,
           WEXITSTATUS(status));
}

/* The program once more, with the environment as it is now, to do what `name` says. */
static inline void run_again(const char *name)
{
    char self[] = "/proc/self/exe", copy[64];
    char *arguments[] = {self, copy, NULL};
    snprintf(copy, sizeof(copy), "%s", name);
    pid_t child = fork();
    if (child == 0) {
        execv(self, arguments);
        _exit(3);
    }
    expect_success(child, name);
}

#endif
