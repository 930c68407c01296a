// SPDX-License-Identifier: MIT
//
// Where cycles mark in a copy of the process (gc_track=off) the program doesn't notice: it waits
// for no child of ours, hears of none, and no file of its own is held open; the copy ends with the
// process. Where there can't be one, or it would miss something, the world is stopped instead. What
// comes back into reach while the copy is marked stays.

#include "collected.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define NODES 200000 /* so many take the copy some time */
#define SIZE  400

struct node {
    struct node *next;
    uintptr_t rest[7];
};

static struct node *nodes;
static ga_gc_weak *(*weak_new)(void *);
static void *(*weak_get)(const ga_gc_weak *);
static void (*weak_free)(ga_gc_weak *);
static int (*link_word)(void **, const void *);
static void *(*atomic_malloc)(size_t);
static int (*add_root)(const void *, size_t);

/* --- Children, signals, files --- */

static atomic_uint deaths;

static void on_death(int number)
{
    (void)number;
    atomic_fetch_add(&deaths, 1);
}

static void no_child_is_seen(void)
{
    for (unsigned i = 0; i < 1000; i++) {
        expect(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "expected no child");
        usleep(200);
    }
    expect(atomic_load(&deaths) == 0, "expected no SIGCHLD, not %u", atomic_load(&deaths));
    for (unsigned i = 0; i < 5; i++) {
        pid_t child = fork(), found;
        if (child == 0)
            _exit(3);
        int status;
        while ((found = waitpid(-1, &status, 0)) == -1 && errno == EINTR) {
        }
        expect(found == child && WEXITSTATUS(status) == 3, "expected to wait for the own child");
    }
    expect(atomic_load(&deaths) == 5, "expected 5 SIGCHLD, not %u", atomic_load(&deaths));
}

/* Whoever else held the other end would keep it open. */
static void what_is_closed_is_closed(void)
{
    for (unsigned i = 0; i < 2000; i++) {
        int ends[2];
        expect(pipe(ends) == 0, "expected a pipe");
        usleep(100);
        close(ends[1]);
        struct pollfd poll_for = {ends[0], POLLIN, 0};
        expect(poll(&poll_for, 1, 0) == 1 && (poll_for.revents & POLLHUP),
               "expected a pipe to be closed at once");
        close(ends[0]);
    }
}

/* --- It dies with us --- */

/* The copy's number, once there's one. */
static pid_t find_copy(void)
{
    char path[64];
    for (pid_t pid = getpid();; pid++) {
        pid = pid > getpid() + 1000 ? getpid() + 1 : pid;
        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        if (proc_number(path, "PPid:") == getpid())
            return pid;
    }
}

/* Of itself the copy would now never end. */
static void die_amid_a_cycle(void)
{
    pthread_t thread;
    watchdog(30);
    atomic_store(&stop_cycles, false);
    pthread_create(&thread, NULL, collect_for_ever, NULL);
    kill(find_copy(), SIGSTOP);
    kill(getpid(), SIGKILL);
}

/* What is left of a child becomes ours. */
static void it_dies_with_the_process(void)
{
    expect(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "expected to be a reaper");
    for (unsigned i = 0; i < 5; i++) {
        pid_t child = fork();
        if (child == 0)
            die_amid_a_cycle();
        unsigned waited = 0, ended = 0;
        for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG | __WALL)) != -1; ended += pid > 0)
            expect(pid > 0 || (usleep(1000), waited++ < 20000), "expected the copy to have ended");
        expect(ended >= 1, "expected a child to end");
    }
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

/* --- Where there's none --- */

static void refuse_copies(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_VM, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};
    expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "expected to give up privileges");
    expect(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 1, &program) == 0, "expected a filter");
}

/* In a child, whose collector's thread begins under the filter. */
static void a_refusal_stops_the_world(void)
{
    pid_t child = fork();
    if (child == 0) {
        struct ga_gc_stats before = gc_stats_now();
        refuse_copies();
        expect(collect() == 0, "expected a cycle to succeed without a copy");
        struct ga_gc_stats stats = gc_stats_now();
        expect(stats.in_stops == before.in_stops + 1 && stats.snapshots == before.snapshots,
               "expected the world to be stopped");
        _exit(0);
    }
    expect_success(child, "a child");
}

