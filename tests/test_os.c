// SPDX-License-Identifier: MIT
/* What the library asks of the kernel, the lock, and the reporter. */
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "os/fault.h"
#include "os/lock.h"
#include "os/os.h"
#include "os/proc.h"
#include "os/report.h"

#define SIZE ((size_t)1 << 20)

/* --- The lock --- */

static struct {
    struct lock lock;
    size_t count; /* guarded by lock */
    pthread_barrier_t start;
} shared;

static void *count_up(void *times)
{
    pthread_barrier_wait(&shared.start);
    for (size_t i = 0; i < (size_t)(uintptr_t)times; i++) {
        lock_acquire(&shared.lock);
        shared.count++;
        lock_release(&shared.lock);
    }
    return NULL;
}

static void the_lock_excludes(void **state)
{
    enum { THREADS = 8, TIMES = 50000 };
    pthread_t threads[THREADS];
    shared.count = 0;
    pthread_barrier_init(&shared.start, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, count_up, (void *)(uintptr_t)TIMES);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(shared.count, (size_t)THREADS * TIMES);
    assert_false(lock_is_held(&shared.lock));
}

static atomic_int arrived;

static void *take_once(void *unused)
{
    atomic_fetch_add(&arrived, 1);
    lock_acquire(&shared.lock);
    shared.count++;
    lock_release(&shared.lock);
    return NULL;
}

/* All sleep in the kernel before it is released, and each release wakes the next. */
static void a_release_hands_over_to_every_sleeper(void **state)
{
    pthread_t threads[10];
    shared.count = 0;
    lock_acquire(&shared.lock);
    assert_true(lock_is_held(&shared.lock));
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, take_once, NULL);
    while (atomic_load(&arrived) < (int)COUNT(threads) ||
           !(atomic_load(&shared.lock.word) & LOCK_AWAITED))
        usleep(1000);
    usleep(50000);
    assert_int_equal(shared.count, 0);
    lock_release(&shared.lock);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(shared.count, COUNT(threads));
    assert_false(lock_is_held(&shared.lock));
}

static void a_lock_without_contention_makes_no_system_call(void **state)
{
    size_t before = os_system_calls();
    for (int i = 0; i < 1000; i++) {
        lock_acquire(&shared.lock);
        lock_release(&shared.lock);
    }
    assert_int_equal(os_system_calls(), before);
}

static void a_reset_lock_is_free(void **state)
{
    struct lock lock = {0};
    lock_acquire(&lock);
    lock_reset(&lock);
    assert_false(lock_is_held(&lock));
    lock_acquire(&lock);
    lock_release(&lock);
}

/* As a signal handler does that forks and interrupted a thread which holds the lock. */
static void a_lock_frozen_by_its_holder_stays_held(void **state)
{
    struct lock lock = {0};
    lock_acquire(&lock);
    lock_fork_begin();
    lock_freeze(&lock);
    lock_acquire(&lock); /* passed through */
    lock_release(&lock);
    lock_thaw(&lock);
    lock_fork_end();
    assert_true(lock_is_held(&lock));
    lock_release(&lock);
    assert_false(lock_is_held(&lock));
    lock_acquire(&lock);
    lock_freeze(&lock);
    lock_reset(&lock); /* in the child */
    assert_true(lock_is_held(&lock));
    lock_release(&lock);
    assert_false(lock_is_held(&lock));
    lock_freeze(&lock);
    lock_thaw(&lock);
    assert_false(lock_is_held(&lock));
}

static void *freeze_shortly(void *unused)
{
    lock_freeze(&shared.lock);
    usleep(20000);
    lock_thaw(&shared.lock);
    return unused;
}

