// SPDX-License-Identifier: MIT
/*
 * os.h: everything this library asks of the kernel. No other folder makes a system call.
 *
 * The calls are made without libc's wrappers: they never touch errno, so that free keeps it without
 * saving it, and they work before libc is set up and after it is torn down.
 */
#ifndef GOALLOC_OS_H
#define GOALLOC_OS_H

#include <signal.h>

#include "../goalloc.h"

/* --- Memory. Addresses and sizes are multiples of the OS page. --- */

enum os_map_result {
    OS_MAPPED,
    OS_OCCUPIED,  /* something lies there already; nothing was changed */
    OS_NO_MEMORY, /* a limit, or an address that this processor doesn't have */
};

/* Maps zeroed private memory at exactly `address`, never over something else. */
enum os_map_result os_map_at(uintptr_t address, size_t size);
/* Replaces a mapping of ours by fresh zeroed memory. */
bool os_map_over(uintptr_t address, size_t size);
/* Whether the kernel would back so much at all, by its rules about overcommitting. */
bool os_would_hold(size_t size);
void os_unmap(uintptr_t address, size_t size);
/* Gives the memory back and keeps the address; the pages read as zero afterwards. */
bool os_release(uintptr_t address, size_t size);
/* Whether all of it is, and making it so without touching pages that were never touched; `size` is
 * at least 1. */
bool os_is_zero(const void *p, size_t size);
void os_zero_touched(void *p, size_t size);
/* Fetches memory for pages that are about to be written: one call instead of a fault for each page.
 * false: it can't (before 5.14, or short of memory); the faults come later, as ever. */
bool os_fetch(uintptr_t address, size_t size);
/* Moves the pages at `from` to `to` without copying; `from` stays mapped and reads as zero. Both
 * are mappings of ours. false: `from` is as it was, but `to` may not be mapped any more. */
bool os_move_pages(uintptr_t from, uintptr_t to, size_t size);
/* How many bytes of it have memory. Parts that aren't mapped have none. */
size_t os_resident_in(uintptr_t address, size_t size);
size_t os_page_size(void);
/* Makes pages trap on every access, at the cost of no mapping; their memory goes back. false: the
 * kernel can't (before 6.13, or the memory is locked). */
bool os_guard(uintptr_t address, size_t size);
/* The other way; the pages are zero then. */
bool os_unguard(uintptr_t address, size_t size);
/* The same by mprotect, which splits a mapping in up to three; the pages keep what they hold. */
bool os_protect(uintptr_t address, size_t size, bool accessible);
/* Whether the kernel may put huge pages there, or mustn't. Advice: it can't fail. */
void os_advise_huge(uintptr_t address, size_t size, bool huge);

/* Whether each page there has memory that no other process shares. */
bool os_has_alone(uintptr_t address, size_t size);
/* Whether the system's setting leaves any room for huge pages, by the kernel's file. */
bool os_allows_huge(const char *setting);
/* Puts what has memory there, 2 MB, on a huge page (Linux 6.1). */
bool os_collapse(uintptr_t address, size_t size);

/* --- Waiting. --- */
void os_futex_wait(atomic_uint *word, unsigned expected);
/* The same, for at most so many nanoseconds. */
void os_futex_wait_for(atomic_uint *word, unsigned expected, uint64_t nanoseconds);
void os_futex_wake(atomic_uint *word, int how_many);

/* --- Signals. libc's way, which leaves its own internal ones (setuid's) alone. --- */
void os_block_signals(sigset_t *before);
void os_restore_signals(const sigset_t *before);
/* Has SIGSEGV and SIGBUS call `handler` with the address and "read", "write" or "access"; true: it
 * has reported the fault. Then the program's own handler of before is called. Where it had none a
 * reported fault ends by abort, another by the signal itself. false: refused. */
bool os_handle_faults(bool (*handler)(uintptr_t address, const char *access));

/* --- What the process is. --- */
unsigned os_thread_id(void);
uint64_t os_random_seed(void);     /* from the bytes that the kernel hands to each program */
uintptr_t os_linker_address(void); /* where the dynamic linker was loaded */
/* Where the kernel started the program: an address in its own file. */
uintptr_t os_program_entry(void);
bool os_is_setuid(void); /* AT_SECURE: the environment isn't to be trusted */
size_t os_resident_bytes(void);
uint64_t os_nanotime(void);
uint64_t os_wall_time(void);       /* ns since 1970 */
uint64_t os_coarse_nanotime(void); /* the same some milliseconds ago, cheaper */
/* A file's text, cut to what fits, with a zero behind it; how many bytes. 0: it can't be read. */
size_t os_read_file(const char *path, char *text, size_t size);
/* The least memory limit of the process's cgroups, version 2 or 1, by a file such as
 * /proc/self/cgroup and the directory where the groups are. UINT64_MAX: none. */
uint64_t os_cgroup_memory_limit(const char *membership, const char *mount);

bool os_is_first_thread(void); /* the one that main runs on */
/* Processors that this process may use: the affinity mask, and the cgroup's quota. At least 1. */
unsigned os_processors(void);
/* Threads of the whole machine that run now or wait to, the caller among them, and processors, by
 * /proc/loadavg and the list of those that are online. false: can't be known. */
