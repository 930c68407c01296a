// SPDX-License-Identifier: MIT
/*
 * calls.c: bytes become calls of the whole API, and a model of what is held checks each answer.
 *
 * Checked: contents before every free and after every resize, alignment, overlap with any other
 * block, malloc_usable_size, calloc's zeros, errno, and the sums of the statistics, which are exact
 * here: the library's names carry a prefix (meson.build), so the fuzzer's own memory is libc's and
 * this heap serves nobody but the model. When an input ends nothing is live.
 *
 * An input may make mapping calls fail, run a part in a thread of its own, or run two halves in
 * two threads at once; only then the statistics are approximate and aren't compared.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>

#include "../stress/entries.h"
#include "goalloc/goalloc.h"
#include "hardened/hardened.h"
#include "mcentral/mcentral.h"
#include "model.h"
#include "os/fault.h"
#include "target.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* mallinfo */

#define SLOTS  40
#define BUDGET ((size_t)48 << 20) /* bytes that a player holds at most */
#define STEPS  600

struct player {
    struct block blocks[SLOTS];
    struct input input;
    uint64_t last_id;
    size_t held;      /* bytes */
    unsigned steps;   /* left */
    bool alone;       /* no other player runs */
    bool may_fail;    /* mapping calls fail */
    bool in_a_thread; /* which starts no other */
};

/* --- What the input asks for --- */

/* So large that there's never memory for it. */
static const size_t too_large[] = {WINDOW_SIZE,
                                   WINDOW_SIZE + 1,
                                   SIZE_MAX / 2,
                                   SIZE_MAX / 2 + 1,
                                   SIZE_MAX - HEAP_PAGE,
                                   SIZE_MAX - 4096,
                                   SIZE_MAX,
                                   (size_t)1 << 62,
                                   (size_t)PTRDIFF_MAX - 7,
                                   (size_t)PTRDIFF_MAX - 4096};

static bool is_too_large(size_t size)
{
    return size >= WINDOW_SIZE;
}

static size_t take_size(struct input *input)
{
    unsigned kind = take_byte(input), near = kind & 7;
    switch (kind >> 5) {
    case 0:
    case 1:
        return kind & 63;
    case 2:
        return take_byte(input) + (size_t)near * 128;
    case 3:
        return size_classes[take_byte(input) % SIZE_CLASS_COUNT].size + (size_t)near - 3;
    case 4:
        return take_two(input);
    case 5:
        return (size_t)take_two(input) << (near > 6 ? 6 : near);
    case 6:
        return ((size_t)take_byte(input) + 1) * HEAP_PAGE + near - 3;
    default:
        return near == 7 ? too_large[take_byte(input) % (sizeof(too_large) / sizeof(*too_large))]
                         : ((size_t)take_byte(input) << 12) + near;
    }
}

static struct block *take_block(struct player *player)
{
    return &player->blocks[take_byte(&player->input) % SLOTS];
}

/* --- Checks --- */

static void verify(const struct block *block)
{
    if (!pattern_holds(block, block->memory, block->size))
        FAIL("block %llx of %zu bytes at %p isn't as it was written", (unsigned long long)block->id,
             block->size, (void *)block->memory);
}

static void check_overlap(const struct player *player, const struct block *block)
{
    size_t usable = malloc_usable_size(block->memory);
    for (size_t i = 0; i < SLOTS; i++) {
        const struct block *other = &player->blocks[i];
        if (!other->memory || other == block)
            continue;
        bool apart = other->memory + malloc_usable_size(other->memory) <= block->memory ||
                     block->memory + usable <= other->memory;
        if (!apart)
            FAIL("%p of %zu bytes and %p of %zu overlap", (void *)block->memory, block->size,
                 (void *)other->memory, other->size);
    }
}

static void check_failure(const struct player *player, size_t size, int error)
{
    if (error != ENOMEM)
        FAIL("%zu bytes were refused with errno %d", size, error);
    if (!player->may_fail && !is_too_large(size))
        FAIL("there was no memory for %zu bytes", size);
}