static void a_lock_that_another_holds_is_waited_for_before_it_is_frozen(void **state)
{
    pthread_t thread;
    lock_acquire(&shared.lock);
    pthread_create(&thread, NULL, freeze_shortly, NULL);
    usleep(20000);
    assert_true(atomic_load(&shared.lock.word) != LOCK_FROZEN);
    lock_release(&shared.lock);
    lock_acquire(&shared.lock);
    assert_true(lock_is_held(&shared.lock));
    lock_release(&shared.lock);
    pthread_join(thread, NULL);
    assert_false(lock_is_held(&shared.lock));
}

/* --- Memory --- */

/* A place where nothing lies. */
static uintptr_t free_place(size_t size)
{
    void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    munmap(p, size);
    return (uintptr_t)p;
}

static void map_at_maps_zeroed_memory_where_asked(void **state)
{
    uintptr_t place = free_place(SIZE);
    assert_int_equal(os_map_at(place, SIZE), OS_MAPPED);
    for (size_t i = 0; i < SIZE; i++)
        assert_int_equal(((unsigned char *)place)[i], 0);
    memset((void *)place, 1, SIZE);
    os_unmap(place, SIZE);
    assert_int_equal(count_mappings(place, place + SIZE), 0);
}

static void map_at_never_replaces_a_mapping(void **state)
{
    size_t page = os_page_size();
    uintptr_t place = free_place(SIZE);
    char *foreign = mmap((void *)(place + SIZE / 2), page, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    foreign[0] = 'x';
    assert_int_equal(os_map_at(place, SIZE), OS_OCCUPIED);
    assert_int_equal(os_map_at(place + SIZE / 2, page), OS_OCCUPIED);
    assert_int_equal(os_map_at(place + SIZE / 2 - page, 3 * page), OS_OCCUPIED);
    assert_int_equal(foreign[0], 'x');
    assert_int_equal(count_mappings(place, place + SIZE / 2), 0);
    assert_int_equal(os_map_at(place, SIZE / 2), OS_MAPPED);
    assert_int_equal(foreign[0], 'x');
    munmap((void *)place, SIZE);
}

static void map_at_says_when_there_is_no_memory(void **state)
{
    NEEDS_A_KERNEL();
    errno = 5;
    assert_int_equal(os_map_at((uintptr_t)1 << 62, SIZE), OS_NO_MEMORY);
    assert_int_equal(os_map_at(free_place(SIZE), (size_t)1 << 60), OS_NO_MEMORY);
    assert_int_equal(errno, 5);
}

static void what_the_kernel_would_hold_is_found_out(void **state)
{
    NEEDS_A_KERNEL();
    errno = 5;
    assert_true(os_would_hold(SIZE));
    assert_false(os_would_hold((size_t)1 << 50));
    assert_int_equal(errno, 5);
}

static void map_over_gives_fresh_memory(void **state)
{
    uintptr_t place = free_place(SIZE);
    assert_int_equal(os_map_at(place, SIZE), OS_MAPPED);
    memset((void *)place, 1, SIZE);
    assert_true(os_map_over(place + SIZE / 2, SIZE / 2));
    assert_int_equal(((char *)place)[SIZE / 2 - 1], 1);
    for (size_t i = SIZE / 2; i < SIZE; i++)
        assert_int_equal(((char *)place)[i], 0);
    os_unmap(place, SIZE);
}

static void released_memory_reads_as_zero(void **state)
{
    NEEDS_A_KERNEL();
    uintptr_t place = free_place(SIZE);
    assert_int_equal(os_map_at(place, SIZE), OS_MAPPED);
    memset((void *)place, 1, SIZE);
    assert_true(os_release(place, SIZE / 2));
    for (size_t i = 0; i < SIZE; i++)
        assert_int_equal(((char *)place)[i], i >= SIZE / 2);
    memset((void *)place, 2, SIZE); /* the address is still ours */
    os_unmap(place, SIZE);
    assert_false(os_release(place, SIZE));
}

static void moved_pages_keep_their_contents_and_leave_zeros(void **state)
{
    uintptr_t place = free_place(2 * SIZE);
    assert_int_equal(os_map_at(place, 2 * SIZE), OS_MAPPED);
    char *from = (char *)place, *to = from + SIZE;
    for (size_t i = 0; i < SIZE; i++)
        from[i] = (char)(i >> 8);
    memset(to, 'o', SIZE);
    errno = 5;
    bool moved = os_move_pages(place, place + SIZE, SIZE);
    assert_int_equal(errno, 5);
    assert_int_equal(moved, test_kernel_moves());
    for (size_t i = 0; i < SIZE; i++) {
        assert_int_equal(from[i], moved ? 0 : (char)(i >> 8));
        if (moved)
            assert_int_equal(to[i], (char)(i >> 8));
    }
    from[0] = 'f';
    assert_int_not_equal(to[0], 'f');
    munmap((void *)place, 2 * SIZE);
}

/* Fills the first of two blocks of SIZE, but for a byte, and moves it over the second. */
static bool move_filled(uintptr_t place)
{
    char *from = (char *)place;
    for (size_t i = 0; i < SIZE; i++)
        from[i] = (char)(i >> 12 | 1);
    from[2 * (size_t)sysconf(_SC_PAGESIZE)] = 0;
    memset(from + SIZE, 'o', SIZE);
    return os_move_pages(place, place + SIZE, SIZE);
}

static void expect_filled(const char *at)
{
    for (size_t i = 0; i < SIZE; i++)
        if (i != 2 * (size_t)sysconf(_SC_PAGESIZE))
            assert_int_equal(at[i], (char)(i >> 12 | 1));
}

/* The source are two mappings, of which the kernel moves the first and refuses the second (since
 * 6.17; before it refuses both at once). */
static void a_move_that_fails_half_way_loses_nothing(void **state)
{
    struct os_tracker tracker;
    SKIP_UNLESS(test_kernel_tracks());
    uintptr_t place = free_place(2 * SIZE);
    assert_int_equal(os_map_at(place, 2 * SIZE), OS_MAPPED);
    memset((char *)place, 1, SIZE);
    assert_true(os_track_begin(&tracker, place + SIZE / 2, place + SIZE));
    assert_false(move_filled(place));
    expect_filled((char *)place);
    os_track_end(&tracker);
    os_unmap(place, 2 * SIZE);
}

static void system_calls_are_counted(void **state)
{
    size_t before = os_system_calls();
    uintptr_t place = free_place(SIZE);
    assert_int_equal(os_map_at(place, SIZE), OS_MAPPED);
    os_release(place, SIZE);
    os_unmap(place, SIZE);
    assert_int_equal(os_system_calls(), before + 3);
}

/* --- The process --- */

static void the_process_is_described(void **state)
{
    assert_int_equal(os_page_size(), sysconf(_SC_PAGESIZE));
    assert_int_equal(os_thread_id(), getpid());
    assert_false(os_is_setuid());
    assert_int_equal(os_random_seed(), os_random_seed());
    uint64_t now = os_nanotime();
    usleep(2000);
    assert_in_range(os_nanotime() - now, 2000000, UINT64_C(60000000000));
}

static void resident_bytes_follow_what_is_touched(void **state)
{
    uintptr_t place = free_place(16 * SIZE);
    size_t before = os_resident_bytes();
    assert_true(before > 0);
    assert_int_equal(os_map_at(place, 16 * SIZE), OS_MAPPED);
    memset((void *)place, 1, 16 * SIZE);
    assert_true(os_resident_bytes() >= before + 15 * SIZE);
    os_unmap(place, 16 * SIZE);
}

/* --- Text --- */

static void formats_are_like_printfs(void **state)
{
    char ours[200], theirs[200];
    struct text text;
    text_init(&text, ours, sizeof(ours));
#define COMPARE(...)                                                                               \
    do {                                                                                           \
        text_init(&text, ours, sizeof(ours));                                                      \
        text_add(&text, __VA_ARGS__);                                                              \
        snprintf(theirs, sizeof(theirs), __VA_ARGS__);                                             \
        assert_string_equal(ours, theirs);                                                         \
    } while (0)
    COMPARE("nothing to format");
    COMPARE("%s and %s", "one", "");
    COMPARE("%d %d %d %d", 0, -1, INT32_MAX, INT32_MIN);
    COMPARE("%u %u", 0u, UINT32_MAX);
    COMPARE("%zu %zu %zx", (size_t)0, SIZE_MAX, SIZE_MAX);
    COMPARE("%p", (void *)(uintptr_t)0x123456789abc);
    COMPARE("%c%c%%", 'a', 'b');
    COMPARE("[%8zu] [%-8zu] [%3d] [%-5d]", (size_t)42, (size_t)42, -7, -7);
    COMPARE("[%10s] [%-10s] [%2s]", "right", "left", "longer");
    COMPARE("[%4u]", 123456u);
#undef COMPARE
}

static void text_that_does_not_fit_is_cut(void **state)
{
    char buffer[16];
    struct text text;
    memset(buffer, '#', sizeof(buffer));
    text_init(&text, buffer, 8);
    text_add(&text, "%s", "123456789");
    assert_string_equal(buffer, "1234567");
    text_add(&text, "%zu", (size_t)99);
    assert_string_equal(buffer, "1234567");
    assert_int_equal(buffer[8], '#');
    text_init(&text, buffer, 8);
    text_add(&text, "%20s", "x");
    assert_string_equal(buffer, "       ");
}

static void print_lines(void *argument)
{
    char long_text[1000];
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    errno = 5;
    report_line("%s %u", "a line", 1u);
    report_line("%s", long_text);
    CHILD_CHECK(errno == 5);
}

static void a_report_is_one_line_and_a_long_one_is_cut(void **state)
{
    struct child child;
    child_run(&child, print_lines, NULL);
    assert_int_equal(child.status, 0);
    assert_ptr_equal(strstr(child.text, "goalloc: a line 1\ngoalloc: xxx"), child.text);
    size_t length = strlen(child.text);
    assert_in_range(length, 300, 600);
    assert_int_equal(child.text[length - 1], '\n');
    assert_int_equal(child.text[length - 2], 'x');
}

static void die(void *argument)
{
    report_fatal("the end of %d", 7);
}

static void a_fatal_report_aborts(void **state)
{
    assert_child_aborts(die, NULL, "goalloc: the end of 7\n");
}

/* --- Faults, in debug builds --- */

#ifdef GOALLOC_DEBUG
static size_t maps_until_failure(long at, bool forever)
{
    uintptr_t place = free_place(SIZE);
    size_t calls = 0;
    atomic_store(&os_fault_forever, forever);
    atomic_store(&os_fault_at, at);
    while (calls < 10 && os_map_at(place, SIZE) == OS_MAPPED) {
        os_unmap(place, SIZE);
        calls++;
    }
    return calls;
}

static void the_chosen_call_fails_and_no_other(void **state)
{
    uintptr_t place = free_place(SIZE);
    assert_int_equal(maps_until_failure(0, false), 10);
    for (long at = 1; at <= 5; at++) {
        assert_int_equal(maps_until_failure(at, false), at - 1);
        assert_int_equal(os_map_at(place, SIZE), OS_MAPPED);
        os_unmap(place, SIZE);
    }
}

static void all_calls_from_the_chosen_one_fail(void **state)
{
    uintptr_t place = free_place(SIZE);
    assert_int_equal(maps_until_failure(3, true), 2);
    for (int i = 0; i < 5; i++)
        assert_int_equal(os_map_at(place, SIZE), OS_NO_MEMORY);
    assert_false(os_map_over(place, SIZE));
    assert_false(os_release(place, SIZE));
    assert_false(os_move_pages(place, place + SIZE, SIZE));
    atomic_store(&os_fault_at, 0);
    atomic_store(&os_fault_forever, false);
    assert_int_equal(os_map_at(place, SIZE), OS_MAPPED);
    os_unmap(place, SIZE);
}

static void calls_of_other_kinds_neither_fail_nor_count(void **state)
{
    uintptr_t place = free_place(SIZE);
    atomic_store(&os_fault_kinds, OS_FAULT_MADVISE | OS_FAULT_MREMAP);
    assert_int_equal(maps_until_failure(1, true), 10);
    assert_int_equal(os_map_at(place, SIZE), OS_MAPPED);
    assert_false(os_release(place, SIZE));
    assert_int_equal(atomic_load(&os_fault_at), -1);
    assert_true(os_map_over(place, SIZE));
    assert_false(os_move_pages(place, place + SIZE, SIZE));
    atomic_store(&os_fault_at, 0);
    atomic_store(&os_fault_kinds, 0);
    os_unmap(place, SIZE);
}

static void a_move_that_is_made_to_fail_fails_half_way(void **state)
{
    uintptr_t place = free_place(2 * SIZE);
    assert_int_equal(os_map_at(place, 2 * SIZE), OS_MAPPED);
    atomic_store(&os_fault_kinds, OS_FAULT_MREMAP);
    atomic_store(&os_fault_at, 1);
    assert_false(move_filled(place));
    expect_filled((char *)place);
    atomic_store(&os_fault_kinds, 0);
    os_unmap(place, 2 * SIZE);
}

static atomic_uint failures;

static void *call_some(void *unused)
{
    pthread_barrier_wait(&shared.start);
    for (int i = 0; i < 100; i++)
        atomic_fetch_add(&failures, os_fault_now(OS_FAULT_MMAP));
    return unused;
}

/* In whichever thread the n-th call is made. */
static void one_call_fails_among_many_threads(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    atomic_store(&os_fault_forever, false);
    for (unsigned round = 0; round < 300; round++) {
        pthread_barrier_init(&shared.start, NULL, THREADS);
        atomic_store(&failures, 0);
        atomic_store(&os_fault_at, 1 + round % 300);
        for (size_t i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, call_some, NULL);
        for (size_t i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&failures), 1);
        assert_int_equal(atomic_load(&os_fault_at), 0);
    }
}
#endif

