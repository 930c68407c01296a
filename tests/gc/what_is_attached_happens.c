// SPDX-License-Identifier: MIT
//
// Finalizers get a block that is out of reach, once, in the order of who points to whom, with what
// it points to still whole; cleanups run when the block is gone; weak pointers and links are
// cleared, and not before.

#include "collected.h"

#define COUNT 50
#define MOST  (COUNT - 8) /* a few may be kept by words that look like pointers */

static int (*set_finalizer)(void *, void (*)(void *, void *), void *);
static int (*add_cleanup)(void *, void (*)(void *), void *);
static ga_gc_weak *(*weak_new)(void *);
static void *(*weak_get)(const ga_gc_weak *);
static void (*weak_free)(ga_gc_weak *);
static int (*link_word)(void **, const void *);
static void (*gc_free)(void *);
static void *(*atomic_malloc)(size_t);

static atomic_uint finalized, cleaned, parents, children_first;
static void *volatile saved;

static void finalize(void *block, void *data)
{
    expect(is_whole(hide(block), 400), "expected a finalizer to get the block whole");
    expect(data == &finalized, "expected a finalizer to get its data");
    atomic_fetch_add(&finalized, 1);
}

static void clean(void *argument)
{
    expect(is_whole(hide(argument), 96), "expected a cleanup's argument to be whole");
    atomic_fetch_add(&cleaned, 1);
}

/* The thread that runs them has its own time. */
static void cycles_until(atomic_uint *count, unsigned wanted)
{
    for (unsigned i = 0; i < 50 && atomic_load(count) < wanted; i++) {
        full_cycle();
        usleep(2000);
    }
}

__attribute__((noinline)) static void attach_finalizers(void)
{
    for (unsigned i = 0; i < COUNT; i++)
        expect(set_finalizer(make_block(400), finalize, &finalized) == 0, "expected to attach");
}

static void finalizers_run_once(void)
{
    attach_finalizers();
    cycles_until(&finalized, MOST);
    expect(atomic_load(&finalized) >= MOST, "expected %d finalizers to run, not %u", COUNT,
           atomic_load(&finalized));
    full_cycle();
    full_cycle();
    expect(atomic_load(&finalized) <= COUNT, "expected each to run once");
}

static void finalize_parent(void *block, void *unused)
{
    void **child = *(void ***)block;
    (void)unused;
    expect(((uint64_t *)child)[1] == (PATTERN ^ 1), "expected a parent's child to be whole");
    atomic_fetch_add(&parents, 1);
}

static void finalize_child(void *block, void *number)
{
    (void)block;
    (void)number;
    if (atomic_load(&parents) == 0)
        atomic_fetch_add(&children_first, 1);
}

__attribute__((noinline)) static void attach_in_order(void)
{
    for (unsigned i = 0; i < COUNT; i++) {
        void **parent = make_block(400), **child = make_block(400);
        *parent = child;
        set_finalizer(child, finalize_child, NULL);
        set_finalizer(parent, finalize_parent, NULL);
    }
}

static void parents_come_first(void)
{
    attach_in_order();
    cycles_until(&parents, MOST);
    expect(atomic_load(&parents) >= MOST, "expected parents' finalizers to run");
    expect(atomic_load(&children_first) == 0, "expected no child's finalizer before its parent's");
}

__attribute__((noinline)) static void attach_cleanups(void)
{
    for (unsigned i = 0; i < COUNT; i++)
        add_cleanup(make_block(400), clean, make_block(96));
}

static void cleanups_run(void)
{
    attach_cleanups();
    cycles_until(&cleaned, MOST);
    expect(atomic_load(&cleaned) >= MOST, "expected %d cleanups to run, not %u", COUNT,
           atomic_load(&cleaned));
}

static void resurrect(void *block, void *unused)
{
    (void)unused;
    saved = block;
    atomic_fetch_add(&finalized, 1);
}

__attribute__((noinline)) static void attach_resurrecting(void)
{
    set_finalizer(make_block(400), resurrect, NULL);
}

static void a_finalizer_may_save_its_block(void)
{
    atomic_store(&finalized, 0);
    attach_resurrecting();
    cycles_until(&finalized, 1);
    if (!saved)
        return; /* a stale word kept it: nothing to see */
    hidden h = hide(saved);
    expect_alive(h, 400, "a place where its finalizer stored it");
    saved = NULL;
}

__attribute__((noinline)) static void make_weak(ga_gc_weak **weak, void **words)
{
    for (unsigned i = 0; i < COUNT; i++) {
        void *block = make_block(400);
        weak[i] = weak_new(block);
        words[i] = block;
        link_word(&words[i], block);
    }
}

__attribute__((noinline)) static unsigned count_cleared(ga_gc_weak **weak, void **words)
{
    unsigned cleared = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        expect(weak_get(weak[i]) == words[i], "expected a weak pointer and a link to agree");
        cleared += words[i] == NULL;
    }
    return cleared;
}

static void weak_pointers_are_cleared(void)
{
    ga_gc_weak *weak[COUNT], *of_kept;
    void **words = atomic_malloc(COUNT * sizeof(void *));
    void *volatile kept = make_block(400);
    of_kept = weak_new(kept);
    make_weak(weak, words);
    full_cycle();
    unsigned cleared = count_cleared(weak, words);
    expect(cleared >= MOST, "expected %d weak pointers to be cleared, not %u", COUNT, cleared);
    expect(weak_get(of_kept) == kept, "expected a weak pointer to a live block to give it");
    gc_free(kept);
    expect(weak_get(of_kept) == NULL, "expected a weak pointer to know of ga_gc_free");
    for (unsigned i = 0; i < COUNT; i++)
        weak_free(weak[i]);
    weak_free(of_kept);
}

int main(void)
{
    gc_promise_begin(100);
    find_call("ga_gc_set_finalizer", &set_finalizer);
    find_call("ga_gc_add_cleanup", &add_cleanup);
    find_call("ga_gc_weak_new", &weak_new);
    find_call("ga_gc_weak_get", &weak_get);
    find_call("ga_gc_weak_free", &weak_free);
    find_call("ga_gc_link", &link_word);
    find_call("ga_gc_free", &gc_free);
    find_call("ga_gc_malloc_atomic", &atomic_malloc);
    finalizers_run_once();
    parents_come_first();
    cleanups_run();
    a_finalizer_may_save_its_block();
    weak_pointers_are_cleared();
    return 0;
}
