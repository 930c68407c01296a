/* SPDX-License-Identifier: MIT
 *
 * marking.pml: several that mark, of src/gc/work.c and mark.c: rings of spans of which the owner
 * puts, owner and thieves take, and when all is done.
 *
 * The collector marks a first object and goes on until it finds that all is done; helpers enter, mark
 * one span after another, and leave, with spans in their rings or without. It checks that then
 * every object in reach was looked into, and that no span is in a ring or in anybody's hands. Two
 * may look into the same object.
 *
 * BREAK_QUEUED: a span counts as queued until it was looked at, instead of before.
 * BREAK_DONE: who has entered while it was found out whether all is done isn't noticed.
 */
#ifndef HELPERS
#define HELPERS 1
#endif
#ifndef VISITS
#define VISITS 3
#endif
#define RINGS   (HELPERS + 1)
#define SPANS   3
#define OBJECTS 6 /* two a span */
#define ROOM    8

typedef ring {
    byte spans[ROOM];
    byte head, tail
}
ring rings[RINGS];
bool marked[OBJECTS], queued[SPANS];
bool looked[OBJECTS];
byte inside, entered; /* presence: always changed together */
bool all_done;

inline put(self, span)
{
    rings[self].spans[rings[self].tail % ROOM] = span;
    rings[self].tail++
}

inline mark(self, object)
{
    atomic { was = marked[object]; marked[object] = true }
    if
    :: was -> skip
    :: else ->
        atomic { was = queued[object / 2]; queued[object / 2] = true }
        if
        :: was -> skip
        :: else -> put(self, object / 2)
        fi
    fi
}

/* 0 -> 2, 4; 2 -> 1; 4 -> 3, 1; 1 -> 5. The first span so comes up again while it may be in hand. */
inline follow(self, object)
{
    if
    :: object == 0 -> mark(self, 2); mark(self, 4)
    :: object == 2 -> mark(self, 1)
    :: object == 4 -> mark(self, 3); mark(self, 1)
    :: object == 1 -> mark(self, 5)
    :: else -> skip
    fi
}

inline look_into(self, object)
{
    if
    :: marked[object] ->
        was = looked[object];
        looked[object] = true;
        if
        :: was -> skip
        :: else -> follow(self, object)
        fi
    :: else -> skip
    fi
}

inline scan(self, span)
{
#ifndef BREAK_QUEUED
    queued[span] = false;
#endif
    look_into(self, span * 2);
    look_into(self, span * 2 + 1);
#ifdef BREAK_QUEUED
    queued[span] = false;
#endif
}

/* head, then tail, then what lies there; the compare and exchange of the head. */
inline take_from(from)
{
    head = rings[from].head;
    if
    :: rings[from].tail == head -> skip
    :: else ->
        span = rings[from].spans[head % ROOM];
        atomic {
            if
            :: rings[from].head == head -> rings[from].head++; got = true
            :: else -> skip
            fi
        }
    fi
}

inline take(self)
{
    got = false;
    take_from(self);
    victim = 1;
    do
    :: !got && victim < RINGS -> take_from((self + victim) % RINGS); victim++
    :: else -> break
    od
}

proctype helper(byte self)
{
    byte span, head, victim, visits;
    bool got, was;
    do
    :: visits == VISITS || all_done -> break
    :: visits < VISITS && !all_done ->
        atomic { inside++; entered++ }
        take(self);
        if
        :: got -> assert(!all_done); scan(self, span)
        :: else -> skip
        fi;
        inside--;
        visits++
    od
}

proctype collector()
{
    byte span, head, victim, seen, i;
    bool got, was, bare;
    mark(0, 0);
    do
    :: all_done -> break
    :: else ->
        take(0);
        if
        :: got -> scan(0, span)
        :: else ->
            atomic { bare = inside == 0; seen = entered }
            i = 0;
            do
            :: i < RINGS -> head = rings[i].head; bare = bare && rings[i].tail == head; i++
            :: else -> break
            od;
#ifdef BREAK_DONE
            all_done = bare
#else
            atomic { all_done = bare && inside == 0 && entered == seen }
#endif
        fi
    od;
    i = 0;
    do
    :: i < OBJECTS -> assert(looked[i]); i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < SPANS -> assert(!queued[i]); i++
    :: else -> break
    od
}

init
{
    byte i;
    atomic {
        run collector();
        i = 1;
        do
        :: i < RINGS -> run helper(i); i++
        :: else -> break
        od
    }
}
