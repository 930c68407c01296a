// SPDX-License-Identifier: MIT
//
// With GOALLOC=background a program that only sleeps gets its free memory given back, by a thread
// that has a name, handles no signal, is gone when nothing waits, isn't in a forked child, and
// doesn't hold up the process's end. Without that option there is no such thread, ever.

#include "promise.h"

#include <dirent.h>
#include <errno.h>
#include <sys/resource.h>
#include <time.h>

#define MB     ((size_t)1 << 20)
#define BLOCKS 1600
#define SIZE   ((size_t)64 << 10)
/* At least so much of them is held back in the end. */
#define HELD_KILOBYTES (60u << 10)

static void *blocks[BLOCKS];

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void sleep_for(double seconds)
{
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

/* free keeps errno, also where it releases memory and starts a thread. */
static void use_memory(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(SIZE);
        expect(blocks[i] != NULL, "expected a block");
        memset(blocks[i], 1, SIZE);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        errno = 12345;
        free(blocks[i]);
        expect(errno == 12345, "expected free to keep errno, it is %d", errno);
    }
}

/* --- Looking for the thread, without a malloc --- */

static long threads_now(void)
{
    return proc_number("/proc/self/status", "Threads:");
}

/* Another thread than this one, of which there is one at most; 0: there's none. Only right after a
 * thread was started can its name still be the program's. */
static int other_thread(void)
{
    char text[4096];
    int found = 0, self = (int)getpid();
    int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ssize_t length = getdents64(fd, text, sizeof(text));
    close(fd);
    for (ssize_t at = 0; at < length;) {
        const struct dirent64 *entry = (const struct dirent64 *)(text + at);
        int number = (int)strtol(entry->d_name, NULL, 10);
        found = number > 0 && number != self ? number : found;
        at += entry->d_reclen;
    }
    return found;
}

static void read_task(int thread, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/%s", thread, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, text, size - 1);
    close(fd);
    expect(length > 0, "expected to read %s", path);
    text[length] = '\0';
}

/* Uses memory until it is held back, since it was needed again and again. */
static int start_waiting(void)
{
    size_t before = resident_kilobytes();
    for (unsigned i = 0; i < 20 && resident_kilobytes() < before + HELD_KILOBYTES; i++)
        use_memory();
    expect(resident_kilobytes() >= before + HELD_KILOBYTES,
           "expected memory that is needed again and again to be held, RSS is %zu KB, at the start "
           "it was %zu",
           resident_kilobytes(), before);
    int thread = other_thread();
    expect(thread != 0, "expected a thread while memory waits to be given back");
    sleep_for(0.1);
    return thread;
}

static void expect_goes_back(size_t start)
{
    const double begun = now();
    while (resident_kilobytes() > start + (12 << 10) && now() < begun + 3)
        sleep_for(0.02);
    expect(resident_kilobytes() <= start + (12 << 10),
           "expected RSS to come back to %zu KB and 12 MB in 3 s, it is %zu KB", start,
           resident_kilobytes());
    while (threads_now() > 1 && now() < begun + 6)
        sleep_for(0.02);
    expect(threads_now() == 1, "expected the thread to be gone when nothing waits");
}

static void expect_name_and_mask(int thread)
{
    char text[4096];
    read_task(thread, "comm", text, sizeof(text));
    expect(strcmp(text, "goalloc-scav\n") == 0, "expected the name goalloc-scav, got %s", text);
    read_task(thread, "status", text, sizeof(text));
    const char *line = strstr(text, "SigBlk:");
    uint64_t blocked = line ? strtoull(line + 7, NULL, 16) : 0;
    for (int number = 1; number <= 64; number++) {
        /* Two that can't be blocked, and those that libc keeps for itself. */
        bool exempt = number == SIGKILL || number == SIGSTOP || (number > 31 && number < SIGRTMIN);
        expect(exempt || blocked >> (number - 1) & 1, "expected the thread to block signal %d",
               number);
    }
}

