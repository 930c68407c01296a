// SPDX-License-Identifier: MIT
/*
 * actors.h: whoever acts in a test of channels and of what is built like them: threads, or
 * coroutines. One test body serves both.
 */
#ifndef GOALLOC_TEST_ACTORS_H
#define GOALLOC_TEST_ACTORS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct CMUnitTest;

/*
 * Runs the tests by threads, by coroutines on one processor, and by coroutines on several. How many
 * failed. The test itself is an actor of the same kind, but one that keeps to its thread, as cmocka
 * wants it.
 */
int actors_run(const struct CMUnitTest *tests, size_t count);

/* Threads cost more: how many of something a test should make. */
unsigned actors_count(unsigned threads, unsigned coroutines);

/* A forked child can go on with threads; coroutines would want the fork handlers, which belong to
 * the library's entry points. */
bool actors_may_fork(void);

/* Starts one. It need not end. */
void actor_start(void (*act)(void *), void *argument);
/* Lets the others run for some milliseconds: whoever has not gone on by then counts as waiting. */
void actors_pause(void);
/* Lets another run, if one is ready to. */
void actors_yield(void);
/* Works for so many nanoseconds. */
void actors_spin(long nanoseconds);
/* Waits until a counter that actors add to has come to so much. */
void actors_wait(atomic_uint *counter, unsigned until);

/*
 * Something that either goes on or waits. `act` runs as an actor of its own; whether it came to its
 * end. Where it should, waits for it as long as need be.
 */
bool actor_ends(void (*act)(void *), void *argument);
bool actor_waits(void (*act)(void *), void *argument);

#endif
