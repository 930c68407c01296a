#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage: options_are_checked.sh BUILD-DIRECTORY
#
# GOALLOC holds options, comma-separated. A misspelt one prints one line with the nearest name and
# the program goes on; "help" lists all; "stats" prints a summary at exit; nothing prints nothing.
set -euo pipefail

library=$(readlink -f "$1")/libgoalloc.so
documents=$(dirname "$(readlink -f "$0")")/../../docs
options_table=$(dirname "$(readlink -f "$0")")/../../src/options/options.c

fail() {
    echo "$*" >&2
    exit 1
}

# What a program that does nothing prints with GOALLOC=$1.
printed() {
    GOALLOC=$1 LD_PRELOAD=$library /bin/true 2>&1 ||
        fail "expected the program to go on with GOALLOC=$1"
}

expect_lines() {
    local lines
    lines=$(printed "$1" | wc -l)
    [ "$lines" -eq "$2" ] || fail "expected GOALLOC=$1 to print $2 lines, it printed $lines"
}

# expect_text OPTIONS TEXT…: all of TEXT in what is printed.
expect_text() {
    local text output
    output=$(printed "$1")
    for text in "${@:2}"; do
        grep -qF -- "$text" <<<"$output" ||
            fail "expected GOALLOC=$1 to print \"$text\", got: $output"
    done
}

expect_lines '' 0
expect_lines ',,' 0
expect_lines 'stats=off' 0
expect_lines 'stast' 1
expect_text 'stast' '"stast"' 'did you mean "stats"?' 'goalloc: '
expect_text 'hlep' '"hlep"' 'did you mean "help"?'
expect_lines 'stast,hlep' 2
expect_lines 'stats=perhaps' 1
expect_text 'stats=perhaps' 'stats' '"perhaps"'
expect_lines "$(printf 'x%.0s' {1..3000})" 1

expect_text 'memlimit=much' 'memlimit' '"much"' 'MiB'
expect_lines 'memlimit=cgroup,thp=never' 0
expect_text 'stack=10' '"10"' '16KiB to 1GiB'
expect_text 'stack=2GiB' '16KiB to 1GiB'
expect_lines 'stack=16KiB' 0
expect_text 'thp=perhaps' 'auto, always or never'

mapfile -t names < <(sed -nE 's/^    \{"([a-z_]+)", OPTION_.*/\1/p' "$options_table")
[ ${#names[@]} -ge 2 ] || fail "expected to find the options' names in $options_table"
expect_text 'help' "${names[@]}"
expect_text 'hlep,help' 'did you mean' "${names[@]}"

expect_text 'stats' live cached 'free' mapped resident fragmentation 'system calls' threads \
    'size class' spans
expect_text 'stast,stats' 'did you mean' 'size class'
expect_lines 'stats=json' 1
expect_text 'stats=json' '{"goalloc": ' '/memory/classes/total:bytes'
expect_text 'stats=jsn' 'stats' '"jsn"' 'on, off or json'

# docs/options.md and the man page have every option of the table, in the table's words.
expect_documented() {
    local name=$1 help=$2
    grep -qxF "| \`$name\` | $help |" "$documents/options.md" ||
        fail "expected docs/options.md to have the row | \`$name\` | $help |"
    grep -A1 -xF ".B $name" "$documents/goalloc.7" | grep -qxF "$help" ||
        fail "expected docs/goalloc.7 to have an item for $name: $help"
}

helped=$(printed help | sed -n 's/^goalloc:   //p')
[ "$(wc -l <<<"$helped")" -eq ${#names[@]} ] || fail "expected a line of help for each option"
while read -r name help; do
    expect_documented "$name" "$help"
done <<<"$helped"
