// SPDX-License-Identifier: MIT
//
// With gc=audit a process says at its end how many blocks a collector would have freed that the
// program freed or resized itself later; with gc=leaks what is out of reach, by size; in the file
// of report=, where there is one, else on standard error.

#include "collected.h"

#define COUNT  100
#define SIZE   496
#define MARGIN 10

/* Static: nothing of it is left on a stack. */
static hidden hidden_blocks[COUNT];
static void *plain_blocks[COUNT];

__attribute__((noinline)) static void make_all(void)
{
    for (unsigned i = 0; i < COUNT; i++) {
        hidden_blocks[i] = hide(make_block(SIZE));
        plain_blocks[i] = make_block(SIZE);
    }
}

static void free_hidden(void)
{
    make_all();
    full_cycle();
    for (unsigned i = 0; i < COUNT; i += 2)
        free(unhide(hidden_blocks[i]));
    for (unsigned i = 1; i < COUNT; i += 2)
        hidden_blocks[i] = hide(realloc(unhide(hidden_blocks[i]), (size_t)SIZE * 20));
    for (unsigned i = 0; i < COUNT; i++)
        free(plain_blocks[i]);
}

static void free_plain(void)
{
    make_all();
    full_cycle();
    for (unsigned i = 0; i < COUNT; i++) {
        expect(is_whole(hidden_blocks[i], SIZE), "expected an audit to free nothing");
        free(plain_blocks[i]);
    }
}

static void leak(void)
{
    make_all();
    clear_stack();
}

/* --- Looking at what they say --- */

static char said[16384];

static void read_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, said, sizeof(said) - 1);
    close(fd);
    said[length > 0 ? length : 0] = '\0';
}

/* The number in front of `text`, which has to be there. */
static size_t number_before(const char *text)
{
    const char *at = strstr(said, text);
    expect(at != NULL, "expected \"%s\" in what was said: %s", text, said);
    while (at > said && at[-1] >= '0' && at[-1] <= '9')
        at--;
    return strtoul(at, NULL, 10);
}

static void expect_about(size_t number, size_t expected, const char *what)
{
    expect(number + MARGIN >= expected && number <= expected + MARGIN,
           "expected about %zu %s, not %zu: %s", expected, what, number, said);
}

/* Its standard error goes to a file, too. */
static void run_with(const char *name, const char *options, const char *directory)
{
    char list[4096], path[4096];
    int before = dup(2);
    snprintf(path, sizeof(path), "%s/findings.%d", directory, (int)getpid());
    snprintf(list, sizeof(list), "%s%s", options, strstr(options, "report=") ? path : "");
    setenv("GOALLOC", list, 1);
    bool to_file = strstr(options, "report=") != NULL;
    unlink(path);
    if (!to_file)
        dup2(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), 2);
    run_again(name);
    dup2(before, 2);
    close(before);
    read_file(path);
    unlink(path);
}

int main(int argc, char **argv)
{
    gc_promise_begin(60);
    expect(argc == 2, "expected a directory");
    if (strcmp(argv[1], "hidden") == 0) {
        free_hidden();
        return 0;
    }
    if (strcmp(argv[1], "plain") == 0) {
        free_plain();
        return 0;
    }
    if (strcmp(argv[1], "leak") == 0) {
        leak();
        return 0;
    }
    run_with("hidden", "gc=audit,report=", argv[1]);
    expect_about(number_before(" of them freed by the program"), COUNT, "freed by the program");
    run_with("plain", "gc=audit", argv[1]);
    expect(number_before(" of them freed by the program") == 0, "expected none to be freed: %s",
           said);
    expect_about(number_before(" blocks of "), COUNT, "blocks out of reach");
    run_with("leak", "gc=leaks,report=", argv[1]);
    expect_about(number_before(" blocks of 512 bytes\n"), COUNT, "blocks of their size");
    run_with("leak", "gc=leaks", argv[1]);
    expect_about(number_before(" blocks of 512 bytes\n"), COUNT, "blocks of their size");
    return 0;
}
