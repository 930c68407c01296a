// SPDX-License-Identifier: MIT
/* The figures: they add up, and they agree with what is known to be allocated. */
#include "support/test.h"

#include <pthread.h>
#include <sched.h>

#include "mcentral/mcentral.h"
#include "observe/internal.h"
#include "os/os.h"
#include "scavenger/scavenger.h"
#include "support/objects.h"

static struct ga_stats figures(void)
{
    struct ga_stats stats;
    observe_all(&stats);
    assert_int_equal(stats.mapped, stats.in_use + stats.free_dirty + stats.free_released);
    assert_int_equal(stats.in_use, stats.live + stats.cached + stats.span_free);
    return stats;
}

static void live_bytes_and_blocks_are_what_was_allocated(void **state)
{
    static void *objects[SIZE_CLASS_COUNT][30];
    struct ga_stats before = figures();
    size_t live = before.live, blocks = before.live_blocks;
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        for (size_t i = 0; i < COUNT(*objects); i++) {
            objects[class][i] = object_alloc(class);
            live += size_classes[class].size;
            blocks++;
        }
        struct ga_stats stats = figures();
        assert_int_equal(stats.live, live);
        assert_int_equal(stats.live_blocks, blocks);
    }
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        for (size_t i = 0; i < COUNT(*objects); i++)
            object_free(objects[class][i]);
    assert_int_equal(figures().live, before.live);
    assert_int_equal(figures().live_blocks, before.live_blocks);
}

static void large_blocks_are_counted_apart(void **state)
{
    struct ga_stats before = figures();
    struct span *span = mheap_alloc_large(300, HEAP_PAGE, CONTENTS_ANY);
    struct ga_stats during = figures();
    assert_int_equal(during.large, before.large + 300 * HEAP_PAGE);
    assert_int_equal(during.live, before.live + 300 * HEAP_PAGE);
    assert_int_equal(during.live_blocks, before.live_blocks + 1);
    assert_int_equal(during.spans, before.spans + 1);
    mheap_free_large(span);
    assert_int_equal(figures().large, before.large);
}

static struct class_figures figures_of(unsigned class)
{
    struct snapshot now;
    observe_snapshot(&now);
    return now.classes[class];
}

static void a_class_knows_its_spans_live_and_cached(void **state)
{
    const unsigned class = 5;
    void *objects[10];
    for (size_t i = 0; i < COUNT(objects); i++)
        objects[i] = object_alloc(class);
    struct class_figures figures = figures_of(class);
    assert_int_equal(figures.live, COUNT(objects));
    assert_true(figures.cached > 0 && figures.spans > 0);
    assert_true(figures.live + figures.cached <= figures.spans * size_classes[class].objects);
    for (size_t i = 0; i < COUNT(objects); i++)
        object_free(objects[i]);
    assert_int_equal(figures_of(class).live, 0);
}

/* --- What was allocated and freed --- */

#define RUN 1000

static void *run[RUN];

static void alloc_run(unsigned class)
{
    for (size_t i = 0; i < RUN; i++)
        run[i] = object_alloc(class);
}

static void free_run(void)
{
    for (size_t i = 0; i < RUN; i++)
        object_free(run[i]);
}

static void blocks_allocated_and_freed_are_counted(void **state)
{
    for (unsigned class = 1; class < 40; class += 3) {
        struct class_figures before = figures_of(class);
        alloc_run(class);
        struct class_figures held = figures_of(class);
        assert_int_equal(held.allocs, before.allocs + RUN);
        assert_int_equal(held.frees, before.frees);
        free_run();
        struct class_figures freed = figures_of(class);
        assert_int_equal(freed.allocs, before.allocs + RUN);
        assert_int_equal(freed.frees, before.frees + RUN);
        mcache_flush_self();
        struct class_figures flushed = figures_of(class);
        assert_int_equal(flushed.allocs, freed.allocs);
        assert_int_equal(flushed.frees, freed.frees);
    }
}

