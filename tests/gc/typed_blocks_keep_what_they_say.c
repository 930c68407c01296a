// SPDX-License-Identifier: MIT
//
// Of ga_gc_malloc_typed's blocks, of any size, exactly the words that the type says are looked at.
// free, realloc and malloc_usable_size take them as any block, and realloc keeps the type. What is
// no type is refused. Threads that change graphs of such blocks while cycles run lose nothing.

#include "collected.h"

#include <errno.h>
#include <malloc.h>
#include <sys/mman.h>

#define COUNT 60
#define KEPT  6

static ga_gc_type (*type_new)(size_t, const uint64_t *);
static void *(*typed_malloc)(size_t, ga_gc_type);
static int (*set_finalizer)(void *, void (*)(void *, void *), void *);
static int (*set_percent)(int);
static void **volatile holder;

/* --- Nonsense --- */

static void expect_no_type(size_t size, const uint64_t *bits, const char *what)
{
    errno = 0;
    expect(type_new(size, bits) == 0 && errno == EINVAL, "expected no type of %s", what);
}

static void expect_no_block(size_t size, ga_gc_type type, const char *what)
{
    errno = 0;
    expect(!typed_malloc(size, type) && errno == EINVAL, "expected no block of %s", what);
}

static void nonsense_is_refused(void)
{
    static uint64_t bits[(1 << 20) / 8 / 64 + 1];
    const uint64_t behind[] = {0, 4}, all[] = {~UINT64_C(0), 3};
    expect_no_type(0, bits, "no size");
    expect_no_type(20, bits, "20 bytes");
    expect_no_type(24, NULL, "no bits");
    expect_no_type(66 * 8, behind, "a pointer behind its end");
    expect_no_type(((size_t)1 << 20) + 8, bits, "more than a megabyte");
    expect(type_new((size_t)1 << 20, bits) != 0, "expected a type of a megabyte");
    ga_gc_type type = type_new(66 * 8, all);
    expect(type != 0 && type == type_new(66 * 8, all), "expected a layout to have one type");
    expect(type != type_new(64 * 8, all), "expected another layout to have another");
    expect_no_block(0, type, "no size");
    expect_no_block(66 * 8 + 8, type, "a size that isn't a multiple");
    expect_no_block(66 * 8, 0, "no type");
    expect_no_block(66 * 8, type + 1000, "a type that there isn't");
    expect_no_block(66 * 8, ~(ga_gc_type)0, "a type that there can't be");
}

/* --- Exactly these words --- */

struct layout {
    ga_gc_type type;
    size_t words;
    uint64_t bits;
};

static bool is_pointer(const struct layout *layout, size_t word)
{
    return layout->bits >> word % layout->words & 1;
}

static size_t count_words(const struct layout *layout, size_t words, bool pointers)
{
    size_t count = 0;
    for (size_t at = 0; at < words; at++)
        count += is_pointer(layout, at) == pointers;
    return count;
}

/* COUNT blocks from as many of the words that are pointers, or aren't, spread over all. */
__attribute__((noinline)) static void fill(const struct layout *layout, size_t words, bool pointers,
                                           size_t shift, hidden *all)
{
    size_t count = count_words(layout, words, pointers), met = 0;
    unsigned made = 0;
    for (size_t at = 0; at < words && made < COUNT; at++) {
        if (is_pointer(layout, at) != pointers || met++ != made * count / COUNT)
            continue;
        void *block = make_block(400);
        memcpy((char *)&holder[at] + shift, &block, sizeof(block));
        all[made++] = hide(block);
    }
    expect(made == COUNT, "expected %zu words to have room for %d pointers", words, COUNT);
}

static unsigned kept_by(const struct layout *layout, size_t words, bool pointers, size_t shift)
{
    hidden all[COUNT];
    fill(layout, words, pointers, shift, all);
    size_t before = gc_stats_now().freed_blocks;
    full_cycle();
    size_t freed = gc_stats_now().freed_blocks - before;
    if (freed < KEPT)
        overwrite_free(400);
    for (unsigned i = 0; i < COUNT && freed < KEPT; i++)
        expect(is_whole(all[i], 400), "expected a block that is kept to be whole");
    memset(holder, 0, words * 8);
    full_cycle();
    return freed < COUNT ? COUNT - (unsigned)freed : 0;
}

