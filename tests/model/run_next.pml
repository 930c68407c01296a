/* SPDX-License-Identifier: MIT
 *
 * run_next.pml: the biased lock of src/coro/queue.c: the owner's plain stores, which its processor
 * buffers, against thieves that have the kernel empty that buffer by a barrier.
 *
 * The owner puts one waiter after another into the slot, and takes out what was there; thieves take
 * what they find. It checks that each waiter is taken once, or is still there in the end, and that
 * nobody waits for ever.
 *
 * BREAK: thieves without a barrier.
 */
#ifndef WAITERS
#define WAITERS 3
#endif
#ifndef THIEVES
#define THIEVES 2
#endif

#define BUSY 0
#define SLOT 1

byte memory[2];
chan buffer = [4] of { byte, byte };     /* the owner's stores under way, in their order */
byte pending, newest;                    /* of those to the slot: how many, and the last */
bool thief;
byte taken[WAITERS + 1];
byte done;

inline store(where, what)
{
    atomic {
        if
        :: where == SLOT -> pending++; newest = what
        :: else
        fi;
        buffer!where,what
    }
}

/* One store takes effect. */
inline settle(where, what)
{
    buffer?where,what;
    memory[where] = what;
    if
    :: where == SLOT -> pending--
    :: else
    fi
}

proctype processor()
{
    byte where, what;
end:
    do
    :: atomic { nempty(buffer) -> settle(where, what) }
    od
}

inline enter()
{
    store(BUSY, 1);
    do
    :: !thief -> break
    :: thief ->
        store(BUSY, 0);
        !thief;
        store(BUSY, 1)
    od;
    skip
}

proctype owner()
{
    byte waiter = 1, before;
    do
    :: waiter <= WAITERS ->
        enter();
        d_step {
            if
            :: pending > 0 -> before = newest
            :: else -> before = memory[SLOT]
            fi
        };
        store(SLOT, waiter);
        store(BUSY, 0);
        taken[before]++;
        waiter++
    :: else -> break
    od;
    done++
}

proctype steal()
{
    byte round, found, where, what;
    do
    :: round < 2 ->
        round++;
        found = 0;
        if
        :: atomic { !thief -> thief = true };
#ifndef BREAK
            atomic {
                do
                :: nempty(buffer) -> settle(where, what)
                :: empty(buffer) -> break
                od
            };
#endif
            if
            :: memory[BUSY] == 0 ->
                found = memory[SLOT];
                if
                :: found != 0 -> memory[SLOT] = 0
                :: else
                fi
            :: memory[BUSY] != 0            /* it lets go */
            fi;
            thief = false;
            taken[found]++
        :: thief                            /* another is there */
        fi
    :: else -> break
    od;
    done++
}

init {
    byte i;
    atomic {
        run processor();
        run owner();
        for (i : 1 .. THIEVES) { run steal() }
    };
    done == THIEVES + 1 && empty(buffer);
    for (i : 1 .. WAITERS) {
        assert(taken[i] + (memory[SLOT] == i) == 1)
    }
}
