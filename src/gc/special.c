// SPDX-License-Identifier: MIT
/*
 * special.c: what happens when a block is out of reach: finalizers, cleanups, weak pointers, links.
 *
 *   attached --block out of reach--> ready --the thread for these--> run     finalizer, cleanup
 *   attached --block out of reach--> cleared                                 weak pointer, link
 *
 * Place: src/libc's calls attach; cycle.c asks while the world is stopped. Calls mark.c.
 *
 * Go's rules. A finalizer's block is kept for one more cycle, and what it points to is kept as if
 * the finalizer pointed to it, while the block itself isn't: of two such blocks, one of which
 * points to the other, the first one's finalizer runs first; those in a ring never run. A cleanup
 * gets an argument instead of the block, and the block is freed at once. Both run once, on a thread
 * of their own. Weak pointers and links are cleared before a finalizer gets the block.
 *
 * Invariants: a node is on the chain of its block's address, on the list of what is ready, on the
 * free list, or is a weak pointer's whose block has gone. Blocks are not roots, arguments are.
 * Locking: special_lock; the allocator's locks are taken inside. Not held while the program's code
 * runs. Fork: the child has no such thread until something is ready in it; what was running in the
 * parent isn't run again.
 */
#include <pthread.h>

#include "../os/lock.h"
#include "../os/os.h"
#include "internal.h"
#include "special.h"

#define BUCKETS      4096
#define BUCKET_SHIFT 52 /* 64 - log2(BUCKETS) */

struct special {
    struct special *next;
    uintptr_t block; /* 0: a weak pointer's, gone */
    bool got;        /* a weak pointer's: the program asked for the block since the snapshot */
    struct special_action action;
};

struct lock special_lock;

static struct {
    struct special **buckets; /* by block; NULL until the first; guarded by special_lock */
    struct special *unused;   /* the same */
    struct special *ready, **ready_end; /* the same */
    atomic_uint changes;     /* rises when something is ready; release, acquire by the thread */
    atomic_bool thread_runs; /* relaxed: one exchange decides who starts it */
} specials;

/* --- Nodes; lock held --- */