bool os_count_running(const char *loadavg, const char *list, unsigned *running, unsigned *online);
unsigned os_threads(void); /* of this process; 0: can't be known */
/* Whether a thread of this process waits in the kernel. */
bool os_thread_sleeps(unsigned thread_id);
GA_NORETURN void os_exit(int status); /* at once: no handlers, no destructors */
void os_yield(void);
void os_pause(uint64_t nanoseconds); /* at most so long */

/* --- The dynamic loader --- */
/* Whether the code there is the loader's; or may be it, where nobody knows. */
bool os_is_loader(const void *code);
bool os_may_be_loader(const void *code);
/* This thread was called by the loader, which may hold what a thread's start and end wait for: it
 * must neither start one nor wait for another. See loader.c. */
extern GA_HIDDEN __thread void *os_loader_waits __attribute__((tls_model("initial-exec")));

GA_INLINE bool os_serves_loader(void)
{
    void *waits;
    GA_TLS_LOAD(waits, os_loader_waits);
    return GA_UNLIKELY(waits != NULL);
}

GA_INLINE void os_set_serves_loader(const void *loader)
{
    GA_TLS_STORE(os_loader_waits, loader);
}

/* --- Coroutine stacks --- */

/* Memory for stacks, anywhere; 0: none is to be had. */
uintptr_t os_map_stacks(size_t size);
enum os_guard {
    OS_GUARD_ADVICE,  /* MADV_GUARD_INSTALL: no mapping of its own */
    OS_GUARD_PROTECT, /* mprotect */
    OS_GUARD_NONE,
};
/* Makes a page inaccessible at each of `count` places, `stride` apart; first tries the way that
 * `guard` says. Returns the way by which the last was made. */
enum os_guard os_guard_pages(uintptr_t first, size_t stride, size_t count, enum os_guard guard);

/* The same for a page at each of `count` places, `stride` apart (Linux 6.13). */
bool os_fetch_pages(uintptr_t first, size_t stride, size_t count);

/* --- Barriers in all of the process's threads at once --- */
bool os_barrier_prepare(void); /* false: this kernel hasn't got them */
bool os_barrier(void);         /* false: it refuses */

/* --- Signal handlers --- */
typedef void os_signal_handler(int number, siginfo_t *info, void *context);
/* Puts a handler in place, on the thread's signal stack; `before` is what there was. */
void os_signal_handle(int number, os_signal_handler *handler, struct sigaction *before);
/* The same, unless the program has a handler or ignores the signal. */
void os_signal_handle_default(int number, os_signal_handler *handler);
void os_signal_restore(int number, const struct sigaction *before);
/* A stack for handlers, unless this thread has one already. */
void os_signal_stack(void *memory, size_t size);
size_t os_signal_stack_size(void);

/* --- Waiting for descriptors. Where an int says "or -errno" it does for all results below 0. ---
 */
struct os_event {
    bool readable, writable, hung_up; /* the other side of a socket, or both */
    void *data;
};
enum os_watch {
    OS_WATCH_EDGES,  /* each time it becomes so; what it is by now is told, too */
    OS_WATCH_ALWAYS, /* for as long as it is readable */
};
bool os_is_stream(int fd);
int os_poller_open(void); /* or -errno */
/* 0 or -errno; EPERM: a descriptor that is always ready. */
int os_poller_watch(int poller, int fd, enum os_watch how, bool read, bool write, void *data);
void os_poller_forget(int poller, int fd);
/* How many; nanoseconds < 0: for as long as it takes. */
int os_poller_wait(int poller, struct os_event *events, int count, int64_t nanoseconds);
int os_event_open(void); /* a descriptor to wake a poller with, or -errno */
void os_event_set(int fd);
void os_event_clear(int fd);

/* --- Input and output for coroutines. All give a result, or -errno. --- */
struct iovec;
struct msghdr;
struct sockaddr;
struct pollfd;
enum os_io_kind { OS_READ, OS_WRITE, OS_RECEIVE, OS_SEND, OS_ACCEPT };
struct os_io {
    enum os_io_kind kind;
    int fd;
    const struct iovec *parts; /* OS_READ and OS_WRITE */
    int count;
    bool socket;              /* perhaps: there is a call that costs less. OS_READ and OS_WRITE */
    struct msghdr *message;   /* OS_RECEIVE and OS_SEND */
    int flags;                /* theirs, and OS_ACCEPT's */
    struct sockaddr *address; /* OS_ACCEPT */
    unsigned *address_size;
};
/* wait = false: -EAGAIN rather than wait in the kernel, whatever the descriptor's mode is; where
 * the kernel knows no such call it is asked first, and another reader may come in between. */
long os_io(const struct os_io *io, bool wait);
/* wait = false: -EINPROGRESS where it would wait; os_connect_result is its outcome. */
long os_connect(int fd, const struct sockaddr *address, unsigned size, bool wait);
long os_connect_result(int fd);
long os_poll(struct pollfd *fds, unsigned long count, int milliseconds);
long os_close_checked(int fd);
bool os_is_nonblocking(int fd); /* as the program has set it */

/* --- Output. One write each; a line is never torn. --- */
void os_write(int fd, const char *text, size_t length);
/* A file to append to, made if need be, or one to read; negative where that fails. */
int os_open_append(const char *path);
int os_open_read(const char *path);
/* How many bytes came; 0 at the end, negative where that fails. */
long os_read(int fd, char *buffer, size_t size);
void os_close(int fd);

/* System calls made through this folder since the start. */
size_t os_system_calls(void);

#endif
