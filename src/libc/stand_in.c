// SPDX-License-Identifier: MIT
/*
 * stand_in.c: finding out whether a sanitizer or valgrind has come with the process, and leaving
 * malloc to the sanitizer.
 *
 * Place: the entry points' slow paths ask for the stand-in. The choice is made at the first of
 * them, before anything is mapped: a sanitizer's shadow memory lies where the heap would, and it
 * ends the process when it finds something there.
 *
 * A sanitizer's runtime that was linked into the program is found before a preloaded library, and
 * then nothing comes here at all. As a shared library it is found after it, and under the names
 * below it can be reached all the same.
 *
 * Locking: none: whoever comes first chooses, and others that come meanwhile choose the same.
 */
#include "../os/report.h"
#include "../os/valgrind.h"
#include "internal.h"
#include "stand_in.h"

/* --- A sanitizer --- */

#define WEAK __attribute__((weak))

extern void *__interceptor_malloc(size_t size) WEAK;
extern void *__interceptor_memalign(size_t align, size_t size) WEAK;
extern void *__interceptor_realloc(void *p, size_t size) WEAK;
extern void __interceptor_free(void *p) WEAK;
extern size_t __interceptor_malloc_usable_size(void *p) WEAK;
extern void __asan_init(void) WEAK;
extern void __tsan_init(void) WEAK;
extern void __msan_init(void) WEAK;

GA_COLD static void sanitizer_free(void *p, unsigned class)
{
    (void)class;
    __interceptor_free(p);
}

static const struct stand_in sanitizer = {
    .malloc = __interceptor_malloc,
    .aligned = __interceptor_memalign,
    .realloc = __interceptor_realloc,
    .free = sanitizer_free,
    .usable_size = __interceptor_malloc_usable_size,
};

static const char *sanitizers_name(void)
{
    if (__asan_init)
        return "AddressSanitizer";
    if (__tsan_init)
        return "ThreadSanitizer";
    return __msan_init ? "MemorySanitizer" : "a sanitizer";
}

static bool has_sanitizer(void)
{
    return __interceptor_malloc && __interceptor_memalign && __interceptor_realloc &&
           __interceptor_free && __interceptor_malloc_usable_size;
}

/* --- valgrind's own malloc --- */

/*
 * valgrind redirects calls of the functions that it knows by their addresses, from wherever they
 * are called. What comes to the others is passed on to those; the compiler must not see through it.
 */
static void *(*volatile the_malloc)(size_t) = malloc;
static void *(*volatile the_memalign)(size_t, size_t) = memalign;
static void *(*volatile the_realloc)(void *, size_t) = realloc;
static void (*volatile the_free)(void *) = free;
static size_t (*volatile the_usable_size)(void *) = malloc_usable_size;

GA_COLD static void *replaced_malloc(size_t size)
{
    return the_malloc(size);
}
GA_COLD static void *replaced_aligned(size_t align, size_t size)
{
    return the_memalign(align, size);
}
GA_COLD static void *replaced_realloc(void *p, size_t size)
{
    return the_realloc(p, size);
}
GA_COLD static void replaced_free(void *p, unsigned class)
{
    (void)class;
    the_free(p);
}
GA_COLD static size_t replaced_usable_size(void *p)
{
    return the_usable_size(p);
}

static const struct stand_in replaced = {
    .malloc = replaced_malloc,
    .aligned = replaced_aligned,
    .realloc = replaced_realloc,
    .free = replaced_free,
    .usable_size = replaced_usable_size,
};

/* --- Deciding --- */

static void choose(const struct stand_in *chosen)
{
    __atomic_store_n(&stand_in_chosen, chosen, __ATOMIC_RELAXED);
}

/* valgrind's tools put their malloc in place of every other, or they don't look at blocks; memcheck
 * can be told not to. */
GA_COLD static void decide_under_valgrind(void)
{
    choose(&stand_in_memcheck);
    void *p = the_malloc(1);
    bool is_ours = mheap_spans_address(p);
    the_free(p);
    if (!is_ours)
        choose(&replaced);
    else if (!valgrind_is_memcheck())
        choose(NULL);
}

GA_COLD static void decide(void)
{
    if (has_sanitizer())
        choose(&sanitizer);
    else if (valgrind_is_there())
        decide_under_valgrind();
    else
        choose(NULL);
}

GA_COLD static void *deciding_malloc(size_t size)
{
    decide();
    return malloc_inline(size);
}
GA_COLD static void *deciding_aligned(size_t align, size_t size)
{
    decide();
    return alloc_aligned(align, size);
}
GA_COLD static void *deciding_realloc(void *p, size_t size)
{
    decide();
    return realloc(p, size);
}
GA_COLD static void deciding_free(void *p, unsigned class)
{
    decide();
    free_slow(p, class);
}
GA_COLD static size_t deciding_usable_size(void *p)
{
    decide();
    return malloc_usable_size(p);
}

static const struct stand_in deciding = {
    .malloc = deciding_malloc,
    .aligned = deciding_aligned,
    .realloc = deciding_realloc,
    .free = deciding_free,
    .usable_size = deciding_usable_size,
};

const struct stand_in *stand_in_chosen = &deciding;

bool stand_in_leaves_heap(void)
{
    if (stand_in() == &deciding)
        decide();
    return !stand_in() || stand_in()->has_heap;
}

void stand_in_announce(void)
{
    stand_in_leaves_heap();
    if (stand_in() == &sanitizer)
        report_line("%s is in this process: malloc is left to it", sanitizers_name());
}
