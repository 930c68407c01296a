#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage: check.sh SOURCE-ROOT
#
# Has spin try every interleaving of the models in this folder, on small bounds; then each model with
# its BREAK, a mistake that it has to find. Without spin the test is skipped.
set -uo pipefail

models=$(realpath "$1")/tests/model
failures=0
command -v spin >/dev/null && command -v gcc >/dev/null || {
    echo "spin isn't installed"
    exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit

# explore MODEL DEFINE…: prints what spin has to say.
explore() {
    local model=$1
    shift
    rm -f pan*
    spin -a "$@" "$models/$model.pml" >/dev/null && gcc -O1 -DSAFETY -o pan pan.c 2>&1 &&
        ./pan -m100000 2>&1
}

expect() {
    local errors=$1 found
    shift
    found=$(explore "$@")
    if ! grep -q "errors: $errors\$" <<<"$found" || grep -q "max search depth too small" <<<"$found"
    then
        printf 'FAIL %s: expected %s errors\n%s\n' "$*" "$errors" "$(head -n 20 <<<"$found")"
        failures=$((failures + 1))
    fi
}

expect 0 channel -DCAPACITY=0 -DEACH=2
expect 0 channel -DCAPACITY=1 -DEACH=2
expect 0 channel -DCAPACITY=2 -DSENDERS=3
expect 1 channel -DBREAK
expect 0 select
expect 0 select -DSELECTS=1 -DSENDERS=1
expect 1 select -DBREAK
expect 0 mutex
expect 0 mutex -DCANCEL
expect 0 mutex -DROUNDS=2 -DACTORS=2
expect 1 mutex -DBREAK
expect 0 run_next
expect 0 run_next -DWAITERS=5 -DTHIEVES=1
expect 1 run_next -DBREAK
expect 0 alone
expect 0 alone -DWAITERS=5
expect 1 alone -DBREAK_BARRIER
expect 1 alone -DBREAK_WAIT
expect 0 crowd -DEVENTS=3
expect 0 crowd -DENDS
expect 1 crowd -DBREAK_MONITOR
expect 1 crowd -DBREAK_LAST
expect 0 barrier
expect 0 barrier -DOWN
expect 0 barrier -DBREAK_OLD
expect 1 barrier -DOWN -DBREAK_OLD
expect 1 barrier -DBREAK_NEW
expect 1 barrier -DBREAK_BARRIER
expect 1 barrier -DBREAK_ORDER
expect 1 barrier -DBREAK_COPY
expect 1 barrier -DBREAK_FLUSH
expect 1 barrier -DBREAK_BLACK
expect 0 marking -DVISITS=4
expect 0 marking
expect 1 marking -DBREAK_QUEUED
expect 1 marking -DBREAK_DONE

[ "$failures" -eq 0 ]