static void memory_that_is_not_copied_counts(void)
{
    struct ga_gc_stats before = gc_stats_now();
    void **page = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(page != MAP_FAILED && madvise(page, 65536, MADV_DONTFORK) == 0, "expected a mapping");
    page[100] = make_block(SIZE);
    expect_alive(hide(page[100]), SIZE, "memory that forks don't copy");
    expect(gc_stats_now().in_stops > before.in_stops, "expected the world to be stopped");
    munmap(page, 65536);
}

/* --- What moves while the copy is marked --- */

static void *volatile private_place;

/* The copy sees the private place as it was, and the shared one as it is. */
static void shared_roots_are_of_the_same_moment(void)
{
    void *volatile *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    expect(shared != MAP_FAILED, "expected a mapping");
    expect(add_root((const void *)shared, 4096) == 0, "expected a root");
    hidden block = hide(private_place = make_block(SIZE));
    for (unsigned i = 0; i < 300; i++) {
        shared[9] = private_place;
        private_place = NULL;
        clear_stack();
        usleep(1000);
        expect(is_whole(block, SIZE), "expected a block to live by a shared root");
        private_place = shared[9];
        shared[9] = NULL;
        clear_stack();
        usleep(1000);
        if (i % 8 == 0)
            overwrite_free(SIZE);
        expect(is_whole(block, SIZE), "expected a block to live by a private place");
    }
}

__attribute__((noinline)) static ga_gc_weak *weak_block(void)
{
    return weak_new(make_block(SIZE));
}

static void weak_pointers_bring_back(void)
{
    unsigned brought = 0;
    for (unsigned i = 0; i < 100; i++) {
        ga_gc_weak *weak = weak_block();
        clear_stack();
        usleep(100 * (i % 97)); /* it may be out of reach in the copy by now */
        void *block = weak_get(weak);
        size_t cycles = gc_stats_now().cycles;
        while (block && gc_stats_now().cycles < cycles + 1)
            usleep(500);
        overwrite_free(SIZE);
        expect(!block || is_whole(hide(block), SIZE), "expected a block that was got to live");
        brought += block != NULL;
        weak_free(weak);
    }
    expect(brought > 5, "expected some of 100 to be brought back, not %u", brought);
}

__attribute__((noinline)) static void link_block(void *volatile *word)
{
    *word = make_block(SIZE);
    link_word((void **)(uintptr_t)word, *word);
}

static void links_bring_back(void)
{
    void *volatile *word = atomic_malloc(64);
    unsigned brought = 0;
    for (unsigned i = 0; i < 50; i++) {
        link_block(word);
        clear_stack();
        usleep(100 * (i % 97));
        void *block = *word;
        size_t cycles = gc_stats_now().cycles;
        while (block && gc_stats_now().cycles < cycles + 1)
            usleep(500);
        overwrite_free(SIZE);
        expect(!block || is_whole(hide(block), SIZE), "expected a block by a link to live");
        brought += block != NULL;
    }
    expect(brought > 2, "expected some of 50 to be brought back, not %u", brought);
}

int main(void)
{
    gc_promise_begin(170);
    find_call("ga_gc_weak_new", &weak_new);
    find_call("ga_gc_weak_get", &weak_get);
    find_call("ga_gc_weak_free", &weak_free);
    find_call("ga_gc_link", &link_word);
    find_call("ga_gc_malloc_atomic", &atomic_malloc);
    find_call("ga_gc_add_root", &add_root);
    signal(SIGCHLD, on_death);
    for (unsigned i = 0; i < NODES; i++) {
        struct node *node = calloc(1, sizeof(*node));
        node->next = nodes;
        nodes = node;
    }
    during_cycles(no_child_is_seen);
    during_cycles(what_is_closed_is_closed);
    expect_forced_way();
    it_dies_with_the_process();
    a_refusal_stops_the_world();
    during_cycles(weak_pointers_bring_back);
    during_cycles(links_bring_back);
    during_cycles(shared_roots_are_of_the_same_moment);
    memory_that_is_not_copied_counts();
    return 0;
}