static void expect_exact(const struct layout *layout, size_t words, const char *what)
{
    unsigned kept = kept_by(layout, words, true, 0);
    expect(kept > COUNT - KEPT, "expected %zu words %s to keep %d blocks, not %u", words, what,
           COUNT, kept);
    kept = kept_by(layout, words, false, 0);
    expect(kept <= KEPT, "expected other words of %zu %s to keep nothing, not %u", words, what,
           kept);
}

static void make_holder(const struct layout *layout, size_t words)
{
    holder = typed_malloc(words * 8, layout->type);
    expect(holder && (uintptr_t)holder % 16 == 0, "expected a block of %zu words", words);
    for (size_t i = 0; i < words; i++)
        expect(!holder[i], "expected a zeroed block of %zu words", words);
}

static struct layout layout_of(size_t words, uint64_t bits)
{
    return (struct layout){type_new(words * 8, &bits), words, bits};
}

/* Small, a whole page's, from where it is copied, a large class, a large block. */
static const size_t sizes[] = {240, 480, 960, 8160, 120000, 360000};

static void only_pointers_are_looked_at(void)
{
    struct layout layouts[] = {layout_of(2, 1), layout_of(3, 2), layout_of(5, 0x12),
                               layout_of(24, 0x555555), layout_of(48, 0xf0f0f0f0f0f0)};
    for (unsigned i = 0; i < sizeof(layouts) / sizeof(*layouts); i++)
        for (unsigned s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
            make_holder(&layouts[i], sizes[s]);
            expect_exact(&layouts[i], sizes[s], "of a new block");
            free(holder);
        }
    make_holder(&layouts[0], 960);
    unsigned kept = kept_by(&layouts[0], 958, true, 4);
    expect(kept <= KEPT, "expected pointers across two words to keep nothing, not %u", kept);
}

static void realloc_keeps_the_type(void)
{
    void *neighbours[16] = {NULL}; /* so that large blocks have to move */
    static const size_t steps[] = {240,    270,    480,    241,    9000, 120000,
                                   360000, 400001, 900000, 131073, 960,  200};
    struct layout layout = layout_of(3, 2);
    make_holder(&layout, steps[0]);
    for (unsigned i = 1; i < sizeof(steps) / sizeof(*steps); i++) {
        size_t both = steps[i] < steps[i - 1] ? steps[i] : steps[i - 1];
        for (size_t word = 0; word < both; word++)
            holder[word] = (void *)(word ^ i);
        neighbours[i] = malloc((size_t)3 << 20);
        holder = realloc(holder, steps[i] * 8);
        expect(holder != NULL && malloc_usable_size(holder) >= steps[i] * 8, "expected a block");
        for (size_t word = 0; word < both; word++)
            expect(holder[word] == (void *)(word ^ i), "expected realloc to keep bytes");
        for (size_t word = both; word < steps[i] && steps[i] > steps[i - 1]; word++)
            expect(!holder[word], "expected zeros behind the end, in word %zu of %zu", word,
                   steps[i]);
        memset(holder, 0, malloc_usable_size(holder));
        expect_exact(&layout, steps[i], "of a resized block");
    }
    for (unsigned i = 0; i < 16; i++)
        free(neighbours[i]);
    free(holder);
    holder = NULL;
}

/* --- What else may happen to them --- */

static void damaged_ones_keep_all(void)
{
    struct layout layout = layout_of(4, 2);
    make_holder(&layout, 400);
    memset((char *)holder + malloc_usable_size((void *)holder), 0x41, 8); /* too far */
    unsigned kept = kept_by(&layout, 400, true, 0);
    expect(kept > COUNT - KEPT, "expected a block that was written past to keep %d, not %u", COUNT,
           kept);
    holder = realloc((void *)holder, 6000);
    kept = kept_by(&layout, 700, true, 0);
    expect(kept > COUNT - KEPT, "expected its successor to keep %d, not %u", COUNT, kept);
    free(holder);
}

static void pages_may_be_protected(void)
{
    struct layout layout = layout_of(2, 1);
    make_holder(&layout, 360000);
    void *page = (void *)(((uintptr_t)holder + 100000) & ~(uintptr_t)4095);
    expect(mprotect(page, 4096, PROT_NONE) == 0, "expected to protect a page");
    full_cycle();
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
    expect_exact(&layout, 360000, "of which a page was protected");
    free(holder);
}

