// SPDX-License-Identifier: MIT
/*
 * select.c: one of several sends and receives.
 *
 * Place: called by programs through goalloc/chan.h and by context.c. Calls chan.c's halves that
 * want the latch held, and park.h.
 *
 *   1. Look at the cases in random order, without latches. One that seems possible is tried under
 * its own channel's latch alone: if it succeeds, that was an instant at which it could be done.
 *   2. None: take all latches in order of address and look again. Only this makes the default, or
 *      the wait, the answer to one single instant.
 *   3. Wait in every channel's queue at once; giving up the latches is the last thing before.
 *   4. Woken by whoever won `fired`: leave the other queues, each in a constant number of steps.
 *
 * Invariants: a select is woken once, by the one who changed `fired`; its sudogs are on its own
 * stack and in no queue when it returns. Locking: latches in order of address, each once though a
 * channel may occur twice. Step 4 takes them one at a time; it also waits there for whoever still
 * looks at a sudog that lost, and for the commit of step 3, which may still be giving up latches
 * when the select is woken. Fork and signals: as latch.c.
 */
#include "../os/os.h"
#include "../os/report.h"
#include "chan.h"

/* Most selects are this small; the others' queue entries take 4 KB of stack. */
#define FEW 8

struct selection {
    const struct ga_case *cases;
    int default_case;                           /* -1: none */
    unsigned live;                              /* cases with a channel */
    unsigned locked;                            /* channels in `channels` */
    unsigned char order[GA_SELECT_MAX];         /* the live cases, shuffled */
    struct ga_channel *channels[GA_SELECT_MAX]; /* the live ones, by address, each once */
};

/* --- Random order --- */

static __thread void *random_state __attribute__((tls_model("initial-exec"), used));

/* xorshift. The seed need not be good, but it should differ between threads. */
static uint64_t random_bits(void)
{
    void *state;
    GA_TLS_LOAD(state, random_state);
    uint64_t bits = (uintptr_t)state;
    if (GA_UNLIKELY(bits == 0))
        bits = (os_random_seed() ^ os_nanotime() ^ (uint64_t)os_thread_id() << 32) | 1;
    bits ^= bits << 13;
    bits ^= bits >> 7;
    bits ^= bits << 17;
    GA_TLS_STORE(random_state, (void *)(uintptr_t)bits);
    return bits;
}

/* Puts a case at a random place among those before it; `bits` are 16 fresh random ones. */
GA_INLINE void shuffle_in(struct selection *selection, size_t index, unsigned bits)
{
    unsigned last = selection->live++;
    unsigned at = (bits * (last + 1)) >> 16;
    selection->order[last] = (unsigned char)index;
    unsigned char other = selection->order[at];
    selection->order[at] = (unsigned char)index;
    selection->order[last] = other;
}

static void survey(struct selection *selection, const struct ga_case *cases, size_t count)
{
    uint64_t bits = random_bits();
    selection->cases = cases;
    selection->default_case = -1;
    selection->live = 0;
    for (size_t i = 0; i < count; i++) {
        if (cases[i].kind == GA_CASE_DEFAULT) {
            selection->default_case = (int)i;
        } else if (cases[i].channel) {
            shuffle_in(selection, i, (unsigned)(bits >> 16 * (i % 4)) & 0xffff);
            bits = i % 4 == 3 ? random_bits() : bits;
        }
    }
}

/* --- One case --- */

/* Its channel's latch is held, and given up unless it has to wait. */
static enum chan_result try_locked(const struct ga_case *one)
{
    if (one->kind == GA_CASE_SEND)
        return chan_send_locked(one->channel, one->element);
    enum chan_result result = chan_recv_locked(one->channel, one->element);
    if (one->ok && result != CHAN_WAIT)
        *one->ok = result == CHAN_DONE;
    return result;
}

static bool would_block(const struct ga_case *one)
{
    return one->kind == GA_CASE_SEND ? chan_would_block_send(one->channel)
                                     : chan_would_block_recv(one->channel);
}

/* --- Step 1 --- */

static bool try_case(const struct ga_case *one)
{
    if (would_block(one))
        return false;
    latch_acquire(&one->channel->latch);
    if (try_locked(one) != CHAN_WAIT)
        return true;
    latch_release(&one->channel->latch);
    return false;
}

static int try_each(const struct selection *selection)
{
    for (unsigned i = 0; i < selection->live; i++)
        if (try_case(&selection->cases[selection->order[i]]))
            return selection->order[i];
    return -1;
}

/* --- Step 2 --- */

/* By insertion, since there are few. */
static void sort_channels(struct selection *selection)
{
    selection->locked = 0;
    for (unsigned i = 0; i < selection->live; i++) {
        struct ga_channel *channel = selection->cases[selection->order[i]].channel;
        unsigned at = selection->locked;
        while (at > 0 && (uintptr_t)selection->channels[at - 1] > (uintptr_t)channel)
            at--;
        if (at > 0 && selection->channels[at - 1] == channel)
            continue;
        for (unsigned j = selection->locked; j > at; j--)
            selection->channels[j] = selection->channels[j - 1];
        selection->channels[at] = channel;
        selection->locked++;
    }
}