static struct special **bucket_of(uintptr_t block)
{
    return &specials.buckets[(block >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> BUCKET_SHIFT];
}

static struct special *take_node(void)
{
    if (!specials.buckets)
        specials.buckets = mheap_meta_alloc(BUCKETS * sizeof(void *));
    if (!specials.buckets)
        return NULL;
    struct special *node = specials.unused;
    if (!node)
        return mheap_meta_alloc(sizeof(*node));
    specials.unused = node->next;
    return node;
}

static void drop_node(struct special *node)
{
    *node = (struct special){.next = specials.unused};
    specials.unused = node;
}

static void make_ready(struct special *node)
{
    if (!specials.ready)
        specials.ready_end = &specials.ready;
    node->next = NULL;
    *specials.ready_end = node;
    specials.ready_end = &node->next;
}

/* --- Attaching --- */

struct special *special_attach(const void *block, struct special_action action)
{
    lock_acquire(&special_lock);
    struct special *node = take_node();
    if (node) {
        node->block = (uintptr_t)block;
        node->action = action;
        node->next = *bucket_of(node->block);
        *bucket_of(node->block) = node;
    }
    lock_release(&special_lock);
    return node;
}

/* A weak pointer's handle outlives its block. */
static void let_go(struct special *node)
{
    if (node->action.kind == SPECIAL_WEAK)
        node->block = 0;
    else
        drop_node(node);
}

static size_t detach(uintptr_t block, unsigned kinds)
{
    size_t count = 0;
    lock_acquire(&special_lock);
    struct special *none = NULL, **at = specials.buckets ? bucket_of(block) : &none;
    while (*at) {
        struct special *node = *at;
        if (node->block != block || !(kinds >> node->action.kind & 1)) {
            at = &node->next;
            continue;
        }
        *at = node->next;
        let_go(node);
        count++;
    }
    lock_release(&special_lock);
    return count;
}

size_t special_detach(const void *block, enum special_kind kind)
{
    return detach((uintptr_t)block, 1u << kind);
}

void special_detach_all(const void *block)
{
    if (GA_LOAD_ANY(specials.buckets))
        detach((uintptr_t)block, ~0u);
}

/* The block is decided about with the lock held: who has got it here holds it from then on. */
void *special_weak_get(struct special *weak)
{
    lock_acquire(&special_lock);
    void *block = (void *)weak->block;
    weak->got = true;
    lock_release(&special_lock);
    return block;
}

void special_weak_drop(struct special *weak)
{
    lock_acquire(&special_lock);
    struct special **at = weak->block ? bucket_of(weak->block) : NULL;
    while (at && *at != weak)
        at = &(*at)->next;
    if (at)
        *at = weak->next;
    drop_node(weak);
    lock_release(&special_lock);
}

/* --- In a cycle; the world is stopped, the lock held --- */

static void each_attached(void (*visit)(struct special **at))
{
    for (size_t i = 0; specials.buckets && i < BUCKETS; i++)
        for (struct special **at = &specials.buckets[i], *node; (node = *at);) {
            visit(at);
            if (*at == node)
                at = &node->next;
        }
}

static void mark_of_attached(struct special **at)
{
    const struct special_action *action = &(*at)->action;
    if (action->kind == SPECIAL_FINALIZER)
        mark_behind((*at)->block);
    if (action->kind == SPECIAL_FINALIZER || action->kind == SPECIAL_CLEANUP)
        mark_root_word((uintptr_t)action->argument);
}

void special_mark(void)
{
    each_attached(mark_of_attached);
    for (const struct special *node = specials.ready; node; node = node->next) {
        mark_root_word(node->block);
        mark_root_word((uintptr_t)node->action.argument);
    }
}

/* Weak pointers and links first: they don't come back with a finalizer. */
static void clear_weak(struct special **at)
{
    struct special *node = *at;
    enum special_kind kind = node->action.kind;
    uintptr_t word = (uintptr_t)node->action.argument;
    if ((kind != SPECIAL_WEAK && kind != SPECIAL_LINK) || mark_reached(node->block)) {
        /* A word in a block that is itself out of reach is nobody's any more. */
        if (kind != SPECIAL_LINK || !mark_is_dead(word))
            return;
    } else if (kind == SPECIAL_LINK && !mark_is_dead(word)) {
        *(void **)word = NULL;
    }
    *at = node->next;
    let_go(node);
}

static void decide(struct special **at)
{
    struct special *node = *at;
    if (node->action.kind >= SPECIAL_WEAK || mark_reached(node->block))
        return;
    *at = node->next;
    make_ready(node);
}

/* What is behind these blocks has been followed already. */
static void keep_ready(void)
{
    for (const struct special *node = specials.ready; node; node = node->next)
        if (node->action.kind == SPECIAL_FINALIZER)
            mark_alone(node->block);
}

void special_decide(void)
{
    each_attached(clear_weak);
    each_attached(decide);
    keep_ready();
}

/*
 * By a snapshot. What was out of reach in it is still, unless a weak pointer has brought it back,
 * or the program has read a link's word, of which nobody is told.
 */
static void forget_got(struct special **at)
{
    (*at)->got = false;
}

void special_snapshot(void)
{
    each_attached(forget_got);
}

static bool is_open(const struct special *node)
{
    uintptr_t word = (uintptr_t)node->action.argument;
    return node->action.kind == SPECIAL_LINK && !mark_reached(node->block) && !mark_is_dead(word);
}

static bool is_back(const struct special *node)
{
    return node->action.kind == SPECIAL_WEAK && node->got && !mark_reached(node->block);
}

static bool is_any_attached(bool (*is)(const struct special *node))
{
    for (size_t i = 0; specials.buckets && i < BUCKETS; i++)
        for (const struct special *node = specials.buckets[i]; node; node = node->next)
            if (is(node))
                return true;
    return false;
}

bool special_has_open_link(void)
{
    return is_any_attached(is_open);
}

bool special_decide_later(void)
{
    if (is_any_attached(is_back))
        return false;
    special_decide();
    return true;
}

/* --- The thread --- */

static bool take_ready(struct special *taken)
{
    lock_acquire(&special_lock);
    struct special *node = specials.ready;
    if (node) {
        *taken = *node;
        specials.ready = node->next;
        drop_node(node);
    }
    lock_release(&special_lock);
    return node != NULL;
}

static void run_ready(void)
{
    struct special taken;
    while (take_ready(&taken)) {
        if (taken.action.kind == SPECIAL_FINALIZER)
            taken.action.finalize((void *)taken.block, taken.action.argument);
        else
            taken.action.clean(taken.action.argument);
        taken = (struct special){0}; /* this stack is a root */
    }
}

static void *run(void *unused)
{
    pthread_setname_np(pthread_self(), "goalloc-final");
    for (;;) {
        unsigned changes = atomic_load_explicit(&specials.changes, memory_order_acquire);
        run_ready();
        os_futex_wait(&specials.changes, changes);
    }
    return unused;
}

/* After a cycle, by the collector's thread, with no lock held. All signals are blocked, as in it.
 */
void special_run(void)
{
    pthread_t thread;
    if (!GA_LOAD_ANY(specials.ready))
        return;
    atomic_fetch_add_explicit(&specials.changes, 1, memory_order_release);
    os_futex_wake(&specials.changes, 1);
    if (atomic_exchange_explicit(&specials.thread_runs, true, memory_order_relaxed))
        return;
    if (pthread_create(&thread, NULL, run, NULL) == 0)
        pthread_detach(thread);
    else /* the next cycle tries again */
        atomic_store_explicit(&specials.thread_runs, false, memory_order_relaxed);
}

void special_reset_in_child(void)
{
    lock_reset(&special_lock);
    atomic_store_explicit(&specials.thread_runs, false, memory_order_relaxed);
}
