#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage: static_cxx_programs_throw.sh BUILD-DIRECTORY
#
# A C++ program that is linked statically, and takes nothing from the C++ library but new, catches
# bad_alloc where memory is out.
set -euo pipefail

library=$(readlink -f "$1")/libgoalloc.a
headers=$(dirname "$(readlink -f "$0")")/../../include
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cd "$root"

cat >throws.cc <<'CC'
#include <goalloc/goalloc.h>
#include <new>

int main()
{
    volatile std::size_t absurd = static_cast<std::size_t>(-1) / 4;
    struct ga_stats before, after;
    ga_stats(&before, sizeof(before));
    char *volatile block = new char[5000000];
    block[4999999] = 1;
    ga_stats(&after, sizeof(after));
    if (after.large < before.large + 5000000)
        return 1;
    delete[] block;
    try {
        block = new char[absurd];
    } catch (const std::bad_alloc &) {
        return 0;
    }
    return 2;
}
CC

# run LINK-ARGUMENT…
run() {
    local status=0
    c++ -O1 -I "$headers" throws.cc "$library" "$@" -pthread -o program 2>warnings || {
        cat warnings >&2
        exit 1
    }
    ./program >output 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        echo "expected bad_alloc to be caught with $*; status $status, $(cat output)" >&2
        exit 1
    fi
}

run -static-libstdc++
run -static-libstdc++ -static-libgcc
run -static
run -static-pie