static void flushing_a_cache_is_neither_allocating_nor_freeing(void **state)
{
    const unsigned class = 7;
    object_free(object_alloc(class));
    struct class_figures before = figures_of(class);
    for (int i = 0; i < 50; i++) {
        void *p = object_alloc(class); /* takes a whole magazine out ... */
        mcache_flush_self();           /* and gives the rest back */
        struct class_figures figures = figures_of(class);
        assert_int_equal(figures.allocs - before.allocs, i + 1);
        assert_int_equal(figures.live, before.live + 1);
        object_free(p);
        mcache_flush_self();
    }
    assert_int_equal(figures_of(class).live, before.live);
}

static void a_block_used_again_within_a_cache_is_the_only_one_missed(void **state)
{
    const unsigned class = 9;
    object_free(object_alloc(class));
    struct class_figures before = figures_of(class);
    for (int i = 0; i < 1000; i++)
        object_free(object_alloc(class));
    struct class_figures after = figures_of(class);
    assert_in_range(after.allocs - before.allocs, 0, 1000);
    assert_int_equal(after.allocs - after.frees, after.live);
    assert_int_equal(after.live, before.live);
}

static void counts_never_fall_where_a_magazine_turns_back(void **state)
{
    const unsigned class = 11;
    struct class_figures before = figures_of(class);
    for (int i = 0; i < 20; i++) {
        void *objects[10];
        for (size_t j = 0; j < COUNT(objects); j++)
            objects[j] = object_alloc(class);
        struct class_figures up = figures_of(class);
        assert_int_equal(up.live, before.live + COUNT(objects));
        for (size_t j = 0; j < COUNT(objects); j++)
            object_free(objects[j]);
        struct class_figures down = figures_of(class);
        assert_int_equal(down.live, before.live);
        assert_true(up.allocs >= before.allocs && up.frees >= before.frees);
        assert_true(down.allocs >= up.allocs && down.frees >= up.frees);
        assert_in_range(down.allocs, before.allocs, before.allocs + COUNT(objects));
        before = down;
    }
}

static void *use_and_end(void *unused)
{
    alloc_run(13);
    mcache_flush_self(); /* where the run turns back, part of a magazine would be missed */
    free_run();
    return NULL;
}

static void threads_that_ended_are_still_counted(void **state)
{
    const unsigned class = 13, threads = 20; /* more than stay warm */
    struct class_figures before = figures_of(class);
    for (unsigned i = 0; i < threads; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, use_and_end, NULL), 0);
        pthread_join(thread, NULL);
        mcache_flush_idle();
    }
    assert_int_equal(figures().threads, 1);
    struct class_figures after = figures_of(class);
    assert_int_equal(after.allocs, before.allocs + threads * RUN);
    assert_int_equal(after.frees, before.frees + threads * RUN);
}

static void blocks_that_pass_by_the_caches_are_counted(void **state)
{
    const unsigned class = 15;
    struct class_figures before = figures_of(class);
    void *p = mcentral_take_one(class), *zero = mcentral_take_zero(60);
    assert_int_equal(figures_of(class).allocs, before.allocs + 1);
    assert_int_equal(figures_of(class).live, before.live + 1);
    mcentral_give_one(class, p);
    assert_int_equal(figures_of(class).frees, before.frees + 1);
    struct class_figures zeros = figures_of(60);
    object_free(zero);
    assert_int_equal(figures_of(60).live, zeros.live - 1);
}

static void large_blocks_are_counted_exactly(void **state)
{
    struct ga_mem_stats before, after;
    observe_mem_stats(&before);
    for (int i = 0; i < 5; i++)
        mheap_free_large(mheap_alloc_large(200, HEAP_PAGE, CONTENTS_ANY));
    struct span *span = mheap_alloc_growing(200);
    span = mheap_resize_large(span, 250);
    observe_mem_stats(&after);
    assert_int_equal(after.by_size[0].mallocs, before.by_size[0].mallocs + 6);
    assert_int_equal(after.by_size[0].frees, before.by_size[0].frees + 5);
    assert_int_equal(after.total_alloc, before.total_alloc + 1250 * HEAP_PAGE);
    assert_int_equal(after.alloc, before.alloc + 250 * HEAP_PAGE);
    mheap_free_large(span);
}

