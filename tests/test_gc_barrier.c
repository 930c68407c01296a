// SPDX-License-Identifier: MIT
/* What a program tells by ga_gc_write is marked by the stop, without a look at any stack. */
#include "support/test.h"

#include <pthread.h>

#include "gc/barrier.h"
#include "gc/internal.h"
#include "gc/work.h"
#include "mcentral/mcentral.h"
#include "os/fault.h"

#define CLASS 4 /* whatever it is */
#define MANY  3000

/* The library's own, which the entry points would define. */
unsigned ga_gc_marking;

void ga_gc_shade(const void *old, const void *pointer)
{
    barrier_shade((uintptr_t)old, (uintptr_t)pointer);
}

void ga_gc_write_range(void *to, const void *from, size_t size)
{
    barrier_copy(to, from, size);
}

static void **new_block(void)
{
    void **block = mcentral_take_typed(CLASS);
    assert_non_null(block);
    memset(block, 0, size_classes[CLASS].size);
    return block;
}

static bool is_marked(const void *block)
{
    return mark_reached((uintptr_t)block);
}

static void begin(void)
{
    assert_true(mark_prepare());
    assert_int_equal(ga_gc_marking, 0);
    assert_true(barrier_begin());
    assert_int_equal(ga_gc_marking, 1);
    set_marking(true);
    mark_begin();
}

/* What the stop does with what was told. */
static void take(void)
{
    acquire_all();
    barrier_mark_stopped();
    release_all();
}

static void follow(void)
{
    acquire_all();
    mark_drain();
    release_all();
}

static void end(void)
{
    barrier_end();
    set_marking(false);
}

static void what_is_overwritten_and_what_is_stored_is_marked(void **state)
{
    void **holder = new_block(), **old = new_block(), **new = new_block(), **other = new_block();
    void **behind_old = new_block(), **behind_new = new_block();
    ga_gc_write(&holder[0], old);
    ga_gc_write(&old[1], behind_old);
    ga_gc_write(&new[1], behind_new);
    begin();
    ga_gc_write(&holder[0], new);
    assert_ptr_equal(holder[0], new);
    take();
    follow();
    assert_true(is_marked(old));
    assert_true(is_marked(new));
    assert_true(is_marked(behind_old));
    assert_true(is_marked(behind_new));
    assert_false(is_marked(other) || is_marked(holder));
    end();
    assert_false(is_marked(old) || is_marked(new));
}

static void nothing_is_marked_while_nobody_marks(void **state)
{
    void **holder = new_block(), **old = new_block(), **new = new_block();
    ga_gc_write(&holder[0], old);
    ga_gc_write(&holder[0], new);
    ga_gc_write_range(holder, old, 16);
    begin();
    take();
    assert_false(is_marked(old) || is_marked(new));
    end();
}

/* No block is black yet, and spans may still end: no mark may be set. */
static void what_is_told_before_anything_is_marked_is_dropped(void **state)
{
    void **block = new_block();
    assert_true(barrier_begin());
    ga_gc_shade(block, NULL);
    assert_false(is_marked(block));
    barrier_end();
}

/* Of a cycle that was given up, and by a thread that has seen it too late. */
static void late_words_mark_nothing(void **state)
{
    void **early = new_block(), **late = new_block();
    begin();
    ga_gc_shade(early, NULL);
    assert_true(is_marked(early));
    end();
    ga_gc_shade(late, NULL);
    assert_false(is_marked(early) || is_marked(late));
    begin();
    take();
    follow();
    assert_false(is_marked(early) || is_marked(late));
    end();
}

static void what_is_no_block_is_passed_over(void **state)
{
    void *local = NULL, **holder = new_block();
    begin();
    ga_gc_write(&holder[0], &local);
    ga_gc_write(&holder[0], NULL);
    ga_gc_write(&holder[0], (void *)-1);
    ga_gc_write(&local, holder);
    assert_ptr_equal(local, holder);
    take();
    assert_true(is_marked(holder));
    end();
}

