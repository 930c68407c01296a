# SPDX-License-Identifier: MIT
"""gdb commands for goalloc's coroutines. In gdb: source goalloc-gdb.py

info coroutines     lists all: number, state, what it waits for, name, where it was started
coroutine N bt      any gdb command in the frame of a coroutine that is off its thread

In a core file, whose registers can't be set, the coroutine's frames follow as if they had called
the thread's innermost one, #0.
"""

import struct

import gdb
from gdb.unwinder import Unwinder, register_unwinder

STATES = {1: "runnable", 2: "running", 3: "waiting"}
WORDS = ("version words slabs slab_count slab_size base_at used_at cold_at stride_at waiter_size "
         "colours sp_at status_at reason_at id_at name_at site_at main reasons forks_at forks").split()
# What coro_switch saves, by processor: register -> word; then how many words.
FRAMES = {
    "i386:x86-64": ({"rip": 0, "rbp": 2}, 3, "rsp"),
    "aarch64": (dict({"x%d" % (19 + i): i for i in range(12)}, pc=11), 22, "sp"),
}


def memory(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def word(address):
    return struct.unpack("<Q", memory(address, 8))[0]


def half(address):
    return struct.unpack("<I", memory(address, 4))[0]


def text(address):
    if not address:
        return ""
    found = b""
    while b"\0" not in found and len(found) < 256:
        found += memory(address + len(found), 1)
    return found.split(b"\0")[0].decode(errors="replace")


def layout():
    base = int(gdb.parse_and_eval("(unsigned long)&ga_debug_layout"))
    found = {name: word(base + 8 * i) for i, name in enumerate(WORDS)}
    if found["version"] != 2 or found["words"] != len(WORDS):
        raise gdb.GdbError("this goalloc's coroutines are laid out in another way")
    return found


def waiters(lay):
    main = word(lay["main"])
    if main:
        yield main
    for i in range(half(lay["slab_count"])):
        slab = lay["slabs"] + i * lay["slab_size"]
        base, used = word(slab + lay["base_at"]), word(slab + lay["used_at"])
        cold, size = word(slab + lay["cold_at"]), word(slab + lay["stride_at"])
        for k in range(used):
            if not word(cold + k // 64 * 8) >> k % 64 & 1:
                yield base + (k + 1) * size - k % lay["colours"] * 64 - lay["waiter_size"]


def living(lay):
    """Those of this process: a forked child's memory still has the parent's."""
    forks = half(lay["forks"])
    return [w for w in waiters(lay)
            if half(w + lay["status_at"]) and half(w + lay["forks_at"]) == forks]


class InfoCoroutines(gdb.Command):
    """List all coroutines."""

    def __init__(self):
        super().__init__("info coroutines", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        lay = layout()
        for waiter in living(lay):
            state = STATES[half(waiter + lay["status_at"])]
            if state == "waiting":
                reason = memory(waiter + lay["reason_at"], 1)[0]
                state = text(word(lay["reasons"] + 8 * reason))
            site = word(waiter + lay["site_at"])
            origin = "" if not site else "%s at %s:%d" % (text(word(site + 16)), text(word(site)),
                                                         half(site + 24))
            print("%6d  %-22s %-12s %s" % (word(waiter + lay["id_at"]), state,
                                           text(word(waiter + lay["name_at"])), origin))


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class ParkedCaller(Unwinder):
    """Says that the innermost frame was called by a parked coroutine, while there is one to show."""

    def __init__(self):
        super().__init__("goalloc")
        self.values = self.innermost = None

    def __call__(self, pending):
        if not self.values:
            return None
        sp, pc = pending.read_register(self.stack), pending.read_register("pc")
        if (int(sp), int(pc)) != self.innermost:
            return None
        # gdb wants stacks to grow down from callers to callees: it is told that this one does.
        info = pending.create_unwind_info(FrameId(gdb.Value(self.below).cast(sp.type), pc))
        for name, value in self.values.items():
            info.add_saved_register(name, gdb.Value(value).cast(pending.read_register(name).type))
        return info

    def run(self, values, stack, command):
        self.stack = stack
        self.innermost = tuple(int(gdb.parse_and_eval("(unsigned long)$" + name))
                               for name in (stack, "pc"))
        self.below = values[stack] - 8
        self.values = values
        gdb.invalidate_cached_frames()
        try:
            gdb.execute("frame 1", to_string=True)
            gdb.execute(command)
        finally:
            self.values = None
            gdb.invalidate_cached_frames()
            gdb.execute("frame 0", to_string=True)


class Coroutine(gdb.Command):
    """Run a command in a coroutine's frame: coroutine N COMMAND."""

    def __init__(self):
        super().__init__("coroutine", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        number, _, command = argument.partition(" ")
        if not number.isdecimal():
            raise gdb.GdbError("usage: coroutine N [COMMAND]; info coroutines lists them")
        lay = layout()
        found = [w for w in living(lay) if word(w + lay["id_at"]) == int(number)]
        if not found:
            raise gdb.GdbError("no coroutine %s" % number)
        if half(found[0] + lay["status_at"]) == 2:
            raise gdb.GdbError("coroutine %s runs: look among the threads" % number)
        self.in_frame(word(found[0] + lay["sp_at"]), command or "bt")

    @staticmethod
    def in_frame(sp, command):
        gdb.execute("frame 0", to_string=True)
        registers, words, stack = FRAMES[gdb.selected_frame().architecture().name()]
        values = {name: word(sp + 8 * place) for name, place in registers.items()}
        values[stack] = sp + 8 * words
        before = {name: int(gdb.parse_and_eval("(unsigned long)$" + name)) for name in values}
        try:
            gdb.execute("set $%s = %d" % (stack, values[stack]))
        except gdb.error:
            parked_caller.run(values, stack, command)
            return
        try:
            for name, value in values.items():
                gdb.execute("set $%s = %d" % (name, value))
            gdb.execute(command)
        finally:
            gdb.execute("frame 0", to_string=True)
            for name, value in before.items():
                gdb.execute("set $%s = %d" % (name, value))


parked_caller = ParkedCaller()
register_unwinder(None, parked_caller, replace=True)
InfoCoroutines()
Coroutine()