static void lock_all(struct selection *selection)
{
    sort_channels(selection);
    for (unsigned i = 0; i < selection->locked; i++)
        latch_acquire(&selection->channels[i]->latch);
}

/* NULL: all of them. */
static void unlock_all_but(const struct selection *selection, const struct ga_channel *released)
{
    for (unsigned i = 0; i < selection->locked; i++)
        if (selection->channels[i] != released)
            latch_release(&selection->channels[i]->latch);
}

/* Latches held; they are given up if it returns a case. */
static int try_all(const struct selection *selection)
{
    for (unsigned i = 0; i < selection->live; i++) {
        const struct ga_case *one = &selection->cases[selection->order[i]];
        if (try_locked(one) != CHAN_WAIT) {
            unlock_all_but(selection, one->channel);
            return selection->order[i];
        }
    }
    return -1;
}

/* --- Steps 3 and 4 --- */

static struct queue *queue_of(const struct ga_case *one)
{
    return one->kind == GA_CASE_SEND ? &one->channel->senders : &one->channel->receivers;
}

static void enqueue(const struct selection *selection, struct select_wait *wait,
                    struct sudog *sudogs)
{
    struct waiter *self = park_self();
    for (unsigned i = 0; i < selection->live; i++) {
        const struct ga_case *one = &selection->cases[selection->order[i]];
        sudogs[i].element = one->element;
        sudogs[i].waiter = self;
        sudogs[i].select = wait;
        sudogs[i].index = selection->order[i];
        queue_append(queue_of(one), &sudogs[i]);
    }
}

/*
 * The select may be woken as soon as the first latch is free. It can't return before it has had the
 * latch of every channel but the winner's, and the winner was found under the winner's; so
 * `selection` stays until the last latch is given up here.
 */
static bool release_latches(struct waiter *self, void *argument)
{
    const struct selection *selection = argument;
    unsigned count = selection->locked;
    (void)self;
    for (unsigned i = 0; i < count; i++)
        latch_release(&selection->channels[i]->latch);
    return true;
}

/* Whoever woke the winner is done with it and with its channel. */
static void leave_queues(const struct selection *selection, struct sudog *sudogs,
                         const struct sudog *winner)
{
    for (unsigned i = 0; i < selection->live; i++) {
        if (&sudogs[i] == winner)
            continue;
        const struct ga_case *one = &selection->cases[selection->order[i]];
        latch_acquire(&one->channel->latch);
        /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Branch): enqueue() set as many */
        if (sudogs[i].queued)
            queue_remove(queue_of(one), &sudogs[i]);
        latch_release(&one->channel->latch);
    }
}

/* Latches held. */
static int wait_for_one(struct selection *selection, struct sudog *sudogs)
{
    struct select_wait wait = {0};
    enqueue(selection, &wait, sudogs);
    park(release_latches, selection, park_select, selection);
    leave_queues(selection, sudogs, wait.winner);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): who wakes it has set it */
    const struct ga_case *one = &selection->cases[wait.winner->index];
    bool success = wait.winner->success;
    if (one->kind == GA_CASE_SEND && !success)
        chan_fatal(one->channel, "send on closed channel");
    if (one->kind == GA_CASE_RECV && one->ok)
        *one->ok = success;
    return (int)wait.winner->index;
}

GA_NOINLINE static int wait_for_few(struct selection *selection)
{
    struct sudog sudogs[FEW];
    return wait_for_one(selection, sudogs);
}

GA_NOINLINE static int wait_for_many(struct selection *selection)
{
    struct sudog sudogs[GA_SELECT_MAX];
    return wait_for_one(selection, sudogs);
}

/* Nothing could be done a moment ago. */
GA_NOINLINE static int select_locked(struct selection *selection)
{
    lock_all(selection);
    int done = try_all(selection);
    if (done >= 0)
        return done;
    if (selection->default_case >= 0) {
        unlock_all_but(selection, NULL);
        return selection->default_case;
    }
    return selection->live <= FEW ? wait_for_few(selection) : wait_for_many(selection);
}

static bool stay(struct waiter *self, void *unused)
{
    (void)self;
    (void)unused;
    return true;
}

GA_COLD static int select_nothing(int default_case)
{
    if (default_case >= 0)
        return default_case;
    for (;;)
        park(stay, NULL, park_select_empty, NULL);
}

GA_EXPORT int ga_select_cases(const struct ga_case *cases, size_t count)
{
    struct selection selection;
    if (count > GA_SELECT_MAX)
        report_fatal("select: %zu cases, at most %d", count, GA_SELECT_MAX);
    survey(&selection, cases, count);
    if (GA_UNLIKELY(selection.live == 0))
        return select_nothing(selection.default_case);
    int done = try_each(&selection);
    return done >= 0 ? done : select_locked(&selection);
}