static void check_statistics(const struct player *player)
{
    struct ga_stats stats;
    size_t live = 0, blocks = 0;
    ga_stats(&stats, sizeof(stats));
    if (!player->alone)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        if (player->blocks[i].memory) {
            live += malloc_usable_size(player->blocks[i].memory);
            blocks++;
        }
    /* A hardened block counts with its class's size, and has what was asked for. */
    bool exact = !(hardened_modes & HARDENED_ALL);
    if (stats.live_blocks != blocks || stats.live < live || (exact && stats.live != live))
        FAIL("%zu blocks of %zu bytes are counted live, and %zu of %zu are held", stats.live_blocks,
             stats.live, blocks, live);
    CHECK(stats.mapped == stats.in_use + stats.free_dirty + stats.free_released);
    CHECK(stats.in_use == stats.live + stats.cached + stats.span_free);
    CHECK(mallinfo2().hblkhd == stats.large);
    CHECK(mallinfo2().uordblks == stats.live - stats.large);
}

/* --- One block --- */

static void claim(struct player *player, struct block *block, void *memory, size_t size)
{
    block->memory = memory;
    block->size = size;
    block->id = player->last_id += 1 << 4;
    player->held += size;
    CHECK(malloc_usable_size(memory) >= size);
    check_overlap(player, block);
    pattern_write(block);
}

static bool is_affordable(const struct player *player, size_t size)
{
    return is_too_large(size) || (size < BUDGET && player->held + size < BUDGET);
}

static void allocate(struct player *player, struct block *block)
{
    unsigned entry = take_byte(&player->input), shift = take_byte(&player->input) % 24;
    size_t size = take_size(&player->input), power = (size_t)1 << shift, align;
    if (!is_affordable(player, size))
        return;
    errno = 0;
    void *p = entry_alloc(entry, size, power, &align);
    if (!p) {
        check_failure(player, size, errno);
        return;
    }
    CHECK(!is_too_large(size));
    if ((uintptr_t)p % align || (uintptr_t)p % MIN_ALIGN)
        FAIL("%p by entry %u isn't aligned to %zu", p, entry % ALLOC_ENTRIES, align);
    if (entry_zeroes(entry) && !all_zero(p, size))
        FAIL("calloc of %zu bytes at %p isn't zero", size, p);
    claim(player, block, p, size);
}

static void release(struct player *player, struct block *block, unsigned entry)
{
    verify(block);
    player->held -= block->size;
    errno = 1234;
    entry_free(entry, block->memory, block->size);
    CHECK(errno == 1234);
    block->memory = NULL;
}

static void resize(struct player *player, struct block *block)
{
    unsigned how = take_byte(&player->input);
    size_t size = take_size(&player->input), old = block->size;
    if (how & 1) /* as vectors grow */
        size = old + old / 2 + 1;
    size += size == 0;
    if (!is_affordable(player, size))
        return;
    verify(block);
    errno = 0;
    unsigned char *p =
        how & 2 ? realloc(block->memory, size) : reallocarray(block->memory, size, 1);
    if (!p) {
        check_failure(player, size, errno);
        verify(block);
        return;
    }
    CHECK((uintptr_t)p % MIN_ALIGN == 0);
    if (!pattern_holds(block, p, size < old ? size : old))
        FAIL("realloc from %zu at %p to %zu at %p lost bytes", old, (void *)block->memory, size,
             (void *)p);
    player->held -= old;
    claim(player, block, p, size);
}

/* The program may use all that malloc_usable_size says. */
static void use_all(struct player *player, struct block *block)
{
    size_t usable = malloc_usable_size(block->memory);
    verify(block);
    CHECK(usable >= block->size);
    player->held += usable - block->size;
    block->size = usable;
    pattern_write(block);
}

/* --- What must be refused --- */

static void call_wrongly(struct player *player, struct block *block)
{
    static char none;
    void *out = &none;
    unsigned n = take_byte(&player->input) | 3; /* never a power of two */
    errno = 0;
    CHECK(!aligned_alloc(n, 10) && errno == EINVAL);
    CHECK(posix_memalign(&out, n, 10) == EINVAL && posix_memalign(&out, 4, 10) == EINVAL);
    CHECK(out == &none);
    errno = 0;
    CHECK(!calloc(SIZE_MAX / n + 1, n) && errno == ENOMEM);
    errno = 0;
    CHECK(!reallocarray(block->memory, SIZE_MAX / n + 1, n) && errno == ENOMEM);
    if (block->memory)
        verify(block);
    errno = 1234;
    free(NULL);
    CHECK(errno == 1234 && malloc_usable_size(NULL) == 0);
}

