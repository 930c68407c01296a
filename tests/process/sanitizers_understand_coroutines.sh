#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage: sanitizers_understand_coroutines.sh BUILD-DIRECTORY
#
# A program that was built with a sanitizer and uses coroutines runs as it should, is told of no
# mistake that isn't one, and of those that are.
set -euo pipefail

build=$(readlink -f "$1")
here=$(dirname "$(readlink -f "$0")")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cd "$root"

export ASAN_OPTIONS=detect_stack_use_after_return=1 GOMAXPROCS=2

complain() {
    echo "$1: $2; status $status:" >&2
    cat output >&2
    exit 1
}

# ThreadSanitizer maps its shadow at fixed addresses, which needs address randomisation off.
prefix=()
if setarch "$(uname -m)" -R true 2>/dev/null; then
    prefix=(setarch "$(uname -m)" -R)
fi

# run MISTAKE: its output, and how it ended.
run() {
    status=0
    timeout 120 "${prefix[@]}" ./program "$1" >output 2>&1 || status=$?
}

# check COMPILER SANITIZER [MISTAKE WORDS]…
check() {
    local what="$1 -fsanitize=$2"
    command -v "$1" >/dev/null || return 0
    "$1" "-fsanitize=$2" -g -O1 -w -I "$here/../../include" "$here/coroutine_user.c" -o program \
        -L "$build" -lgoalloc -Wl,-rpath,"$build" -pthread 2>warnings || return 0 # no such runtime
    echo 'int main(void){return 0;}' >empty.c
    "$1" "-fsanitize=$2" empty.c -o empty 2>warnings
    "${prefix[@]}" ./empty >output 2>&1 || return 0 # nor does the kernel suit it
    checked=$((checked + 1))
    shift 2
    run none
    [ "$status" -eq 0 ] || complain "$what" "expected a correct program to run"
    [ "$(grep -v '^goalloc: ' output)" = "done" ] || complain "$what" "expected no warnings"
    while [ $# -gt 0 ]; do
        run "$1"
        grep -q "$2" output || complain "$what" "expected \"$1\" to be found"
        shift 2
    done
}

checked=0
for compiler in gcc clang; do
    check $compiler address overflow "AddressSanitizer: heap-buffer-overflow" \
        "use after return" "AddressSanitizer: stack-use-after"
    check $compiler thread race "ThreadSanitizer: data race"
    check $compiler leak
done
if [ "$checked" -eq 0 ]; then
    echo "no compiler has a sanitizer"
    exit 77
fi