/* --- Sums --- */

static void check_mem_stats(const struct ga_mem_stats *stats)
{
    assert_int_equal(stats->sys, stats->heap_sys + stats->stack_sys + stats->mspan_sys +
                                     stats->mcache_sys + stats->buck_hash_sys + stats->gc_sys +
                                     stats->other_sys);
    assert_int_equal(stats->heap_sys, stats->heap_inuse + stats->heap_idle);
    assert_true(stats->heap_released <= stats->heap_idle);
    assert_true(stats->alloc <= stats->heap_inuse);
    assert_true(stats->mspan_inuse <= stats->mspan_sys);
    assert_true(stats->mcache_inuse <= stats->mcache_sys);
    assert_int_equal(stats->heap_alloc, stats->alloc);
    assert_int_equal(stats->mallocs - stats->frees, stats->heap_objects);
    uint64_t mallocs = 0, frees = 0;
    assert_int_equal(stats->by_size_count, SIZE_CLASS_COUNT);
    for (uint64_t i = 0; i < stats->by_size_count; i++) {
        assert_int_equal(stats->by_size[i].size, i ? size_classes[i].size : 0);
        mallocs += stats->by_size[i].mallocs;
        frees += stats->by_size[i].frees;
    }
    assert_int_equal(mallocs, stats->mallocs);
    assert_int_equal(frees, stats->frees);
}

static uint64_t metric(const char *name)
{
    struct ga_metric sample = {.name = name};
    observe_metrics_read(&sample, 1);
    assert_int_equal(sample.kind, GA_METRIC_UINT64);
    return sample.value.u64;
}

#define METRICS_MAX 100

/* Of one reading: /memory/classes sum to their total. */
static void check_memory_classes(void)
{
    static const char prefix[] = "/memory/classes/", total_name[] = "/memory/classes/total:bytes";
    struct ga_metric samples[METRICS_MAX] = {{0}};
    uint64_t sum = 0, total = 0;
    size_t n = 0, count;
    const struct ga_metric_description *all = observe_metrics_all(&count);
    for (size_t i = 0; i < count; i++)
        if (strncmp(all[i].name, prefix, strlen(prefix)) == 0)
            samples[n++].name = all[i].name;
    assert_int_equal(n, 14);
    observe_metrics_read(samples, n);
    for (size_t i = 0; i < n; i++) {
        bool is_total = strcmp(samples[i].name, total_name) == 0;
        *(is_total ? &total : &sum) += samples[i].value.u64;
    }
    assert_true(total > 0);
    assert_int_equal(sum, total);
}

static void memory_classes_sum_to_the_total(void **state)
{
    struct ga_mem_stats stats;
    struct span *span = mheap_alloc_large(500, HEAP_PAGE, CONTENTS_ANY);
    alloc_run(20);
    observe_mem_stats(&stats);
    check_mem_stats(&stats);
    check_memory_classes();
    assert_int_equal(metric("/memory/classes/total:bytes"), stats.sys);
    assert_int_equal(metric("/memory/classes/heap/objects:bytes"), stats.alloc);
    assert_int_equal(metric("/gc/heap/objects:objects"), stats.heap_objects);
    assert_int_equal(metric("/gc/heap/allocs:bytes"), stats.total_alloc);
    assert_int_equal(metric("/gc/heap/frees:objects"), stats.frees);
    free_run();
    mheap_free_large(span);
}

static atomic_bool enough;
static atomic_uint at_work; /* threads that have used their cache for some time */

