/* SPDX-License-Identifier: MIT
 *
 * crowd.pml: who looks for descriptors' events in a crowd, of src/coro/help.c and machine.c: a
 * machine that idles rests while another one looks often, else watches, if nobody does, else
 * sleeps; a machine that works may compute for ever; the monitor wakes one where nobody has
 * looked in time. The crowd may end, and then whoever rested has to be woken, too.
 *
 * It checks that each event is handled, by whomever: that not all wait while one is left.
 *
 * ENDS: the crowd may end.
 * BREAK_MONITOR: the monitor doesn't look after those that rest.
 * BREAK_LAST: a machine rests although nobody works.
 */
#ifndef MACHINES
#define MACHINES 2
#endif
#ifndef EVENTS
#define EVENTS 2
#endif
#define PROCS 2
#define NONE  MACHINES

byte pending, handled;         /* events that came, and that were dealt with */
byte idle_procs = PROCS;
byte watcher = NONE;
bool idle[MACHINES], given[MACHINES];
bool crowded = true, overdue = true, owes, computes;

#define OVER (handled == EVENTS)

/* sched_wake_idle: an idle machine gets a proc. */
inline wake_idle()
{
    atomic {
        if
        :: idle_procs > 0 && idle[0] -> idle_procs--; idle[0] = false; given[0] = true
        :: idle_procs > 0 && idle[1] -> idle_procs--; idle[1] = false; given[1] = true
#if MACHINES > 2
        :: idle_procs > 0 && idle[2] -> idle_procs--; idle[2] = false; given[2] = true
#endif
        :: else
        fi
    }
}

proctype machine(byte self)
{
    bool needless, mine;
stop:
    atomic { idle[self] = true; given[self] = false }
    /* rest: the conditions are read one after the other, then it sleeps. */
    needless = crowded;
    needless = needless && watcher == NONE;
#ifdef BREAK_LAST
    needless = needless && idle_procs > 0;
#else
    needless = needless && idle_procs > 0 && idle_procs < PROCS;
#endif
    needless = needless && !overdue;
    if
    :: needless && !given[self] -> (given[self] || OVER); goto woken
    :: else
    fi;
watch:
    mine = false;
    atomic { if :: watcher == NONE -> watcher = self; mine = true :: else fi }
    if
    :: !mine -> goto sleep
    :: else
    fi;
    if
    :: idle_procs > 0 ->
        (pending > 0 || given[self] || OVER);
        watcher = NONE;
        atomic {
            if
            :: idle[self] && idle_procs > 0 -> idle[self] = false; idle_procs--; goto work
            :: idle[self] && idle_procs == 0 -> goto again
            :: else -> goto sleep
            fi
        }
    :: else ->
        watcher = NONE;
        if
        :: idle_procs > 0 -> goto watch
        :: else -> goto sleep
        fi
    fi;
again:
    if
    :: OVER -> goto done
    :: else -> goto stop
    fi;
sleep:
    (given[self] || OVER);
woken:
    if
    :: given[self] -> skip
    :: else -> goto done
    fi;
work:
    if
    :: OVER -> goto done
    :: else
    fi;
    atomic {
        if
        :: pending > 0 -> pending--; handled++; overdue = false
        :: else -> goto leave
        fi
    };
    if
    :: atomic { !computes -> computes = true }; OVER; goto done
    :: goto work
    fi;
leave:
    idle_procs++;
    goto stop;
done:
    skip
}

active proctype source()
{
    byte sent;
    do
    :: sent < EVENTS -> pending++; sent++
    :: else -> break
    od
}

active proctype monitor()
{
    do
    :: OVER -> break
    :: !overdue && idle_procs < PROCS -> overdue = true /* time passes */
#ifdef ENDS
    :: crowded -> atomic { crowded = false; owes = true }
    :: owes && watcher != NONE -> owes = false
#endif
#ifndef BREAK_MONITOR
    :: (owes || (crowded && overdue)) && watcher == NONE && idle_procs > 0 && idle_procs < PROCS ->
        wake_idle()
#endif
    /* netpoll_if_late, without a crowd */
    :: !crowded && watcher == NONE && pending > 0 ->
        atomic { if :: pending > 0 -> pending--; handled++ :: else fi }
    od
}

init
{
    byte i;
    atomic {
        do
        :: i < MACHINES -> run machine(i); i++
        :: else -> break
        od
    }
}
