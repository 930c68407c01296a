/* SPDX-License-Identifier: MIT
 *
 * channel.pml: the state machine of src/coro/chan.c: an unbuffered or a buffered channel, senders,
 * receivers, and one that closes it when the senders are done.
 *
 * The latch is atomic_block (what it guards is one step), a park is waiting for one's own `ready`.
 * What is checked: nothing is lost, nothing comes twice, nobody waits for ever, and the invariants
 * of src/coro/chan.h hold whenever the latch is free.
 *
 * CAPACITY, SENDERS, RECEIVERS and EACH are given to spin by -D. BREAK: a close that leaves who waits
 * to receive where they are. The closer lets go of the latch after each receiver that it takes: the
 * most others can see of that.
 */
#ifndef CAPACITY
#define CAPACITY 1
#endif
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef RECEIVERS
#define RECEIVERS 2
#endif
#ifndef EACH
#define EACH 1
#endif

#define ACTORS (SENDERS + RECEIVERS)
#define NOBODY 255

byte count;                              /* elements in the buffer */
bool closed, has_closed;                 /* no more sends; the closer is done */
chan senders = [ACTORS] of { byte };     /* who waits to send, in order */
chan receivers = [ACTORS] of { byte };
bool ready[ACTORS];                      /* park_ready was called */
bool success[ACTORS];
byte sent, received, ended_senders, ended_receivers;

/* The latch is free at the end of each of these. */
inline check()
{
    assert(count <= CAPACITY);
    assert(len(receivers) == 0 || (count == 0 && len(senders) == 0));
    assert(len(senders) == 0 || count == CAPACITY);
    assert(!closed || len(senders) == 0);
    assert(!has_closed || len(receivers) == 0);
}

proctype Sender(byte me)
{
    byte i, other;
    for (i : 1 .. EACH) {
        bool waits = false;
        atomic {
            assert(!closed);
            if
            :: len(receivers) > 0 ->
                receivers ? other;
                success[other] = true;
                assert(!ready[other]);
                ready[other] = true
            :: len(receivers) == 0 && count < CAPACITY ->
                count++
            :: len(receivers) == 0 && count == CAPACITY ->
                senders ! me;
                waits = true
            fi;
            sent++;
            check()
        }
        if
        :: waits ->
            (ready[me]);
            atomic { ready[me] = false; assert(success[me]); success[me] = false }
        :: else
        fi
    }
    ended_senders++
}

proctype Receiver(byte me)
{
    byte other;
    bool more = true, waits;
    do
    :: more ->
        waits = false;
        atomic {
            if
            :: len(senders) > 0 ->
                senders ? other;
                /* the element at the front, and the sender's at the back, or the sender's own */
                success[other] = true;
                assert(!ready[other]);
                ready[other] = true;
                received++
            :: len(senders) == 0 && count > 0 ->
                count--;
                received++
            :: len(senders) == 0 && count == 0 && closed ->
                more = false
            :: len(senders) == 0 && count == 0 && !closed ->
                receivers ! me;
                waits = true
            fi;
            check()
        }
        if
        :: waits ->
            (ready[me]);
            atomic {
                ready[me] = false;
                if
                :: success[me] -> received++; success[me] = false
                :: else -> assert(closed); more = false
                fi
            }
        :: else
        fi
    :: else -> break
    od;
    ended_receivers++
}

proctype Closer()
{
    byte other = NOBODY, next = NOBODY;
    (ended_senders == SENDERS);
    atomic {
        closed = true;
#ifndef BREAK
        if
        :: len(receivers) > 0 -> receivers ? next
        :: else
        fi
#endif
    }
    do
    :: next == NOBODY -> break
    :: else ->
        atomic {
            /* The latch is taken again: somebody who is still to be woken keeps the channel. */
            assert(ended_receivers < RECEIVERS);
            other = next;
            next = NOBODY;
            if
            :: len(receivers) > 0 -> receivers ? next
            :: else -> has_closed = true
            fi;
            check()
        }
        atomic { assert(!ready[other]); ready[other] = true }
    od
}

init {
    byte i;
    atomic {
        for (i : 0 .. SENDERS - 1) { run Sender(i) }
        for (i : SENDERS .. ACTORS - 1) { run Receiver(i) }
        run Closer()
    }
    /* All are done: an invalid end state, which spin reports, if one of them waits for ever. */
    (_nr_pr == 1);
    assert(sent == SENDERS * EACH && received == sent && count == 0)
}
