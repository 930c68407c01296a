// SPDX-License-Identifier: MIT
/*
 * provider.c: what the collector and the coroutines told, or zeros.
 *
 * Place: they register here; snapshot.c and mem_stats.c ask.
 *
 * Invariants: a provider that is set stays. Locking: none; the pointers are stored with release and
 * loaded with acquire, so that what a provider set up before is seen with it. Fork: the child keeps
 * them.
 */
#include "internal.h"

static _Atomic(const struct gc_provider *) gc;
static void (*_Atomic coro)(struct coro_figures *);

void observe_provide_gc(const struct gc_provider *provider)
{
    atomic_store_explicit(&gc, provider, memory_order_release);
}

void observe_provide_coro(void (*read)(struct coro_figures *out))
{
    atomic_store_explicit(&coro, read, memory_order_release);
}

void provider_read(struct gc_figures *gc_out, struct coro_figures *coro_out)
{
    const struct gc_provider *provider = atomic_load_explicit(&gc, memory_order_acquire);
    void (*coro_read)(struct coro_figures *) = atomic_load_explicit(&coro, memory_order_acquire);
    *gc_out = (struct gc_figures){0};
    *coro_out = (struct coro_figures){0};
    if (provider)
        provider->read(gc_out);
    if (coro_read)
        coro_read(coro_out);
}

void provider_read_pauses(uint64_t pause_ns[256], uint64_t pause_end[256])
{
    const struct gc_provider *provider = atomic_load_explicit(&gc, memory_order_acquire);
    if (provider)
        provider->read_pauses(pause_ns, pause_end);
}