static void *allocate_all_the_time(void *seed)
{
    struct dice dice = {(uintptr_t)seed};
    void *blocks[300] = {NULL};
    for (unsigned long turn = 0; !atomic_load(&enough); turn++) {
        if (turn == 20000)
            atomic_fetch_add(&at_work, 1);
        size_t i = dice_below(&dice, COUNT(blocks));
        if (blocks[i])
            object_free(blocks[i]);
        blocks[i] = object_alloc(1 + (unsigned)dice_below(&dice, 50));
        if (dice_below(&dice, 500) == 0)
            mheap_free_large(mheap_alloc_large(150, HEAP_PAGE, CONTENTS_ANY));
    }
    for (size_t i = 0; i < COUNT(blocks); i++)
        if (blocks[i])
            object_free(blocks[i]);
    return NULL;
}

static void check_risen(const struct ga_mem_stats *before, const struct ga_mem_stats *after)
{
    assert_true(after->total_alloc >= before->total_alloc);
    for (size_t i = 0; i < after->by_size_count; i++) {
        assert_true(after->by_size[i].mallocs >= before->by_size[i].mallocs);
        assert_true(after->by_size[i].frees >= before->by_size[i].frees);
    }
}

static void sums_hold_while_four_threads_allocate(void **state)
{
    static struct ga_mem_stats start, before, after;
    pthread_t threads[4];
    observe_mem_stats(&start);
    before = start;
    atomic_store(&enough, false);
    for (uintptr_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_all_the_time, (void *)(i + 1)),
                         0);
    for (int i = 0; i < 500 || atomic_load(&at_work) < COUNT(threads); i++) {
        sched_yield();
        figures();
        check_memory_classes();
        observe_mem_stats(&after);
        check_mem_stats(&after);
        check_risen(&before, &after);
        before = after;
    }
    atomic_store(&enough, true);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    observe_mem_stats(&after);
    check_risen(&before, &after);
    assert_true(after.mallocs > start.mallocs);
    assert_int_equal(after.heap_objects, start.heap_objects);
    assert_int_equal(after.alloc, start.alloc);
}

/* --- Metrics --- */

static void every_metric_is_described_and_can_be_read(void **state)
{
    struct ga_metric samples[METRICS_MAX] = {{0}};
    struct ga_histogram histogram;
    size_t count;
    const struct ga_metric_description *all = observe_metrics_all(&count);
    assert_ptr_equal(observe_metrics_all(NULL), all);
    assert_in_range(count, 40, METRICS_MAX);
    for (size_t i = 0; i < count; i++) {
        const char *colon = strchr(all[i].name, ':');
        assert_true(all[i].name[0] == '/' && colon && colon[1]);
        assert_int_equal(all[i].description[strlen(all[i].description) - 1], '.');
        assert_true(i == 0 || strcmp(all[i - 1].name, all[i].name) < 0);
        samples[count - 1 - i] = (struct ga_metric){.name = all[i].name, .histogram = &histogram};
    }
    observe_metrics_read(samples, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(samples[count - 1 - i].kind, all[i].kind);
}

static void an_unknown_metric_is_bad_and_disturbs_no_other(void **state)
{
    struct ga_metric samples[] = {
        {.name = "/memory/classes/total:bytes"},
        {.name = "/memory/classes/total"},
        {.name = NULL, .kind = GA_METRIC_UINT64, .value = {.u64 = 5}},
        {.name = ""},
        {.name = "/memory/classes/total:bytes"},
    };
    observe_metrics_read(samples, 0);
    assert_int_equal(samples[2].value.u64, 5);
    observe_metrics_read(samples, COUNT(samples));
    assert_int_equal(samples[0].kind, GA_METRIC_UINT64);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(samples[i].kind, GA_METRIC_BAD);
        assert_int_equal(samples[i].value.u64, 0);
    }
    assert_int_equal(samples[4].kind, GA_METRIC_UINT64);
    assert_true(samples[0].value.u64 > 0);
    assert_int_equal(samples[4].value.u64, samples[0].value.u64);
}