/* --- The heap as a whole --- */

/* A hardened heap is spread over much more room, all of which this walks through: seldom, then. */
static void check_heap(const struct player *player)
{
    if (hardened_modes & HARDENED_ALL && player->steps % 64 != 0)
        return;
    mheap_check();
    mcentral_check();
}

static void look(struct player *player, unsigned how)
{
    switch (how % 8) {
    case 0:
        malloc_trim((size_t)take_byte(&player->input) << 18);
        break;
    case 1:
        ga_free_os_memory();
        break;
    case 2:
        check_heap(player);
        break;
    case 3:
        malloc_stats();
        break;
    case 4:
        mallopt((int)take_byte(&player->input) - 10, 1);
        CHECK(mallinfo().fordblks >= 0);
        break;
    default:
        check_statistics(player);
    }
}

static void set_fault(struct player *player)
{
    unsigned what = take_byte(&player->input);
    if (!player->alone)
        return;
    player->may_fail = true;
    atomic_store(&os_fault_forever, what & 1);
    atomic_store(&os_fault_at, what >> 2);
}

static void clear_fault(struct player *player)
{
    atomic_store(&os_fault_at, 0);
    player->may_fail = !player->alone && player->may_fail;
}

/* --- Players --- */

static void *play(void *argument);

static void play_in_a_thread(struct player *player)
{
    unsigned all = player->steps, part = take_byte(&player->input) % 64;
    pthread_t thread;
    if (player->in_a_thread || part >= all)
        return;
    player->in_a_thread = true;
    player->steps = part;
    CHECK(pthread_create(&thread, NULL, play, player) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    player->steps = all - part;
    player->in_a_thread = false;
}

static void step(struct player *player)
{
    unsigned what = take_byte(&player->input);
    struct block *block = take_block(player);
    if (what >= 250)
        play_in_a_thread(player);
    else if (what >= 244)
        set_fault(player);
    else if (what >= 238)
        clear_fault(player);
    else if (what >= 232)
        call_wrongly(player, block);
    else if (what >= 216)
        look(player, what);
    else if (!block->memory)
        allocate(player, block);
    else if (what >= 200)
        use_all(player, block);
    else if (what >= 110)
        resize(player, block);
    else
        release(player, block, take_byte(&player->input));
}

static void *play(void *argument)
{
    struct player *player = argument;
    for (; player->steps && player->input.at < player->input.end; player->steps--)
        step(player);
    return NULL;
}

static void free_all(struct player *player)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (player->blocks[i].memory)
            release(player, &player->blocks[i], i);
    CHECK(player->held == 0);
}

static void play_alone(struct player *player)
{
    player->alone = true;
    play(player);
    clear_fault(player);
    check_statistics(player);
}

static void play_both(struct player *players)
{
    pthread_t thread;
    struct input *first = &players[0].input, *second = &players[1].input;
    first->end = second->at = first->at + (first->end - first->at) / 2;
    CHECK(pthread_create(&thread, NULL, play, &players[1]) == 0);
    play(&players[0]);
    CHECK(pthread_join(thread, NULL) == 0);
    free_all(&players[1]);
    players[0].alone = true;
    check_statistics(&players[0]);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static unsigned inputs;
    static struct player players[2];
    for (unsigned i = 0; i < 2; i++)
        players[i] = (struct player){.input = {data, data + size}, .last_id = i, .steps = STEPS};
    if (size && data[0] >= 224)
        play_both(players);
    else
        play_alone(&players[0]);
    free_all(&players[0]);
    players[0].alone = true;
    check_statistics(&players[0]);
    if (inputs++ % 64 == 0) {
        mheap_check();
        mcentral_check();
    }
}

/* What the library prints goes nowhere. */
void fuzz_output(const char *text, size_t length)
{
    (void)text;
    (void)length;
}
