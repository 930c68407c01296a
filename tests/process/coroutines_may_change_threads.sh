#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage: coroutines_may_change_threads.sh BUILD-DIRECTORY
#
# Coroutines that change threads at every switch keep their heap and errno, however program and
# library are compiled; and they don't when the thread's cache is read as a plain thread-local
# variable, which a compiler may look up once for a whole function.
set -euo pipefail

source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc=${CC:-cc}

mapfile -t library < <(find "$source/src" -name '*.c' ! -name 'cxx*.c' ! -name dlopen.c ! -name unwind_shared.c; echo "$source/src/coro/switch_x86_64.S"
    echo "$source/src/coro/switch_aarch64.S")

# build NAME FLAG…: program and library in one, compiled alike.
build() {
    local name=$1
    shift
    "$cc" -std=gnu11 -w -D_GNU_SOURCE -pthread -fno-builtin-malloc -fno-builtin-free \
        -I"$source/include" -I"$source/src" "$@" -o "$work/$name" \
        "$source/tests/process/libraries/migrant.c" "${library[@]}"
}

# A few runs, of which all must be good.
expect_good() {
    for _ in 1 2; do
        GOALLOC=migrate timeout 60 "$work/$1" >"$work/$1.txt" 2>&1 || {
            echo "expected the program compiled by \"$2\" to keep its heap; it ended with $?:"
            tail -5 "$work/$1.txt"
            exit 1
        }
    done
}

# A few runs, of which one at least must go wrong.
expect_bad() {
    for _ in 1 2 3 4 5; do
        GOALLOC=migrate timeout 60 "$work/$1" >"$work/$1.txt" 2>&1 || return 0
    done
    echo "expected a plain thread-local read to break the program; it ran well:"
    cat "$work/$1.txt"
    exit 1
}

for flags in "-O2" "-O3 -flto" "-O2 -fPIC -pie" "-O2 -static"; do
    # shellcheck disable=SC2086
    build good $flags
    expect_good good "$flags"
done
# As in any shared library: an address is asked for by a call. Link-time optimisation, so that malloc
# and the switch meet in one function.
build plain.so -O3 -flto -fPIC -shared -Wl,-Bsymbolic -fno-semantic-interposition \
    -DGOALLOC_PLAIN_TLS '-Dtls_model(x)=unused' -Dmain=migrant
echo 'int migrant(void); int main(void) { return migrant(); }' >"$work/main.c"
"$cc" "$work/main.c" -o "$work/plain" "$work/plain.so" -Wl,-rpath,"$work"
expect_bad plain
