#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage: check.sh SOURCE-ROOT
#
# What the public headers let pass, and what they don't: good.c compiles without a warning as C and
# C++, by gcc and clang; each line of bad.txt, put into a function, is an error or a warning.
set -uo pipefail

top=$1
warnings=(-Wall -Wextra -Wconversion -Wshadow)
failures=0

fail() {
    echo "FAIL $*"
    failures=$((failures + 1))
}

compile() {
    "$@" "${warnings[@]}" -Werror -I "$top/include" -fsyntax-only
}

for compiler in 'gcc -std=c11' 'gcc -std=gnu17' 'clang -std=c11' 'g++ -x c++ -std=c++11' \
    'g++ -x c++ -std=c++17' 'clang++ -x c++ -std=c++11' 'clang++ -x c++ -std=c++17'; do
    command -v "${compiler%% *}" >/dev/null || continue
    # shellcheck disable=SC2086 # words
    compile $compiler "$top/tests/snippets/good.c" || fail "$compiler: good.c has warnings"
done

# Those that good.c does without: a struct and the function that fills it have one name there.
warnings=(-Wall -Wextra -Wconversion)
for compiler in 'gcc -x c -std=c11' 'g++ -x c++ -std=c++11'; do
    # shellcheck disable=SC2086 # words
    printf '%s\n' '#include <goalloc/gc.h>' '#include <goalloc/goalloc.h>' |
        compile $compiler - || fail "$compiler: gc.h or goalloc.h has warnings"
done
warnings+=(-Wshadow)

program() {
    printf '%s\n' '#include <goalloc/coro.h>' 'struct point { int x, y; };' \
        'void two(int a, const char *b); void real(double a); void whole(struct point a);' \
        'struct point gives(int a); void seven(int, int, int, int, int, int, int);' \
        'typedef ga_chan(int) ints; typedef ga_chan(struct point) points;' \
        'int use(ints c, points p, int *i, long *l, struct point point);' \
        'int use(ints c, points p, int *i, long *l, struct point point)' \
        "{ (void)c; (void)p; (void)i; (void)l; (void)point; $1; return 0; }"
}

while IFS= read -r line; do
    case $line in '' | '#'*) continue ;; esac
    for compiler in 'gcc -x c -std=c11' 'clang -x c -std=c11' 'g++ -x c++ -std=c++11' \
        'clang++ -x c++ -std=c++11'; do
        command -v "${compiler%% *}" >/dev/null || continue
        # shellcheck disable=SC2086 # words
        if program "$line" | compile $compiler - >/dev/null 2>&1; then
            fail "$compiler lets pass: $line"
        fi
    done
done <"$top/tests/snippets/bad.txt"

[ "$failures" -eq 0 ]