static void they_are_freed_when_dead(void)
{
    struct layout layout = layout_of(4, 2);
    holder = NULL;
    full_cycle();
    size_t before = gc_stats_now().freed_blocks;
    for (unsigned i = 0; i < 400; i++)
        typed_malloc((i % 40 + 1) * 800, layout.type);
    full_cycle();
    size_t freed = gc_stats_now().freed_blocks - before;
    expect(freed >= 360, "expected 400 dead blocks to be freed, not %zu", freed);
}

static atomic_uint finalized;

static void finalize(void *block, void *unused)
{
    (void)unused;
    expect(is_whole(hide(((void **)block)[1]), 400), "expected a finalizer's block to be whole");
    atomic_fetch_add(&finalized, 1);
}

__attribute__((noinline)) static void attach(const struct layout *layout)
{
    for (unsigned i = 0; i < 20; i++) {
        void **block = typed_malloc(layout->words * 8, layout->type);
        block[1] = make_block(400);
        expect(set_finalizer(block, finalize, NULL) == 0, "expected to attach");
    }
}

static void finalizers_find_what_they_lead_to(void)
{
    struct layout layout = layout_of(4, 2);
    attach(&layout);
    for (unsigned i = 0; i < 50 && atomic_load(&finalized) < 12; i++) {
        full_cycle();
        overwrite_free(400);
        usleep(2000);
    }
    expect(atomic_load(&finalized) >= 12, "expected finalizers to run");
}

/* --- While cycles run --- */

#define NODES   3000
#define THREADS 3

struct node {
    uint64_t hidden_next; /* what the collector doesn't look at */
    struct node *next;
    uint64_t check;
};

static atomic_bool stop;

static struct node *new_node(ga_gc_type type, uint64_t check)
{
    struct node *node = typed_malloc(sizeof(*node) * (check % 7 ? 1 : 200), type);
    expect(node && !node->next && !node->check, "expected a zeroed node");
    node->check = check;
    return node;
}

/* A list that only its own words hold; nodes are put in, taken out and resized at random places. */
static void *mutate(void *of_type)
{
    ga_gc_type type = *(ga_gc_type *)of_type;
    struct random random = {(uintptr_t)&random};
    struct node *head = new_node(type, 1);
    for (uint64_t made = 2; !atomic_load(&stop); made++) {
        struct node *at = head;
        for (uint64_t step = random_next(&random) % 64; step && at->next; step--) {
            expect(hide(at->next) == at->hidden_next, "expected a node to be as it was");
            at = at->next;
            expect(at->check != 0 && at->check < made, "expected a node to live");
        }
        if (at->next && made % 4 == 0) {
            struct node *gone = at->next;
            at->next = gone->next;
            memset(gone, 0x22, sizeof(*gone));
            if (made % 8)
                free(gone);
        } else {
            struct node *node = new_node(type, made);
            node->next = at->next;
            at->next = node;
            node->hidden_next = hide(node->next);
        }
        if (at->next && made % 16 == 3)
            at->next = realloc(at->next, sizeof(*at) * (made % 300 + 1));
        at->hidden_next = hide(at->next);
        if (made % NODES == 0)
            head->next = NULL, head->hidden_next = hide(NULL);
    }
    return NULL;
}

static void threads_lose_nothing(void)
{
    struct layout layout = layout_of(3, 2);
    pthread_t threads[THREADS];
    running = "threads that change lists";
    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, mutate, &layout.type);
    for (unsigned i = 0; i < 100; i++)
        expect(collect() == 0, "expected a cycle to succeed");
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    gc_promise_begin(150);
    find_call("ga_gc_type_new", &type_new);
    find_call("ga_gc_malloc_typed", &typed_malloc);
    find_call("ga_gc_set_finalizer", &set_finalizer);
    find_call("ga_set_gc_percent", &set_percent);
    set_percent(-1); /* what is swept by who takes from a span isn't counted as freed */
    nonsense_is_refused();
    only_pointers_are_looked_at();
    realloc_keeps_the_type();
    damaged_ones_keep_all();
    pages_may_be_protected();
    they_are_freed_when_dead();
    finalizers_find_what_they_lead_to();
    set_percent(100);
    threads_lose_nothing();
    return 0;
}