static void ranges_are_told_before_and_after(void **state)
{
    void **to = new_block(), **from = new_block(), **old = new_block(), **new = new_block();
    to[2] = old;
    from[1] = new;
    begin();
    ga_gc_write_range(&to[1], from, 3 * sizeof(void *));
    assert_ptr_equal(to[2], new);
    take();
    assert_true(is_marked(old) && is_marked(new));
    end();
}

static void a_block_that_moves_keeps_what_it_holds(void **state)
{
    void **moved = new_block(), **held = new_block();
    moved[1] = held;
    begin();
    barrier_resize_begin();
    barrier_resize_end(moved, 4 * sizeof(void *));
    take();
    assert_true(is_marked(held));
    end();
}

/* Where realloc is just moving one, nobody knows yet what has come where. */
static void large_blocks_are_looked_at_again_while_one_moves(void **state)
{
    struct span *span = mheap_alloc_large(300, HEAP_PAGE, CONTENTS_ANY);
    void **large = (void **)span_address(span), **held = new_block();
    memset(large, 0, (size_t)300 << HEAP_PAGE_SHIFT);
    mheap_set_type(span, 0);
    begin();
    mark_heap_word(work_own(), (uintptr_t)large);
    follow();
    large[9] = held;
    take();
    follow();
    assert_false(is_marked(held));
    barrier_resize_begin();
    take();
    follow();
    assert_true(is_marked(held));
    barrier_resize_end(NULL, 0);
    end();
    mheap_free_large(span);
}

/* The address space isn't free before, as the marker may be looking at it. */
static void a_large_block_freed_meanwhile_ends_with_the_sweep(void **state)
{
    struct mheap_stats before, after;
    uint32_t pages[512];
    size_t cursor = 0;
    mheap_read_stats(&before);
    struct span *span = mheap_alloc_large(300, HEAP_PAGE, CONTENTS_ANY);
    begin();
    mheap_free_large(span);
    assert_int_equal(span->state, SPAN_DEAD);
    end();
    for (unsigned count; (count = mheap_list_spans(&cursor, pages, COUNT(pages))) > 0;)
        for (unsigned i = 0; i < count; i++)
            if (mheap_span_at(pages[i])->state == SPAN_DEAD)
                mheap_sweep_large(pages[i], true);
    mheap_read_stats(&after);
    assert_int_equal(after.large, before.large);
    assert_int_equal(after.in_use, before.in_use);
}

/* The bits behind a span's last object are set for ever, and stand for nothing. */
static void nothing_behind_a_spans_last_object_is_marked(void **state)
{
    const unsigned class = size_class_of(480); /* 17 to a span */
    void *object;
    begin();
    assert_int_equal(mcentral_fill(class, &object, 1), 1);
    const struct span *span = mheap_span_of(object);
    mark_in_use(span->page);
    for (unsigned i = span->objects; i % 64 != 0; i++)
        assert_false(marks_of(span->page)->mark[i / 64] >> i % 64 & 1);
    end();
    mcentral_drain(class, &object, 1);
}

/* Malloc's blocks are written by anybody. */
static void mallocs_blocks_are_kept_and_looked_at(void **state)
{
    void **block, **held = new_block(), **noscan = mcentral_take_noscan(CLASS);
    assert_int_equal(mcentral_fill(CLASS, (void **)&block, 1), 1);
    block[1] = held;
    noscan[0] = new_block();
    begin();
    take();
    assert_true(is_marked(block));
    follow();
    assert_true(is_marked(held));
    assert_false(is_marked(noscan) || is_marked(noscan[0]));
    end();
    mcentral_drain(CLASS, (void **)&block, 1);
}

struct part {
    void **blocks[MANY], **behind[MANY]; /* each leads to one */
    void **holder;
};

static void make_part(struct part *part)
{
    part->holder = mcentral_take_noscan(CLASS); /* not looked into while it is written */
    memset(part->holder, 0, size_classes[CLASS].size);
    for (unsigned i = 0; i < MANY; i++) {
        part->blocks[i] = new_block();
        part->blocks[i][1] = part->behind[i] = new_block();
    }
}

static void expect_marked(const struct part *part)
{
    for (unsigned i = 0; i < MANY; i++)
        assert_true(is_marked(part->blocks[i]) && is_marked(part->behind[i]));
}

