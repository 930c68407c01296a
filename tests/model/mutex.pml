/* SPDX-License-Identifier: MIT
 *
 * mutex.pml: the word of src/coro/mutex.c, bit by bit, the count of its line, and the queue under its
 * bucket's latch.
 *
 * Each change of the word by compare-and-swap is one step. The store of an unlock is one too, and may
 * take effect before or after the look at the count, as on a processor that buffers stores; the
 * barrier makes those take effect that are under way. Whether a waiter has waited for too long, and
 * when the count stops lingering, is left to chance, so that all states mix in every way. One may
 * give up, as by the end of its context. It checks that one is inside at a time, that nobody waits
 * for ever, and that nobody has the mutex in the end.
 *
 * BREAK: a waiter that makes nobody pass a barrier.
 */
#ifndef ACTORS
#define ACTORS 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif

#define NONE 255

bool locked, woken, starving;            /* the word */
bool buffered[ACTORS];                   /* an unlock's store that has not taken effect */
byte count;                              /* the line's: who waits or is about to, and who lingers */
bool lingers;
bool latch;                              /* the bucket's */
byte queue[ACTORS];                      /* who waits; the first ones are filled */
byte waiting;
bool ready[ACTORS], granted[ACTORS], cancelled[ACTORS], removed[ACTORS];
byte inside, done;

inline acquire() { atomic { !latch -> latch = true } }
inline release() { latch = false }

/* Latch held. */
inline append(me)
{
    d_step { queue[waiting] = me; waiting++ }
}

inline prepend(me)
{
    d_step {
        k = waiting;
        do
        :: k > 0 -> queue[k] = queue[k - 1]; k--
        :: else -> break
        od;
        queue[0] = me;
        waiting++
    }
}

inline remove_at(at)
{
    d_step {
        k = at;
        do
        :: k + 1 < waiting -> queue[k] = queue[k + 1]; k++
        :: else -> break
        od;
        waiting--;
        queue[waiting] = NONE
    }
}

/* Whatever came between the unlocker's look at the word and its store is undone. */
inline take_effect(who)
{
    buffered[who] = false;
    locked = false;
    woken = false;
    starving = false
}

inline barrier()
{
    d_step {
        k = 0;
        do
        :: k < ACTORS ->
            if
            :: buffered[k] -> take_effect(k)
            :: else
            fi;
            k++
        :: else -> break
        od
    }
}

/* Latch held. */
inline join_line()
{
    count++;
    if
#ifndef BREAK
    :: count == 1 -> barrier()
#endif
    :: else
    fi
}

inline leave_line()
{
    d_step {
        if
        :: lingers -> count--
        :: else -> lingers = true
        fi
    }
}

inline lock(me, got)
{
    got = false;
    awake = false;
    impatient = false;
    waited = false;
    do
    :: got -> break
    :: !got && cancelled[me] ->
        /* lock_as: it gives up, unless it can have it */
        atomic {
            if
            :: !locked -> locked = true; woken = woken && !awake; got = true
            :: else -> woken = woken && !awake
            fi
        };
        break
    :: !got && !cancelled[me] ->
        again = false;
        atomic {
            if
            :: !locked ->
                locked = true;
                woken = woken && !awake;
                got = true
            :: locked && count > 0 && !woken && !awake && !starving ->
                woken = true;            /* spin(): an unlock need not wake another */
                awake = true;
                again = true
            :: locked
            fi
        };
        if
        :: got || again
        :: else ->
            acquire();
            join_line();
            atomic {                     /* mark_waiting */
                if
                :: cancelled[me] || !locked -> again = true
                :: else ->
                    starving = starving || impatient;
                    woken = woken && !awake;
                    awake = false
                fi
            };
            if
            :: again -> leave_line(); release()
            :: else ->
                if
                :: waited -> prepend(me)
                :: else -> append(me)
                fi;
                waited = true;
                release();
                (ready[me]);
                ready[me] = false;
                if
                :: granted[me] -> granted[me] = false; got = true
                :: removed[me] ->
                    acquire();
                    leave_line();
                    release()
                :: else ->
                    awake = true;        /* by an unlock, which counts on it, cancelled or not */
                    if
                    :: impatient = true
                    :: impatient = false
                    fi
                fi
            fi
        fi
    od
}

/* ga_mutex_wake */
inline wake()
{
    acquire();
    who = NONE;
    if
    :: waiting > 0 ->
        atomic {                         /* claim_wake */
            if
            :: !woken && !starving -> woken = true; who = queue[0]
            :: else
            fi
        };
        if
        :: who != NONE -> remove_at(0); leave_line()
        :: else
        fi
    :: waiting == 0 && lingers -> lingers = false; count--
    :: waiting == 0
    fi;
    release();
    if
    :: who != NONE -> assert(!ready[who]); ready[who] = true
    :: else
    fi
}

inline unlock(me)
{
    left = false;
    do
    :: left -> break
    :: else ->
        atomic {
            assert(locked);
            plan = 0;
            if
            :: starving -> plan = 1
            :: !starving && woken -> locked = false; left = true
            :: !starving && !woken -> plan = 2
            fi
        };
        if
        :: plan == 1 ->                  /* hand_over */
            acquire();
            who = NONE;
            if
            :: waiting > 0 -> who = queue[0]; remove_at(0); leave_line(); granted[who] = true
            :: else
            fi;
            atomic {
                locked = who != NONE;
                woken = false;
                if
                :: waiting > 0 -> starving = true
                :: starving = false
                fi
            };
            release();
            if
            :: who != NONE -> assert(!ready[who]); ready[who] = true
            :: else
            fi;
            left = true
        :: plan == 2 ->                  /* the header's */
            if
            :: atomic { take_effect(me); }
               look = count > 0
            :: atomic { buffered[me] = true; look = count > 0 }
               atomic {
                   if
                   :: buffered[me] -> take_effect(me)
                   :: else               /* by a barrier */
                   fi
               }
            fi;
            if
            :: look -> wake()
            :: else
            fi;
            left = true
        :: else
        fi
    od
}

proctype Actor(byte me)
{
    bool got, awake, impatient, waited, again, left, look;
    byte round, who, plan, k;
    for (round : 1 .. ROUNDS) {
        lock(me, got);
        if
        :: got ->
            inside++;
            assert(inside == 1);
            inside--;
            unlock(me)
        :: else -> assert(cancelled[me])
        fi
    }
    done++
}

/* The end of a context: sema.c's cancel(). */
proctype Canceller(byte whom)
{
    byte at, k;
    bool wakes = false;
    acquire();
    cancelled[whom] = true;
    at = 0;
    do
    :: at < waiting && queue[at] != whom -> at++
    :: at < waiting && queue[at] == whom -> remove_at(at); removed[whom] = true; wakes = true; break
    :: at >= waiting -> break
    od;
    release();
    if
    :: wakes -> assert(!ready[whom]); ready[whom] = true
    :: else
    fi;
    done++
}

init {
    byte i;
    atomic {
        for (i : 0 .. ACTORS - 1) { queue[i] = NONE; run Actor(i) }
#ifdef CANCEL
        run Canceller(0)
#else
        done++
#endif
    }
    (done == ACTORS + 1);
    assert(!locked && waiting == 0 && !starving && count == (lingers -> 1 : 0))
}
