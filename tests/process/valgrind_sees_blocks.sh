#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage: valgrind_sees_blocks.sh BUILD-DIRECTORY
#
# Under valgrind a preloaded or linked program runs as ever. memcheck finds its mistakes, both with
# its own malloc, which it puts in place of ours, and with ours, when it is told to leave that alone.
set -euo pipefail

build=$(readlink -f "$1")
here=$(dirname "$(readlink -f "$0")")
command -v valgrind >/dev/null || {
    echo "there is no valgrind"
    exit 77
}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cd "$root"

cc -g -O0 -fno-builtin -w -D_GNU_SOURCE -I "$here/../../include" "$here/misuser.c" -o plain -pthread
cc -g -O0 -fno-builtin -w -D_GNU_SOURCE -I "$here/../../include" "$here/misuser.c" \
    "$build/libgoalloc.a" -o linked -pthread

# expect PROGRAM PRELOAD OPTION MISTAKE WORDS: WORDS "" stands for a clean run.
expect() {
    local status=0
    LD_PRELOAD=$2 valgrind --quiet --error-exitcode=3 --leak-check=full \
        --errors-for-leak-kinds=definite ${3:+"$3"} "./$1" "$4" >output 2>&1 || status=$?
    if [ -z "$5" ] && [ "$status" -eq 0 ] && [ "$(cat output)" = "done" ]; then
        return
    fi
    if [ -n "$5" ] && [ "$status" -ne 0 ] && grep -q "$5" output; then
        return
    fi
    echo "$1, valgrind $3, mistake \"$4\": expected \"$5\", got status $status:" >&2
    cat output >&2
    exit 1
}

ours=--soname-synonyms=somalloc=nouserintercepts
preload=$build/libgoalloc.so
for run in "plain $preload" "linked "; do
    read -r program library <<<"$run"
    for option in "" "$ours"; do
        expect "$program" "$library" "$option" none ""
        expect "$program" "$library" "$option" overflow "0 bytes after a .*block of size 24 alloc'd"
        [ "$program" = plain ] || continue
        expect "$program" "$library" "$option" undefined "depends on uninitialised value"
        expect "$program" "$library" "$option" leak "24 bytes in 1 blocks are definitely lost"
        expect "$program" "$library" "$option" "read after free" "inside a block of size .* free'd"
        expect "$program" "$library" "$option" "double free" "Invalid free"
    done
done

# Tools that don't look at blocks see the thread caches at work.
LD_PRELOAD=$preload valgrind --tool=none --quiet ./plain none >output 2>&1 || {
    cat output >&2
    exit 1
}
