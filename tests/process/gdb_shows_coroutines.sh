#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage: gdb_shows_coroutines.sh BUILD-DIRECTORY
#
# tools/goalloc-gdb.py lists coroutines and shows a parked one's frames, and gdb is as before then:
# in a live process, and in the core file of one, where the system writes such a file to where the
# process was.
set -euo pipefail

command -v gdb >/dev/null || exit 77
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/parked.c" <<'END'
#include <goalloc/coro.h>
#include <signal.h>
static __attribute__((noinline)) void sleep_deep(int n) { ga_sleep(n * 1000000000000); __asm__(""); }
static __attribute__((noinline)) void sleeper(int n) { sleep_deep(n); __asm__(""); }
int main(void)
{
    struct ga_go_options named = {.name = "dozer"};
    ga_go_opts(&named, sleeper, 1);
    ga_sleep(20000000);
    raise(SIGTRAP);
}
END
# However gdb ends: what it printed is what is judged, line by line below.
"${CC:-cc}" -g -O1 -I"$source/include" "$work/parked.c" -o "$work/parked" "$1/libgoalloc.so.1" -Wl,-rpath,"$1"
commands=(-ex "source $source/tools/goalloc-gdb.py" -ex 'info coroutines' -ex 'coroutine 2 bt'
    -ex 'echo back:\n' -ex 'bt')

expect() {
    grep -qE "$1" "$work/out" || {
        echo "expected gdb to print a line like \"$1\":"
        cat "$work/out"
        exit 1
    }
}
judge() {
    expect '^ +2 +sleep +dozer +sleeper at .*parked.c:8'
    expect '^#[0-9]+ .*sleep_deep \(n='
    expect '^#[0-9]+ .*sleeper \(n='
    expect '^#[0-9]+ .*coro_start'
    sed -n '/^back:/,$p' "$work/out" | grep -q ' main () at' || {
        echo "expected main's frames after those of the coroutine:"
        cat "$work/out"
        exit 1
    }
}

timeout 100 gdb -nx -batch -ex run "${commands[@]}" "$work/parked" >"$work/out" 2>&1 || true
grep -qi 'ptrace: Operation not permitted' "$work/out" && exit 77
judge

(cd "$work" && ulimit -c unlimited && ./parked) >"$work/run" 2>&1 || true
cores=("$work"/core*)
case $(cat /proc/sys/kernel/core_pattern) in
'|'* | */*) ;; # they go elsewhere
*)
    [ -f "${cores[0]}" ] || ! (ulimit -c unlimited) 2>/dev/null || {
        echo "expected a core file of a process that died by a signal"
        exit 1
    }
    ;;
esac
for core in "${cores[@]}"; do
    [ -f "$core" ] || break
    timeout 100 gdb -nx -batch "${commands[@]}" "$work/parked" "$core" >"$work/out" 2>&1 || true
    judge
done
