/* SPDX-License-Identifier: MIT
 *
 * alone.pml: the end of being alone, of src/coro/queue.c: the owner of the only proc takes from the
 * front of its ring by plain stores, which its processor buffers, under the biased lock of
 * run_next.pml; whoever makes a second proc says that it is no longer alone, takes that lock once,
 * and lets the thieves in, who take by compare-and-swap, as does the owner from then on.
 *
 * It checks that each waiter is taken once, and that nobody waits for ever.
 *
 * BREAK_BARRIER: the lock is taken without the kernel's barrier.
 * BREAK_WAIT: it is not taken at all.
 */
#ifndef WAITERS
#define WAITERS 3
#endif

#define BUSY 0
#define HEAD 1

byte memory[2];
chan buffer = [4] of { byte, byte };     /* the owner's stores under way, in their order */
byte pending, newest;                    /* of those to the head: how many, and the last */
bool thief, alone = true, thieves;
byte taken[WAITERS];
byte done;

inline store(where, what)
{
    atomic {
        if
        :: where == HEAD -> pending++; newest = what
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
    :: where == HEAD -> pending--
    :: else
    fi
}

inline drain(where, what)
{
    atomic {
        do
        :: nempty(buffer) -> settle(where, what)
        :: empty(buffer) -> break
        od
    }
}

proctype processor()
{
    byte where, what;
end:
    do
    :: atomic { nempty(buffer) -> settle(where, what) }
    od
}

/* The owner sees its own stores. */
inline load_head(into)
{
    d_step {
        if
        :: pending > 0 -> into = newest
        :: else -> into = memory[HEAD]
        fi
    }
}

/* It says busy, then looks for a thief. */
inline enter()
{
    store(BUSY, 1);
    do
    :: !thief -> break
    :: thief ->
        store(BUSY, 0);
        !thief;
        store(BUSY, 1)
    od
}

proctype owner()
{
    byte head, where, what;
    bool was;
    do
    :: true ->
        load_head(head);
        if
        :: head == WAITERS -> break
        :: else
        fi;
        was = false;
        if
        :: alone ->
            enter();
            was = alone;
            if
            :: was ->
                load_head(head);
                store(HEAD, head + 1);
                taken[head]++
            :: else
            fi;
            store(BUSY, 0)
        :: else ->
            /* The compare-and-swap empties the buffer first. */
            atomic {
                drain(where, what);
                if
                :: memory[HEAD] == head -> memory[HEAD] = head + 1; taken[head]++
                :: else
                fi
            }
        fi
    :: true -> skip
    od;
    done++
}

proctype maker()
{
    byte where, what;
    alone = false;
#ifndef BREAK_WAIT
    do
    :: true ->
        thief = true;
#ifndef BREAK_BARRIER
        drain(where, what);
#endif
        if
        :: memory[BUSY] == 0 -> thief = false; break
        :: memory[BUSY] != 0 -> thief = false      /* it lets go, and tries again */
        fi
    od;
#endif
    thieves = true;
    done++
}

proctype steal()
{
    byte head;
    thieves;
    do
    :: true ->
        head = memory[HEAD];
        if
        :: head == WAITERS -> break
        :: else
        fi;
        atomic {
            if
            :: memory[HEAD] == head -> memory[HEAD] = head + 1; taken[head]++
            :: else
            fi
        }
    od;
    done++
}

init {
    byte i;
    atomic {
        run processor();
        run owner();
        run maker();
        run steal()
    };
    done == 3 && empty(buffer);
    for (i : 0 .. WAITERS - 1) {
        assert(taken[i] == 1)
    }
}
