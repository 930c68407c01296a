# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016,SC2028,SC2034,SC2154 # names shared with the other files
# Places where allocators have failed: not by what a program computes, but by where it runs.

python=/usr/bin/python3

# Under a limit on the address space, reservations must shrink. Below 64 MiB bash itself is tight.
small_address_space() {
    local kilobytes
    for kilobytes in 65536 131072 524288; do
        (
            ulimit -v "$kilobytes"
            under cat /etc/passwd | digest
            under bash -c 'x=$(seq 1 2000); echo "${#x}"'
        )
    done
    (
        ulimit -v 524288
        under "$python" -c 'print(len([str(i) for i in range(100000)]))'
    )
}

no_descriptors() {
    require_child bash
    under bash -c 'ulimit -n 4; exec cat /etc/passwd'
    under cat 0<&- 2>&- || echo "status $?"
    under bash -c 'exec 0<&- 2>&-; a=(1 2 3); echo "${a[@]}"'
}

no_environment() {
    if [[ $side == preload ]]; then
        env -i LD_PRELOAD="$lib" cat /etc/passwd
    else
        env -i cat /etc/passwd
    fi
    under setsid -w nice -n 5 stdbuf -o0 cat /etc/passwd
}

# The library opened by a program that already runs: the room for static thread storage is small
# by then, and malloc has been libc's so far.
opened_late() {
    local open=
    [[ $side == plain ]] || open=$lib
    audit_nothing
    "$python" - "$open" <<'END'
import ctypes, sys, threading
kept = [str(i) for i in range(100000)]
if sys.argv[1]:
    ctypes.CDLL(sys.argv[1])
def work(n):
    return sum(len(s) for s in [str(i * n) for i in range(20000)])
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(kept), "opened")
END
}

# build COMPILER SOURCE OPTION…: a program of ours; the compiler is not under test here.
build() {
    local compiler=$1 source=$2
    shift 2
    "$compiler" -O1 "$inputs/$source" -o program -pthread "$@"
}

fork_stdio() {
    build gcc fork_stdio.c
    under ./program
}

late_free() {
    build g++ late_free.cpp -std=c++17
    under ./program
}

program places-small-address-space quick 60 both small_address_space
program places-no-descriptors quick 30 both no_descriptors
program places-no-environment quick 30 both no_environment
program places-opened-late quick 60 both opened_late
program places-fork-stdio quick 90 both fork_stdio
program places-late-free quick 60 both late_free
