// SPDX-License-Identifier: MIT
//
// Thread-specific data is destroyed in up to four rounds, some of it after the thread's cache is
// gone. Destructors of keys made before and after the library's own may malloc and free in each of
// them, in joined threads, detached ones, and in a main thread that leaves by pthread_exit. Nothing
// is lost by it: what was freed isn't counted as live.

#include "promise.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#define KEYS_BEFORE 20
#define KEYS        (KEYS_BEFORE + 20)
#define ROUNDS      PTHREAD_DESTRUCTOR_ITERATIONS
#define THREADS     200
/* What libc may keep for good: thread control blocks on its stack cache. */
#define LIVE_MARGIN 100

struct value {
    unsigned rounds;
    pthread_key_t key;
    void *block;
    size_t size;
};

static pthread_key_t keys[KEYS];
static atomic_uint destructor_calls;

static void destroy(void *pointer)
{
    struct value *value = pointer;
    expect_mark(value->block, value->size, (unsigned char)value->rounds);
    free(value->block);
    allocate_all_classes(value->key % 8 == 0 ? 100000 : 300);
    if (++value->rounds == ROUNDS) {
        free(value);
    } else {
        value->size = (size_t)8 << value->key % 12;
        value->block = malloc(value->size);
        mark(value->block, value->size, (unsigned char)value->rounds);
        pthread_setspecific(value->key, value);
    }
    atomic_fetch_add(&destructor_calls, 1);
}

static void make_keys(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        expect(pthread_key_create(&keys[i], destroy) == 0, "expected to make %u keys", KEYS);
}

/* Before the library's constructor, which makes its key. */
static void before_constructors(int argc, char **argv, char **environment)
{
    (void)argc;
    (void)argv;
    (void)environment;
    make_keys(0, KEYS_BEFORE);
}

__attribute__((section(".preinit_array"),
               used)) static void (*preinit)(int, char **, char **) = before_constructors;

static void set_all_values(void)
{
    for (unsigned i = 0; i < KEYS; i++) {
        struct value *value = malloc(sizeof(*value));
        *value = (struct value){.key = keys[i], .size = 24 + i};
        value->block = malloc(value->size);
        mark(value->block, value->size, 0);
        pthread_setspecific(keys[i], value);
    }
}

static void *thread_body(void *unused)
{
    set_all_values();
    /* libc keeps this text for the thread and frees it after all destructors. */
    expect(strerror(123456) != NULL, "expected a text for an unknown error");
    return unused;
}

static void run_joined_threads(void)
{
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_t thread;
        expect(pthread_create(&thread, NULL, thread_body, NULL) == 0, "expected a thread");
        pthread_join(thread, NULL);
    }
}

static void wait_for_calls(unsigned calls)
{
    while (atomic_load(&destructor_calls) < calls)
        usleep(100);
}

static void run_detached_threads(void)
{
    unsigned calls = atomic_load(&destructor_calls);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_t thread;
        expect(pthread_create(&thread, &attributes, thread_body, NULL) == 0, "expected a thread");
        calls += KEYS * ROUNDS;
        wait_for_calls(calls);
    }
    pthread_attr_destroy(&attributes);
}

static void *end_process(void *calls)
{
    wait_for_calls(*(unsigned *)calls);
    allocate_all_classes((size_t)1 << 20);
    _exit(0);
}

static void leave_by_main_threads_end(void)
{
    static unsigned calls;
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        watchdog(10);
        calls = atomic_load(&destructor_calls) + KEYS * ROUNDS;
        pthread_create(&thread, NULL, end_process, &calls);
        set_all_values();
        pthread_exit(NULL);
    }
    expect_success(child, "the child whose main thread ends first");
}

int main(void)
{
    promise_begin(60);
    make_keys(KEYS_BEFORE, KEYS);
    run_joined_threads();
    run_detached_threads();
    size_t live = stats_now().live_blocks;
    run_joined_threads();
    run_detached_threads();
    leave_by_main_threads_end();
    expect(atomic_load(&destructor_calls) == 4 * THREADS * KEYS * ROUNDS,
           "expected %u destructor calls, counted %u", 4 * THREADS * KEYS * ROUNDS,
           atomic_load(&destructor_calls));
    struct ga_stats stats = stats_now();
    expect(stats.live_blocks <= live + LIVE_MARGIN,
           "expected threads to leave no blocks, %zu live blocks became %zu", live,
           stats.live_blocks);
    expect(stats.threads <= 4, "expected the threads' caches to be idle, %zu are in use",
           stats.threads);
    return 0;
}
