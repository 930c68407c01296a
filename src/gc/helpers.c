// SPDX-License-Identifier: MIT
/*
 * helpers.c: threads of the library's that mark beside the collector's.
 *
 * Place: thread.c starts them, mark.c calls and dismisses them; stop.c and roots.c leave them out.
 * They call mark.c.
 *
 *   asleep --called--> marking --dismissed, or nothing to do any more--> asleep
 *
 * There's one for each processor but the first, up to HELPERS_MOST; they appear with the first
 * cycle, as the collector's thread does, and sleep but for long stops, and while marking goes on
 * where a quarter of the processors is more than one. All signals are blocked in them but libc's
 * own two. They allocate nothing.
 *
 * Invariants: a helper marks only between work_enter_own and work_leave_own.
 * Locking: none; started, called and dismissed by the collector's thread. Fork: a child has none
 * until its first cycle; their stacks are used again.
 */
#include "helpers.h"

#include <pthread.h>
#include <signal.h>

#include "../os/os.h"
#include "../os/proc.h"
#include "internal.h"
#include "work.h"

#define HELPERS_MOST 7
#define STACK_SIZE   ((size_t)128 << 10)

struct helper {
    char *stack;        /* the collector's thread's; kept over a fork */
    atomic_uint thread; /* 0: it isn't there yet; release, with `live` */
    const void *live;   /* what of the stack is used lies above */
};

static struct {
    struct helper each[HELPERS_MOST];
    unsigned count;     /* that were started; the collector's thread's, as the next */
    bool tried;         /* there will be no more */
    bool left_out;      /* nobody calls them: the copy's */
    atomic_uint calls;  /* release, with the next two; what they sleep on */
    atomic_uint called; /* how many are to come; relaxed */
    atomic_bool is_on;  /* they are to go on; relaxed: whether they may, work_enter_own says */
} helpers;

/* --- In the helper --- */

static void mark_until_dismissed(void)
{
    while (atomic_load_explicit(&helpers.is_on, memory_order_relaxed)) {
        struct marker *marker = work_enter_own();
        size_t done = marker ? mark_some(marker, SIZE_MAX, WORK_BATCH / 2) : 0;
        if (marker)
            work_leave_own(marker);
        if (!done)
            work_wait();
    }
}

static void *run(void *argument)
{
    struct helper *self = argument;
    unsigned place = (unsigned)(self - helpers.each), met = 0;
    pthread_setname_np(pthread_self(), "goalloc-mark");
    self->live = __builtin_frame_address(0);
    atomic_store_explicit(&self->thread, os_thread_id(), memory_order_release);
    os_futex_wake(&self->thread, 1);
    for (;;) {
        unsigned calls = atomic_load_explicit(&helpers.calls, memory_order_acquire);
        if (calls == met)
            os_futex_wait(&helpers.calls, calls);
        else if (place < atomic_load_explicit(&helpers.called, memory_order_relaxed))
            mark_until_dismissed();
        met = calls;
    }
    return NULL;
}

/* --- In the collector's thread --- */

static bool start_on(struct helper *helper)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t before;
    if (!helper->stack)
        helper->stack = mheap_meta_alloc(STACK_SIZE);
    if (!helper->stack || pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstack(&attributes, helper->stack, STACK_SIZE);
    atomic_store_explicit(&helper->thread, 0, memory_order_relaxed);
    os_block_signals(&before);
    bool started = pthread_create(&thread, &attributes, run, helper) == 0;
    os_restore_signals(&before);
    pthread_attr_destroy(&attributes);
    /* Until it is known it would be stopped like any other. */
    while (started && !atomic_load_explicit(&helper->thread, memory_order_acquire))
        os_futex_wait(&helper->thread, 0);
    return started;
}

void helpers_start(void)
{
    unsigned processors = os_processors();
    unsigned wanted = processors - 1 < HELPERS_MOST ? processors - 1 : HELPERS_MOST;
    if (helpers.tried)
        return;
    helpers.tried = true;
    while (helpers.count < wanted && start_on(&helpers.each[helpers.count]))
        helpers.count++;
}

/*
 * So many processors have nothing to do. A helper that has to share one with another program's
 * thread may be put aside with spans in its hands, for which the collector's thread then waits.
 */
static unsigned idle_processors(void)
{
    unsigned running, online;
    if (!os_count_running("/proc/loadavg", "/sys/devices/system/cpu/online", &running, &online))
        return 0;
    return online > running ? online - running : 0;
}

void helpers_leave_out(void)
{
    helpers.left_out = true;
}

void helpers_call(bool all)
{
    if (helpers.left_out || !work_is_open())
        return;
    unsigned beside = os_processors() / 4, idle = all ? idle_processors() : beside;
    unsigned called = all ? helpers.count : beside > 1 ? beside - 1 : 0;
    called = called < idle ? called : idle;
    if (called == 0 || atomic_load_explicit(&helpers.is_on, memory_order_relaxed))
        return;
    atomic_store_explicit(&helpers.called, called, memory_order_relaxed);
    atomic_store_explicit(&helpers.is_on, true, memory_order_relaxed);
    atomic_fetch_add_explicit(&helpers.calls, 1, memory_order_release);
    os_futex_wake(&helpers.calls, INT32_MAX);
}

void helpers_dismiss(void)
{
    atomic_store_explicit(&helpers.is_on, false, memory_order_relaxed);
}

bool helpers_has(unsigned thread)
{
    for (unsigned i = 0; i < helpers.count; i++)
        if (atomic_load_explicit(&helpers.each[i].thread, memory_order_relaxed) == thread)
            return true;
    return false;
}

void helpers_each_stack(void (*visit)(const void *start, const void *end))
{
    for (unsigned i = 0; i < helpers.count; i++) {
        const struct helper *helper = &helpers.each[i];
        uintptr_t live = round_down((uintptr_t)helper->live, MIN_ALIGN);
        visit((const void *)live, helper->stack + STACK_SIZE);
    }
}

void helpers_reset_in_child(void)
{
    helpers.count = 0;
    helpers.tried = false;
    helpers_dismiss();
}
