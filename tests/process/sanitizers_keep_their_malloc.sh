#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage: sanitizers_keep_their_malloc.sh BUILD-DIRECTORY
#
# Preloaded into a program that was built with a sanitizer the library says one line and leaves
# malloc to that: correct programs run, and the sanitizer finds mistakes as it does without.
set -euo pipefail

build=$(readlink -f "$1")
here=$(dirname "$(readlink -f "$0")")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cd "$root"

# A program of gcc's finds the sanitizer in a library, which wants to be the first of all.
export ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0

# run PROGRAM MISTAKE: its output, and how it ended.
run() {
    status=0
    LD_PRELOAD=$build/libgoalloc.so timeout 60 ./"$1" "$2" >output 2>&1 || status=$?
}

complain() {
    echo "$1: $2; status $status:" >&2
    cat output >&2
    exit 1
}

# check COMPILER SANITIZER NAME [MISTAKE WORDS]
check() {
    local what="$1 -fsanitize=$2" line="goalloc: $3 is in this process: malloc is left to it"
    command -v "$1" >/dev/null || return 0
    "$1" "-fsanitize=$2" -g -O0 -fno-builtin -w -D_GNU_SOURCE -I "$here/../../include" \
        "$here/misuser.c" -o program -pthread 2>warnings || return 0 # it has no such runtime
    ./program none >output 2>&1 || return 0                          # nor does the kernel suit it
    checked=$((checked + 1))
    run program none
    [ "$status" -eq 0 ] || complain "$what" "expected a correct program to run"
    [ "$(grep goalloc: output)" = "$line" ] || complain "$what" "expected one line, \"$line\""
    [ $# -gt 3 ] || return 0
    run program "$4"
    grep -q "$5" output || complain "$what" "expected the mistake to be found"
}

checked=0
for compiler in gcc clang; do
    check $compiler address AddressSanitizer overflow "AddressSanitizer: heap-buffer-overflow"
    check $compiler thread ThreadSanitizer "read after free" "ThreadSanitizer: heap-use-after-free"
    check $compiler leak "a sanitizer"
    check $compiler memory MemorySanitizer undefined "MemorySanitizer: use-of-uninitialized-value"
done
if [ "$checked" -eq 0 ]; then
    echo "no compiler has a sanitizer"
    exit 77
fi
