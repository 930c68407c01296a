/* SPDX-License-Identifier: MIT
 *
 * select.pml: the state machine of src/coro/select.c over two unbuffered channels: selects that
 * receive from either, plain senders of one element each.
 *
 * What is modelled finer than in channel.pml: a select queues at both channels under both latches,
 * gives them up one after the other (the commit of its park), is woken by whoever changes `fired`
 * first, and then leaves the other queue under that channel's latch alone. It checks that one select
 * takes one element, that whoever loses the race for `fired` goes on to the next in the queue, that
 * nobody is woken twice, and that no entry of a select is touched once it has returned.
 *
 * BREAK leaves out the test of `fired`, to see the model fail.
 */
#ifndef SELECTS
#define SELECTS 2
#endif
#ifndef SENDERS
#define SENDERS 2
#endif

#define NONE 255

bool latch[2];
chan receivers0 = [SELECTS] of { byte };
chan receivers1 = [SELECTS] of { byte };
chan senders0 = [SENDERS] of { byte };
chan senders1 = [SENDERS] of { byte };

bool fired[SELECTS];
byte winner[SELECTS];     /* the channel that did it */
bool ready[SELECTS];
bool gone[SELECTS];       /* it has returned: its entries are no more */
bool sender_ready[SENDERS];
byte delivered[SENDERS];
byte done;

inline acquire(c) { atomic { !latch[c] -> latch[c] = true } }
inline release(c) { assert(latch[c]); latch[c] = false }

/* Latch held. The first receiver of a channel that is still to be woken, off the queue. */
inline take_receiver(queue, c, found)
{
    found = NONE;
    do
    :: found == NONE && len(queue) > 0 ->
        byte entry;
        queue ? entry;
        assert(!gone[entry]);
        atomic {
            if
#ifdef BREAK
            :: true -> fired[entry] = true; winner[entry] = c; found = entry
#else
            :: !fired[entry] -> fired[entry] = true; winner[entry] = c; found = entry
            :: else
#endif
            fi
        }
    :: else -> break
    od
}

inline leave(queue, me)
{
    if
    :: queue ?? [eval(me)] -> queue ?? eval(me)
    :: else
    fi
}

inline send_on(queue, waiting, c, me)
{
    byte who;
    acquire(c);
    take_receiver(queue, c, who);
    if
    :: who != NONE ->
        delivered[me]++;
        release(c);
        assert(!ready[who]);
        ready[who] = true
    :: else ->
        waiting ! me;
        release(c);
        (sender_ready[me])
    fi
}

proctype Sender(byte me)
{
    if
    :: me % 2 == 0 -> send_on(receivers0, senders0, 0, me)
    :: else -> send_on(receivers1, senders1, 1, me)
    fi;
    done++
}

/* Latches held. Takes from a sender that waits, if there is one. */
inline take_sender(queue, took)
{
    byte sender;
    if
    :: len(queue) > 0 ->
        queue ? sender;
        delivered[sender]++;
        assert(!sender_ready[sender]);
        sender_ready[sender] = true;
        took = true
    :: else
    fi
}

proctype Select(byte me)
{
    bool took = false;
    acquire(0);
    acquire(1);
    if
    :: take_sender(senders0, took)
    :: take_sender(senders1, took)
    fi;
    if
    :: !took -> take_sender(senders0, took)
    :: else
    fi;
    if
    :: !took -> take_sender(senders1, took)
    :: else
    fi;
    if
    :: took -> release(0); release(1)
    :: else ->
        receivers0 ! me;
        receivers1 ! me;
        release(0);                      /* it may be woken from here on */
        release(1);
        (ready[me]);
        assert(fired[me]);
        if
        :: winner[me] != 0 -> acquire(0); leave(receivers0, me); release(0)
        :: winner[me] != 1 -> acquire(1); leave(receivers1, me); release(1)
        fi;
        assert(!(receivers0 ?? [eval(me)]) && !(receivers1 ?? [eval(me)]))
    fi;
    gone[me] = true;
    done++
}

init {
    byte i;
    atomic {
        for (i : 0 .. SELECTS - 1) { run Select(i) }
        for (i : 0 .. SENDERS - 1) { run Sender(i) }
    }
    (done == SELECTS + SENDERS);
    for (i : 0 .. SENDERS - 1) {
        assert(delivered[i] == 1)
    }
}
