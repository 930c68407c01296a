// SPDX-License-Identifier: MIT
/* test.c: see test.h. */
#include <unistd.h>
#include <sys/syscall.h>
#include <sys/ioctl.h>
#include <linux/userfaultfd.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "test.h"

static void be_the_child(int stderr_fd, void (*function)(void *), void *argument)
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};
    const struct rlimit no_core = {0, 0};
    for (size_t i = 0; i < COUNT(signals); i++)
        signal(signals[i], SIG_DFL); /* cmocka's handlers would jump into the parent's tests */
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(stderr_fd, 2);
    alarm(60);
    function(argument);
    _exit(0);
}

static void read_all(int fd, char *text, size_t size)
{
    size_t length = 0;
    ssize_t got;
    char rest[256];
    while ((got = read(fd, text + length, size - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = '\0';
    while (read(fd, rest, sizeof(rest)) > 0) /* so that the child never blocks */
        ;
}

/* An emulator adds a line of its own when a program dies by a signal. */
static void drop_emulators_lines(char *text)
{
    char *line = getenv("GOALLOC_TEST_EMULATED") ? strstr(text, "qemu: ") : NULL;
    if (line)
        *line = '\0';
}

void child_run(struct child *child, void (*function)(void *), void *argument)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        be_the_child(ends[1], function, argument);
    close(ends[1]);
    read_all(ends[0], child->text, sizeof(child->text));
    close(ends[0]);
    drop_emulators_lines(child->text);
    assert_int_equal(waitpid(pid, &child->status, 0), pid);
}

void assert_child_passes(void (*function)(void *), void *argument)
{
    struct child child;
    child_run(&child, function, argument);
    if (child.status != 0)
        fail_msg("the child ended with status %#x: %s", (unsigned)child.status, child.text);
}

void assert_child_aborts(void (*function)(void *), void *argument, const char *words)
{
    struct child child;
    child_run(&child, function, argument);
    if (!WIFSIGNALED(child.status) || WTERMSIG(child.status) != SIGABRT)
        fail_msg("no abort for \"%s\" but status %#x: %s", words, (unsigned)child.status,
                 child.text);
    if (strncmp(child.text, "goalloc: ", 9) != 0 || !strstr(child.text, words))
        fail_msg("expected \"%s\", got: %s", words, child.text);
    if (strchr(child.text, '\n') != child.text + strlen(child.text) - 1)
        fail_msg("not one line: %s", child.text);
}

void child_fail(const char *file, int line, const char *what)
{
    dprintf(2, "%s:%d: %s doesn't hold\n", file, line, what);
    _exit(1);
}

size_t count_mappings(uintptr_t from, uintptr_t to)
{
    char line[512];
    size_t count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        char *end;
        uintptr_t first = strtoul(line, &end, 16), last = strtoul(end + 1, NULL, 16);
        count += first < to && last > from;
    }
    fclose(maps);
    return count;
}

bool test_kernel_moves(void)
{
    const size_t size = 65536;
    char *from = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | 4 /* MREMAP_DONTUNMAP */;
    bool moves = from != MAP_FAILED && mremap(from, size, size, flags, from + size) == from + size;
    munmap(from, 2 * size);
    return moves;
}

bool test_kernel_tracks(void)
{
    struct uffdio_api api = {.api = UFFD_API, /* asynchronously, and what was never touched */
                             .features = UINT64_C(1) << 15 | UINT64_C(1) << 13};
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | 1 /* USER_MODE_ONLY */);
    bool tracks = fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0;
    if (fd >= 0)
        close(fd);
    return tracks;
}

bool test_kernel_fetches(void)
{
    const size_t page = 4096;
    if (sysconf(_SC_PAGESIZE) != (long)page)
        return false;
    char *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool fetches = memory != MAP_FAILED && madvise(memory, page, 23 /* MADV_POPULATE_WRITE */) == 0;
    munmap(memory, page);
    return fetches;
}