static void histograms_have_a_bucket_for_each_size_class(void **state)
{
    struct ga_histogram allocs, frees;
    struct ga_metric samples[] = {
        {.name = "/gc/heap/allocs-by-size:bytes", .histogram = &allocs},
        {.name = "/gc/heap/frees-by-size:bytes", .histogram = &frees},
        {.name = "/gc/heap/allocs:objects"},
        {.name = "/gc/heap/frees:objects"},
        {.name = "/gc/heap/allocs-by-size:bytes", .histogram = NULL},
    };
    uint64_t allocated = 0, freed = 0;
    alloc_run(3);
    observe_metrics_read(samples, COUNT(samples));
    free_run();
    assert_int_equal(samples[4].kind, GA_METRIC_HISTOGRAM);
    assert_int_equal(allocs.count, SIZE_CLASS_COUNT);
    for (size_t i = 0; i < allocs.count; i++) {
        assert_true(allocs.bounds[i] < allocs.bounds[i + 1]);
        allocated += allocs.counts[i];
        freed += frees.counts[i];
    }
    assert_true(allocs.bounds[allocs.count] > 1e300);
    assert_int_equal(allocated, samples[2].value.u64);
    assert_int_equal(freed, samples[3].value.u64);
    /* 48 bytes are the third class: a value v of it has bounds[2] <= v < bounds[3]. */
    assert_true(allocs.bounds[2] <= 48 && 48 < allocs.bounds[3]);
    assert_true(allocs.counts[2] >= RUN);
}

static void times_fall_into_powers_of_two(void **state)
{
    assert_int_equal(time_bucket(0), 0);
    assert_int_equal(time_bucket(1), 0);
    assert_int_equal(time_bucket(2), 1);
    assert_int_equal(time_bucket(1023), 9);
    assert_int_equal(time_bucket(1024), 10);
    assert_int_equal(time_bucket(UINT64_MAX), TIME_BUCKETS - 1);
}

/* --- Providers. Registered for good: this comes last. --- */

static void read_gc(struct gc_figures *out)
{
    out->goal = 1000;
    out->memory = 4096;
    out->cycles_automatic = 5;
    out->cycles_forced = 2;
    out->scan_heap = 30;
    out->scan_stack = 4;
    out->cpu_fraction = 0.25;
    out->enabled = true;
    out->pauses[10] = 7;
}

static void read_gc_pauses(uint64_t pause_ns[256], uint64_t pause_end[256])
{
    pause_ns[6] = 1500;
    pause_end[255] = 99;
}

static void read_coro(struct coro_figures *out)
{
    out->stack_inuse = 65536;
    out->stack_sys = 131072;
    out->os_stacks = 8192;
    out->memory = 12345;
    out->coroutines = 3;
    out->latencies[TIME_BUCKETS - 1] = 1;
}

static void the_collector_and_the_coroutines_provide_their_figures(void **state)
{
    static const struct gc_provider provider = {read_gc, read_gc_pauses};
    struct ga_mem_stats before, stats;
    struct ga_histogram pauses;
    struct ga_metric sample = {.name = "/sched/pauses/total/gc:seconds", .histogram = &pauses};
    observe_mem_stats(&before);
    assert_int_equal(before.gc_sys + before.stack_sys + before.enable_gc, 0);
    observe_provide_gc(&provider);
    observe_provide_coro(read_coro);
    observe_mem_stats(&stats);
    check_mem_stats(&stats);
    check_memory_classes();
    assert_int_equal(stats.sys, before.sys + 4096 + 131072 + 8192 + 12345);
    assert_int_equal(stats.gc_sys, 4096);
    assert_int_equal(stats.num_gc, 7);
    assert_int_equal(stats.pause_ns[6], 1500);
    assert_int_equal(stats.pause_end[255], 99);
    assert_int_equal(stats.stack_inuse, 65536);
    assert_int_equal(stats.stack_sys, 131072 + 8192);
    assert_true(stats.enable_gc == 1 && stats.gc_cpu_fraction == 0.25);
    assert_int_equal(metric("/gc/scan/total:bytes"), 34);
    assert_int_equal(metric("/gc/cycles/total:gc-cycles"), 7);
    assert_int_equal(metric("/memory/classes/heap/stacks:bytes"), 131072);
    assert_int_equal(metric("/sched/goroutines:goroutines"), 3);
    observe_metrics_read(&sample, 1);
    assert_int_equal(pauses.count, TIME_BUCKETS);
    assert_int_equal(pauses.counts[10], 7);
    assert_true(pauses.bounds[10] < 1024e-9 * 1.001 && pauses.bounds[10] > 1024e-9 * 0.999);
}