static void expect_not_in_child(void)
{
    pid_t child = fork();
    if (child == 0) {
        watchdog(10);
        expect(threads_now() == 1, "expected one thread in a forked child");
        use_memory();
        allocate_all_classes(MB);
        expect(threads_now() <= 2, "expected one thread of the allocator's at most");
        _exit(0);
    }
    expect_success(child, "the child of a process with the thread");
}

/* --- The programs that run --- */

static void with_thread(void)
{
    free(malloc(1));
    memset(blocks, 0, sizeof(blocks)); /* the list counts from the start */
    size_t before = resident_kilobytes();
    int thread = start_waiting();
    expect_name_and_mask(thread);
    expect_not_in_child();
    expect_goes_back(before);
    expect_not_in_child();
}

/* Says on its standard output when its end began. */
static void with_thread_to_the_end(void)
{
    start_waiting();
    expect(threads_now() == 2, "expected the thread to wait still");
    double end = now();
    expect(write(1, &end, sizeof(end)) == sizeof(end), "expected to write the time");
}

/* No memory for a stack, or the kernel may not start a thread: all goes on without. */
static void without_room_for_thread(void)
{
    free(malloc(1));
    allocate_all_classes(MB);
    use_memory();
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = 1;
    setrlimit(RLIMIT_AS, &limit);
    for (double end = now() + 0.5; now() < end;) {
        use_memory();
        sleep_for(0.05);
    }
}

static void without_thread(void)
{
    use_memory();
    use_memory();
    for (unsigned i = 0; i < 50; i++) {
        expect(threads_now() == 1, "expected no thread without GOALLOC=background");
        free(malloc(MB / 2));
        sleep_for(0.05);
    }
    use_memory();
    expect(threads_now() == 1, "expected no thread without GOALLOC=background");
}

static const struct program {
    const char *name;
    void (*body)(void);
    const char *options;
} programs[] = {
    {"with a thread", with_thread, "background"},
    {"with a thread to the end", with_thread_to_the_end, "background"},
    {"without room for a thread", without_room_for_thread, "background"},
    {"without a thread", without_thread, ""},
};

/* Anew, since the options are read at the start. */
static pid_t start(const struct program *program)
{
    char self[] = "/proc/self/exe", name[64];
    char *arguments[] = {self, name, NULL};
    snprintf(name, sizeof(name), "%s", program->name);
    setenv("GOALLOC", program->options, 1);
    pid_t child = fork();
    if (child == 0) {
        execv(self, arguments);
        _exit(3);
    }
    return child;
}

/* How long the end takes of a process whose thread waits. */
static double time_end(const struct program *program)
{
    int ends[2], output = dup(1);
    double begun = 0;
    expect(pipe2(ends, O_CLOEXEC) == 0, "expected a pipe");
    dup2(ends[1], 1);
    pid_t child = start(program);
    dup2(output, 1);
    close(output);
    close(ends[1]);
    expect(read(ends[0], &begun, sizeof(begun)) == sizeof(begun), "expected the time of an end");
    close(ends[0]);
    expect_success(child, program->name);
    return now() - begun;
}

/* The best of some tries: a machine may be busy. */
static void expect_quick_end(const struct program *program)
{
    double best = 10;
    for (unsigned i = 0; i < 5 && best > 0.05; i++) {
        double took = time_end(program);
        best = took < best ? took : best;
    }
    expect(best < 0.1, "expected the thread not to hold up the end, it took %.2f s", best);
}

int main(int argc, char **argv)
{
    promise_begin(30);
    for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++)
        if (argc > 1 && strcmp(argv[1], programs[i].name) == 0) {
            programs[i].body();
            return 0;
        }
    for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++)
        if (programs[i].body == with_thread_to_the_end)
            expect_quick_end(&programs[i]);
        else
            expect_success(start(&programs[i]), programs[i].name);
    return 0;
}