static void join_and_expect_marked(const pthread_t *threads, const struct part *parts,
                                   unsigned count)
{
    for (unsigned t = 0; t < count; t++)
        pthread_join(threads[t], NULL);
    take();
    follow();
    for (unsigned t = 0; t < count; t++)
        expect_marked(&parts[t]);
    end();
}

static void *tell_many(void *of_thread)
{
    struct part *part = of_thread;
    for (unsigned i = 0; i < MANY; i++)
        ga_gc_write(part->holder, part->blocks[i]);
    return NULL;
}

/* More than fit into any buffer, by threads that have ended by the time. */
static void many_threads_may_tell_much(void **state)
{
    static struct part parts[8];
    pthread_t threads[COUNT(parts)];
    for (unsigned t = 0; t < COUNT(parts); t++)
        make_part(&parts[t]);
    begin();
    for (unsigned t = 0; t < COUNT(parts); t++)
        pthread_create(&threads[t], NULL, tell_many, &parts[t]);
    join_and_expect_marked(threads, parts, COUNT(parts));
}

/* The marker empties buffers and follows what it finds while others tell. */
static void marking_goes_on_beside(void **state)
{
    static struct part parts[4];
    static atomic_bool yield;
    pthread_t threads[COUNT(parts)];
    for (unsigned t = 0; t < COUNT(parts); t++)
        make_part(&parts[t]);
    assert_true(mark_prepare() && stop_prepare() && roots_prepare());
    begin();
    mark_begin();
    for (unsigned t = 0; t < COUNT(parts); t++)
        pthread_create(&threads[t], NULL, tell_many, &parts[t]);
    assert_true(barrier_mark_beside(&yield));
    join_and_expect_marked(threads, parts, COUNT(parts));
}

#ifdef GOALLOC_DEBUG
/* What found no room isn't known: all has to be looked at again. */
static void without_memory_all_is_marked_anew(void **state)
{
    static struct part part, parts[16]; /* to use up the buffers of other tests */
    void **early = new_block();
    make_part(&part);
    for (unsigned i = 0; i < COUNT(parts); i++)
        make_part(&parts[i]);
    begin();
    mark_heap_word(work_own(), (uintptr_t)early);
    os_fault_kinds = OS_FAULT_MMAP;
    os_fault_forever = true;
    os_fault_at = 1;
    for (unsigned size = 1 << 16; size >= GA_CACHE_LINE; size /= 2)
        while (mheap_meta_alloc(size))
            continue;
    for (unsigned i = 0; i < COUNT(parts); i++)
        tell_many(&parts[i]);
    tell_many(&part);
    os_fault_at = 0;
    assert_true(is_marked(early));
    take();
    assert_false(is_marked(early));
    end();
    begin();
    mark_heap_word(work_own(), (uintptr_t)early);
    take();
    assert_true(is_marked(early));
    end();
}
#endif

static int start(void **state)
{
    (void)state;
    return gc_enable(GC_COLLECT, &ga_gc_marking) && gc_barriers ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_overwritten_and_what_is_stored_is_marked),
        cmocka_unit_test(nothing_is_marked_while_nobody_marks),
        cmocka_unit_test(what_is_told_before_anything_is_marked_is_dropped),
        cmocka_unit_test(late_words_mark_nothing),
        cmocka_unit_test(what_is_no_block_is_passed_over),
        cmocka_unit_test(ranges_are_told_before_and_after),
        cmocka_unit_test(a_block_that_moves_keeps_what_it_holds),
        cmocka_unit_test(large_blocks_are_looked_at_again_while_one_moves),
        cmocka_unit_test(a_large_block_freed_meanwhile_ends_with_the_sweep),
        cmocka_unit_test(nothing_behind_a_spans_last_object_is_marked),
        cmocka_unit_test(mallocs_blocks_are_kept_and_looked_at),
        cmocka_unit_test(many_threads_may_tell_much),
        cmocka_unit_test(marking_goes_on_beside),
#ifdef GOALLOC_DEBUG
        cmocka_unit_test(without_memory_all_is_marked_anew),
#endif
    };
    return cmocka_run_group_tests_name("gc_barrier", tests, start, NULL);
}
