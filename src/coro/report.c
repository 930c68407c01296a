// SPDX-License-Identifier: MIT
/*
 * report.c: what is printed of coroutines: where they wait, and why the process ends.
 *
 * Place: called by deadlock.c, the monitor (for SIGQUIT and schedtrace) and the handler of stack
 * overflows. Calls the unwinder for backtraces, and libc's dladdr for names.
 *
 * Invariants: nothing here allocates; each line is one write. It may run while coroutines do: what
 * it says of each is true of some moment. Locking: none.
 */
#include <dlfcn.h>

#include "../os/report.h"
#include "frame.h"
#include "unwinding.h"

#define FRAMES_MAX 64

static const char *const status_texts[] = {
    [WAITER_NONE] = "dead",
    [WAITER_RUNNABLE] = "runnable",
    [WAITER_RUNNING] = "running",
};

static void print(const char *format, ...) GA_PRINTF(1, 2);

static void print(const char *format, ...)
{
    char buffer[1024];
    struct text text;
    va_list args;
    va_start(args, format);
    text_init(&text, buffer, sizeof(buffer));
    text_add_list(&text, format, args);
    va_end(args);
    os_write(2, buffer, (size_t)(text.at - buffer));
}

/* --- One coroutine --- */

static const void *file_of(uintptr_t address)
{
    Dl_info info;
    return dladdr((void *)address, &info) ? info.dli_fbase : NULL;
}

/* The library's own functions that have no name say nothing that the reason doesn't. Where it is
 * linked into the program all is the program's. */
static bool is_ours(const Dl_info *info)
{
    const void *ours = file_of((uintptr_t)&sched);
    return info->dli_fbase == ours && ours != file_of(os_program_entry());
}

static void print_frame(uintptr_t address)
{
    Dl_info info;
    /* A return address: the call is before it, perhaps the last instruction of its function. */
    bool known = dladdr((void *)(address - 1), &info) != 0;
    if (known && info.dli_sname)
        print("\t%s+0x%zx\n", info.dli_sname, address - (uintptr_t)info.dli_saddr);
    else if (!known || !info.dli_fname)
        print("\t0x%zx\n", address);
    else if (!is_ours(&info))
        print("\t%s+0x%zx\n", info.dli_fname, address - (uintptr_t)info.dli_fbase);
}

static void print_frames(void *sp)
{
    uintptr_t frames[FRAMES_MAX];
    size_t count = unwind_frames(sp, frames, FRAMES_MAX);
    for (size_t i = 0; i < count; i++)
        print_frame(frames[i]);
}

static void print_head(const struct waiter *waiter)
{
    enum waiter_status status = waiter_status(waiter);
    const char *what =
        status == WAITER_WAITING ? park_reason_text(waiter->reason) : status_texts[status];
    int64_t seconds = (timer_now() - waiter->since) / 1000000000;
    print("goroutine %zu [%s", (size_t)waiter->id, what);
    if (status == WAITER_WAITING && waiter->since && seconds > 0)
        print(", %zu seconds", (size_t)seconds);
    /* main is locked to its thread unless it says otherwise: not worth saying. */
    print(waiter->pins > !!(waiter->flags & WAITER_MAIN) ? ", locked to thread]:" : "]:");
    if (waiter->name)
        print(" %s", waiter->name);
    if (status == WAITER_WAITING && waiter->object)
        print(" (waits for %p)", waiter->object);
    print("\n");
}

static void print_creation(const struct waiter *waiter)
{
    const struct ga_site *site = waiter->site;
    if (!site)
        return;
    print("created by %s in goroutine %zu\n\t%s:%d (%s)\n", site->function, (size_t)waiter->creator,
          site->file, site->line, site->entry);
}

static void print_waiter(struct waiter *waiter, void *unused)
{
    (void)unused;
    enum waiter_status status = waiter_status(waiter);
    if (status == WAITER_NONE || waiter->forks != sched.forks)
        return;
    print("\n");
    print_head(waiter);
    if (status != WAITER_RUNNING && waiter->sp)
        print_frames(waiter->sp);
    print_creation(waiter);
}

static void print_all(void)
{
    if (sched.main && !sched.main_ended)
        print_waiter(sched.main, NULL);
    stack_each(print_waiter, NULL);
}

void report_all(void)
{
    print("SIGQUIT: quit\n");
    print_all();
}

/* --- The end --- */

/* Whoever comes second waits for the first to end the process. */
static void be_the_only_one(void)
{
    static atomic_bool reporting;
    static atomic_uint forever;
    while (atomic_exchange(&reporting, true))
        os_futex_wait(&forever, 0);
}

void report_deadlock(void)
{
    be_the_only_one();
    if (sched.main_ended && coro_count_living() == 0)
        print("fatal error: no goroutines (main called runtime.Goexit) - deadlock!\n");
    else
        print("fatal error: all goroutines are asleep - deadlock!\n");
    print_all();
    os_exit(2);
}

void park_fatal(const char *text)
{
    struct machine *machine = machine_self();
    struct waiter *self = machine ? machine->current : NULL;
    be_the_only_one();
    print("fatal error: %s\n\n", text);
    if (self && !(self->flags & WAITER_THREAD))
        print_head(self);
    print_frames(NULL);
    if (self)
        print_creation(self);
    os_exit(2);
}

/* --- schedtrace --- */

void report_trace_line(void)
{
    char buffer[1024];
    struct text text;
    static int64_t first;
    if (!first)
        first = timer_now();
    text_init(&text, buffer, sizeof(buffer));
    lock_acquire(&sched.lock);
    unsigned procs = atomic_load_explicit(&sched.proc_count, memory_order_relaxed);
    text_add(&text,
             "SCHED %zums: gomaxprocs=%u idleprocs=%u threads=%u spinningthreads=%u "
             "idlethreads=%u runqueue=%u [",
             (size_t)((timer_now() - first) / 1000000), procs, atomic_load(&sched.idle_proc_count),
             sched.machine_count + 1, atomic_load(&sched.spinning), sched.idle_machine_count,
             atomic_load_explicit(&sched.queued, memory_order_relaxed));
    lock_release(&sched.lock);
    for (unsigned i = 0; i < procs && i < procs_made(); i++) {
        const struct run_queue *queue = &sched.procs[i]->queue;
        text_add(&text, i ? " %u" : "%u", atomic_load(&queue->tail) - atomic_load(&queue->head));
    }
    text_add(&text, "]\n");
    os_write(2, buffer, (size_t)(text.at - buffer));
}

/* --- Overflows --- */

/* On the handler's stack, which has room for little: no backtrace of the deep stack's middle. */
void report_overflow(struct waiter *waiter, uintptr_t address, void *context)
{
    (void)context;
    be_the_only_one();
    print("goalloc: stack overflow: a coroutine's %zu KB of stack don't suffice (address %p)\n"
          "fatal error: stack overflow\n\n",
          (waiter->stack_size - os_page_size()) >> 10, (void *)address);
    print_head(waiter);
    print_frames(NULL);
    print_creation(waiter);
    report_abort();
}