static void what_is_freed_and_released_is_counted_so(void **state)
{
    struct span *span = mheap_alloc_large(1000, HEAP_PAGE, CONTENTS_ANY);
    memset((void *)span_address(span), 1, 1000 * HEAP_PAGE);
    struct ga_stats before = figures();
    mheap_free_large(span);
    struct ga_stats freed = figures();
    assert_int_equal(freed.free_dirty, before.free_dirty + 1000 * HEAP_PAGE);
    size_t resident = os_resident_bytes();
    size_t released = scavenger_release_all(0);
    struct ga_stats after = figures();
    assert_true(os_resident_bytes() < resident);
    assert_true(released >= 1000 * HEAP_PAGE);
    assert_int_equal(after.free_dirty, 0);
    assert_int_equal(after.cached, 0);
    assert_int_equal(after.mapped, freed.mapped);
    assert_true(after.system_calls > freed.system_calls);
}

static void metadata_and_threads_are_counted(void **state)
{
    struct ga_stats before = figures();
    assert_int_equal(before.threads, 1);
    assert_true(before.metadata > 0);
    for (int i = 0; i < 100; i++)
        assert_non_null(mheap_meta_alloc(10000));
    assert_true(figures().metadata >= before.metadata + 900000);
}

static void print(void *argument)
{
    observe_print();
}

static void the_summary_names_every_part(void **state)
{
    static const char *const names[] = {
        "live",     "cached",   "free in spans", "free dirty",   "free released",
        "mapped",   "resident", "fragmentation", "system calls", "threads",
        "metadata", "the rest", "of it depots",  "given back"};
    struct child child;
    void *p = object_alloc(3);
    child_run(&child, print, NULL);
    assert_int_equal(child.status, 0);
    for (size_t i = 0; i < COUNT(names); i++)
        assert_non_null(strstr(child.text, names[i]));
    assert_non_null(strstr(child.text, "\ngoalloc:           48        1            1"));
    for (const char *line = child.text; *line; line = strchr(line, '\n') + 1)
        assert_int_equal(strncmp(line, "goalloc: ", 9), 0);
    object_free(p);
}

static int start(void **state)
{
    mcache_init_process(); /* so that threads' caches end with them */
    object_free(object_alloc(1));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_bytes_and_blocks_are_what_was_allocated),
        cmocka_unit_test(large_blocks_are_counted_apart),
        cmocka_unit_test(a_class_knows_its_spans_live_and_cached),
        cmocka_unit_test(what_is_freed_and_released_is_counted_so),
        cmocka_unit_test(metadata_and_threads_are_counted),
        cmocka_unit_test(the_summary_names_every_part),
        cmocka_unit_test(blocks_allocated_and_freed_are_counted),
        cmocka_unit_test(flushing_a_cache_is_neither_allocating_nor_freeing),
        cmocka_unit_test(a_block_used_again_within_a_cache_is_the_only_one_missed),
        cmocka_unit_test(counts_never_fall_where_a_magazine_turns_back),
        cmocka_unit_test(threads_that_ended_are_still_counted),
        cmocka_unit_test(blocks_that_pass_by_the_caches_are_counted),
        cmocka_unit_test(large_blocks_are_counted_exactly),
        cmocka_unit_test(memory_classes_sum_to_the_total),
        cmocka_unit_test(sums_hold_while_four_threads_allocate),
        cmocka_unit_test(every_metric_is_described_and_can_be_read),
        cmocka_unit_test(an_unknown_metric_is_bad_and_disturbs_no_other),
        cmocka_unit_test(histograms_have_a_bucket_for_each_size_class),
        cmocka_unit_test(times_fall_into_powers_of_two),
        cmocka_unit_test(the_collector_and_the_coroutines_provide_their_figures),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
