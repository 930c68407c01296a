/* SPDX-License-Identifier: MIT
 *
 * barrier.pml: the write barrier of src/gc/barrier.c. Threads move blocks between slots and registers,
 * by stores that their processors buffer; each store is told while `marking` is read as set, by way
 * of a buffer that the marker empties; the marker looks at each slot once, beside them, and in a stop
 * at registers.
 *
 * Block 1 lies in a slot at first, block 2 in a register alone. It checks that after the stop all that
 * slots and registers hold is marked. With OWN each thread writes to a slot of its own, as threads with
 * locks would, and it checks too that what was in a slot when marking began was marked before registers
 * were looked at, or was just being told.
 *
 * BREAK_NEW: what is stored isn't told. BREAK_OLD: what is overwritten isn't; only
 * with OWN that is a mistake. BREAK_BARRIER: marking
 * begins without a barrier in all threads. BREAK_ORDER: `marking` is read before the store. BREAK_COPY:
 * the stop may come between a copy and its telling. BREAK_FLUSH: the stop doesn't empty the buffers. BREAK_BLACK: what is
 * handed out is marked before writes are told.
 */
#ifndef OPERATIONS
#define OPERATIONS 2
#endif
#ifndef THREADS
#define THREADS 2
#endif
#define SLOTS  3                         /* the last is in a block that is handed out on the way */
#define OLD    2
#define BLOCKS 3                         /* 0 is none */
#define NONE   7

byte memory[SLOTS];
byte stored_where[THREADS], stored_what[THREADS];    /* one store under way, or NONE */
byte register_of[THREADS], old_of[THREADS], new_of[THREADS]; /* what the stop finds of a thread */
bool locked[THREADS];                    /* amid a copy, for which a stop waits */
bool told[BLOCKS];                       /* in some buffer */
bool marked[BLOCKS], at_first[BLOCKS];
bool marking, stopped;
bool blackens;                           /* what is handed out is marked, and not looked at */
bool handed_out, born_black;

inline settle(t)
{
    if
    :: stored_where[t] != NONE ->
        memory[stored_where[t]] = stored_what[t];
        stored_where[t] = NONE
    :: else
    fi
}

inline settle_all(t)
{
    for (t : 0 .. THREADS - 1) { settle(t) }
}

/* A thread sees its own stores at once. */
inline load(t, where, what)
{
    d_step {
        if
        :: stored_where[t] == where -> what = stored_what[t]
        :: else -> what = memory[where]
        fi
    }
}

inline store(t, where, what)
{
    d_step {
        settle(t);
        stored_where[t] = where;
        stored_what[t] = what
    }
}

/* With a lock held, to take which settles all stores; `blackens` changes with all of them held. */
inline tell(t, what)
{
    d_step {
        settle(t);
        if
        :: what != 0 && !marked[what] && blackens -> told[what] = true
        :: else
        fi
    }
}

inline tell_old(t, block)
{
#ifndef BREAK_OLD
    tell(t, block)
#else
    skip
#endif
}

inline tell_new(t, block)
{
#ifndef BREAK_NEW
    tell(t, block)
#else
    skip
#endif
}

/* ga_gc_write: the register into a slot. */
inline write(t, place, is_set)
{
    load(t, place, old_of[t]);
    new_of[t] = register_of[t];
#ifdef BREAK_ORDER
    is_set = marking;
    store(t, place, new_of[t]);
#else
    store(t, place, new_of[t]);
    is_set = marking;
#endif
    if
    :: is_set -> tell_old(t, old_of[t]); tell_new(t, new_of[t])
    :: else
    fi;
    d_step { old_of[t] = 0; new_of[t] = 0 }
}

/* ga_gc_write_range: the stop finds nothing of what is moved. */
inline copy(t, source, target, moved)
{
#ifndef BREAK_COPY
    locked[t] = true;
#endif
    load(t, target, moved);
    tell_old(t, moved);
    load(t, source, moved);
    store(t, target, moved);
    tell_new(t, moved);
    locked[t] = false
}

proctype thread(byte t)
{
    byte operation, slot, other, value;
    bool is_set;
    for (operation : 1 .. OPERATIONS - t) {
#ifdef OWN
        slot = t;
#else
        if
        :: slot = 0
        :: slot = 1
        fi;
#endif
        other = 1 - slot;
        if
        :: write(t, slot, is_set)
        :: copy(t, other, slot, value)
        :: load(t, slot, register_of[t])
        :: register_of[t] = 0
        :: t == 0 && !handed_out ->
            d_step { settle(t); handed_out = true; born_black = blackens };
            write(t, 2, is_set);
            register_of[t] = 0
        fi;
        d_step { value = 0; is_set = false }
    }
}

/* A processor finishes a store whenever it likes. */
proctype processor(byte t)
{
end:
    do
    :: atomic { stored_where[t] != NONE && !stopped -> settle(t) }
    od
}

inline take()
{
    d_step {
        for (b : 1 .. BLOCKS - 1) {
            marked[b] = marked[b] || told[b];
            told[b] = false
        }
    }
}

inline stop_and_check()
{
    atomic {
        !locked[0] && !locked[THREADS - 1];
        stopped = true;
        settle_all(i);                   /* an interrupt comes after all stores before it */
#ifndef BREAK_FLUSH
        take();
#endif
        for (b : 1 .. BLOCKS - 1) {
            bool in_hand = false;
            for (i : 0 .. THREADS - 1) {
                in_hand = in_hand || old_of[i] == b || new_of[i] == b
            }
#ifdef OWN
            assert(!at_first[b] || marked[b] || in_hand)
#endif
        }
        for (i : 0 .. THREADS - 1) {
            marked[register_of[i]] = true;
            marked[old_of[i]] = true;
            marked[new_of[i]] = true
        }
        marked[0] = true;
        for (i : 0 .. OLD - 1) { assert(marked[memory[i]]) }
        assert(!born_black || marked[memory[2]]);
        blackens = false;
        marking = false;
        stopped = false
    }
}

proctype marker()
{
    byte i, b;
#ifdef BREAK_BLACK
    blackens = true;
#endif
    marking = true;
#ifndef BREAK_BARRIER
    atomic { settle_all(i) };
#endif
    atomic {
        !locked[0] && !locked[THREADS - 1];
        blackens = true;
        at_first[memory[0]] = true;
        at_first[memory[1]] = true;
        at_first[0] = false
    };
    marked[memory[0]] = true;
    marked[memory[1]] = true;
    if
    :: take()
    :: skip
    fi;
    stop_and_check()
}

init {
    byte i;
    atomic {
        memory[0] = 1;
        register_of[0] = 2;
        for (i : 0 .. THREADS - 1) {
            stored_where[i] = NONE;
            run thread(i);
            run processor(i)
        };
        run marker()
    }
}