/* --- Control groups --- */

/* A directory that stands for /sys/fs/cgroup, and a file that stands for /proc/self/cgroup. */
static void write_text(const char *root, const char *name, const char *content)
{
    char path[256], directory[256];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        memcpy(directory, path, (size_t)(slash - path));
        directory[slash - path] = '\0';
        mkdir(directory, 0700);
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

static uint64_t limit_in(const char *root, const char *membership)
{
    char file[256], mount[256];
    write_text(root, "self", membership);
    snprintf(file, sizeof(file), "%s/self", root);
    snprintf(mount, sizeof(mount), "%s/cgroup", root);
    return os_cgroup_memory_limit(file, mount);
}

static void remove_tree(const char *root)
{
    char command[300];
    snprintf(command, sizeof(command), "rm -r '%s'", root);
    assert_int_equal(system(command), 0);
}

static void the_least_limit_on_the_way_up_counts(void **state)
{
    char root[] = "/tmp/goalloc-cgroup-XXXXXX";
    assert_non_null(mkdtemp(root));
    write_text(root, "cgroup/memory.max", "900\n");
    write_text(root, "cgroup/a/memory.max", "500\n");
    write_text(root, "cgroup/a/b/memory.max", "700\n");
    write_text(root, "cgroup/a/b/c/memory.max", "max\n");
    assert_int_equal(limit_in(root, "0::/a/b/c\n"), 500);
    assert_int_equal(limit_in(root, "0::/a\n"), 500);
    assert_int_equal(limit_in(root, "0::/\n"), 900);
    assert_int_equal(limit_in(root, "0::/not/here\n"), 900); /* a container sees its own top */
    assert_true(limit_in(root, "") == UINT64_MAX);
    assert_true(limit_in(root, "junk\n::::\n\n7:memory\n") == UINT64_MAX);
    write_text(root, "cgroup/memory.max", "max\n");
    assert_true(limit_in(root, "0::/\n") == UINT64_MAX);
    remove_tree(root);
}

static void version_1_has_a_hierarchy_for_memory(void **state)
{
    char root[] = "/tmp/goalloc-cgroup-XXXXXX";
    assert_non_null(mkdtemp(root));
    write_text(root, "cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    write_text(root, "cgroup/memory/a/memory.limit_in_bytes", "300\n");
    write_text(root, "cgroup/memory.max", "100\n"); /* of another version: not looked at */
    assert_int_equal(limit_in(root, "3:cpu:/x\n2:memory:/a\n0::/\n"), 300);
    assert_int_equal(limit_in(root, "3:cpu:/x\n2:blkio,memory,pids:/a/b\n"), 300);
    assert_true(limit_in(root, "2:memory:/\n") == UINT64_MAX);
    assert_int_equal(limit_in(root, "2:memorycontrol:/a\n0::/\n"), 100);
    remove_tree(root);
}

static unsigned online, running;

static bool count_in(const char *root, const char *loadavg, const char *list)
{
    char file[256], listed[256];
    write_text(root, "loadavg", loadavg);
    write_text(root, "online", list);
    snprintf(file, sizeof(file), "%s/loadavg", root);
    snprintf(listed, sizeof(listed), "%s/online", root);
    return os_count_running(file, listed, &running, &online);
}

static void what_runs_on_the_machine_is_counted(void **state)
{
    char root[] = "/tmp/goalloc-running-XXXXXX";
    assert_non_null(mkdtemp(root));
    assert_true(count_in(root, "0.20 0.18 0.12 12/80 11206\n", "0-3,8,10-11\n"));
    assert_int_equal(running, 12);
    assert_int_equal(online, 7);
    assert_true(count_in(root, "0.20 0.18 0.12 1/80 11206\n", "0\n"));
    assert_int_equal(online, 1);
    assert_false(count_in(root, "0.00 0.00 0.00 0/0 0\n", "0-1\n"));
    assert_false(count_in(root, "1/80 2\n", "\n"));
    assert_false(count_in(root, "junk\n", "0-1\n"));
    assert_false(count_in(root, "", "0-1\n"));
    assert_false(os_count_running("/nonexistent", "/nonexistent", &running, &online));
    remove_tree(root);
}

static void files_that_are_missing_limit_nothing(void **state)
{
    char text[8];
    assert_true(os_cgroup_memory_limit("/nonexistent", "/nonexistent") == UINT64_MAX);
    assert_int_equal(os_read_file("/nonexistent", text, sizeof(text)), 0);
    assert_int_equal(os_read_file("/proc/self/statm", text, sizeof(text)), 7);
    assert_int_equal(text[7], '\0');
}

/* --- Copies --- */

struct meeting { /* in shared memory */
    atomic_bool begun, go;
    int seen, open_files;
};
static volatile int mine;

static int count_open_files(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

static void look(void *context)
{
    struct meeting *meeting = context;
    while (!atomic_load(&meeting->go))
        os_yield();
    meeting->seen = mine;
    meeting->open_files = count_open_files();
    mine = 3;
}

static void a_copy_sees_memory_as_it_was(void **state)
{
    NEEDS_A_KERNEL();
    struct meeting *meeting = os_map_shared(SIZE);
    assert_non_null(meeting);
    mine = 1;
    meeting->open_files = -1;
    long copy = os_copy_start(look, meeting, &meeting->begun);
    assert_true(copy > 0 && meeting->begun);
    mine = 2;
    assert_false(os_copy_has_ended(copy));
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    atomic_store(&meeting->go, true);
    while (!os_copy_has_ended(copy))
        os_yield();
    assert_int_equal(meeting->seen, 1);
    assert_int_equal(mine, 2);
    assert_int_equal(meeting->open_files, 0);
    assert_true(count_open_files() >= 3);
    os_unmap((uintptr_t)meeting, SIZE);
}

static void a_copy_may_be_killed(void **state)
{
    NEEDS_A_KERNEL();
    struct meeting *meeting = os_map_shared(SIZE);
    long copy = os_copy_start(look, meeting, &meeting->begun);
    assert_true(copy > 0);
    os_copy_kill(copy);
    assert_int_equal(kill((pid_t)copy, 0), -1);
    assert_int_equal(errno, ESRCH);
    os_unmap((uintptr_t)meeting, SIZE);
}

/* Until it is killed. */
static void spin(void *unused)
{
    (void)unused;
    for (;;)
        GA_CPU_RELAX();
}

static void a_copys_time_is_known(void **state)
{
    NEEDS_A_KERNEL();
    struct meeting *meeting = os_map_shared(SIZE);
    long copy = os_copy_start(spin, NULL, &meeting->begun);
    assert_true(copy > 0);
    uint64_t before = os_copy_time(copy);
    while (os_copy_time(copy) <= before + 1000000)
        os_yield();
    os_copy_kill(copy);
    assert_true(os_copy_time(copy) == 0);
    os_unmap((uintptr_t)meeting, SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lock_excludes),
        cmocka_unit_test(a_release_hands_over_to_every_sleeper),
        cmocka_unit_test(a_lock_without_contention_makes_no_system_call),
        cmocka_unit_test(a_reset_lock_is_free),
        cmocka_unit_test(a_lock_frozen_by_its_holder_stays_held),
        cmocka_unit_test(a_lock_that_another_holds_is_waited_for_before_it_is_frozen),
        cmocka_unit_test(map_at_maps_zeroed_memory_where_asked),
        cmocka_unit_test(map_at_never_replaces_a_mapping),
        cmocka_unit_test(map_at_says_when_there_is_no_memory),
        cmocka_unit_test(what_the_kernel_would_hold_is_found_out),
        cmocka_unit_test(map_over_gives_fresh_memory),
        cmocka_unit_test(released_memory_reads_as_zero),
        cmocka_unit_test(moved_pages_keep_their_contents_and_leave_zeros),
        cmocka_unit_test(a_move_that_fails_half_way_loses_nothing),
        cmocka_unit_test(system_calls_are_counted),
        cmocka_unit_test(the_process_is_described),
        cmocka_unit_test(resident_bytes_follow_what_is_touched),
        cmocka_unit_test(formats_are_like_printfs),
        cmocka_unit_test(text_that_does_not_fit_is_cut),
        cmocka_unit_test(a_report_is_one_line_and_a_long_one_is_cut),
        cmocka_unit_test(a_fatal_report_aborts),
        cmocka_unit_test(the_least_limit_on_the_way_up_counts),
        cmocka_unit_test(version_1_has_a_hierarchy_for_memory),
        cmocka_unit_test(what_runs_on_the_machine_is_counted),
        cmocka_unit_test(files_that_are_missing_limit_nothing),
        cmocka_unit_test(a_copy_sees_memory_as_it_was),
        cmocka_unit_test(a_copy_may_be_killed),
        cmocka_unit_test(a_copys_time_is_known),
#ifdef GOALLOC_DEBUG
        cmocka_unit_test(the_chosen_call_fails_and_no_other),
        cmocka_unit_test(all_calls_from_the_chosen_one_fail),
        cmocka_unit_test(calls_of_other_kinds_neither_fail_nor_count),
        cmocka_unit_test(a_move_that_is_made_to_fail_fails_half_way),
        cmocka_unit_test(one_call_fails_among_many_threads),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
