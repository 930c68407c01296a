# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
#
# What the cases of tests/programs share. `run` sources it twice over: once to read the table of
# cases, and once inside each case's own process, where the rest of it is used.
#
# A case is a line `program NAME SIZE SECONDS FUNCTION [ARG…]` in a file of cases/; the file's name
# is its family. Inside, it calls `both BODY`, which runs the shell function BODY two times, in two
# directories, and compares what it printed and how it ended. In a body `under CMD…` starts the
# program under test: without the library the first time, with it the second.
#
# Invariants
#  - Only what `under` or `server_start` starts is preloaded; bash, the clients and the tools that
#    compare are not, so that a broken library cannot vouch for itself.
#  - No case passes for nothing: the plain run must succeed and print something, and each program
#    must be seen to load the library.
#  - A server is stopped by its process id, in the order opposite to its start, however a case ends.

inputs=$here/inputs

# ---- the table of cases --------------------------------------------------------------------------

declare -a case_names=()
declare -A case_family=() case_size=() case_seconds=() case_body=()
family=

# program NAME SIZE SECONDS FUNCTION [ARG…]: declares a case; SIZE is quick or full, and SECONDS
# is the watchdog's. The words of FUNCTION and its arguments must not need quoting.
program() {
    local name=$1 size=$2 seconds=$3
    shift 3
    case_names+=("$name")
    case_family[$name]=$family
    case_size[$name]=$size
    case_seconds[$name]=$seconds
    case_body[$name]=$*
}

read_cases() {
    local file
    for file in "$here"/cases/*.sh; do
        family=$(basename "$file" .sh)
        # shellcheck source=/dev/null
        . "$file"
    done
}

# ---- inside a case: one side, and both -----------------------------------------------------------

side=       # plain or preload, inside a body
declare -a servers=()

# fail REASON…: ends the case; the reason is printed on the case's line.
fail() {
    printf '%s\n' "$*" >"$work/reason"
    exit 1
}

# maps_show_library PID: does the process have the library mapped?
maps_show_library() {
    grep -qF "$lib" "/proc/$1/maps"
}

# require_loadable PROGRAM: fails unless the dynamic linker, asked about this very program, lists
# the library. Catches static programs and those of another architecture or with a setuid bit.
require_loadable() {
    local path
    path=$(readlink -f "$(command -v "$1")") || fail "$1: no such program"
    [[ ! -u $path && ! -g $path ]] || fail "$1 is setuid: the library is not preloaded there"
    if [[ $(head -c 2 "$path") == '#!' ]]; then
        return 0 # a script: its interpreter inherits the preload
    fi
    LD_PRELOAD=$lib "$loader" --list "$path" 2>/dev/null | grep -F "$lib" >/dev/null ||
        fail "$1 would not load the library"
}

# under CMD…: the program under test. On the preload side it must be able to load the library.
under() {
    if [[ $side == plain ]]; then
        "$@"
    else
        require_loadable "$1"
        env LD_PRELOAD="$lib" GOALLOC="$PROGRAMS_OPTIONS" "$@"
    fi
}

# require_child PROGRAM: for what the program under test runs in its turn.
require_child() {
    [[ $side == plain ]] || require_loadable "$1"
}

# sees_library CMD…: CMD prints its own /proc/self/maps; on the preload side it has to end well and
# the library has to be in it.
sees_library() {
    local maps code=0
    [[ $side == preload ]] || return 0
    maps=$(under "$@") || code=$?
    ((code == 0)) || fail "$(basename "$1") ends with $(describe_status "$code") under the library"
    [[ $maps == *"$lib"* ]] || fail "$(basename "$1") runs without the library"
}

# run_side SIDE BODY [ARG…]: leaves SIDE.out, SIDE.err, and the directory SIDE that the body ran in.
# While it runs, that directory is called `run` on both sides: paths get into debug information.
run_side() {
    side=$1
    shift
    mkdir "$work/run"
    set +e
    (
        set -euo pipefail
        cd "$work/run"
        trap servers_stop EXIT
        "$@"
    ) >"$work/$side.out" 2>"$work/$side.err"
    status=$?
    set -e
    mv "$work/run" "$work/$side"
    [[ ! -e $work/reason ]] || exit 1
}

describe_status() {
    if (($1 > 128 && $1 < 193)); then
        printf 'killed by SIG%s' "$(kill -l $(($1 - 128)))"
    else
        printf 'status %s' "$1"
    fi
}

# both BODY [ARG…]: the heart of a case; see the top of the file.
both() {
    run_side plain "$@"
    ((status == 0)) || fail "without the library it already ends with $(describe_status "$status")"
    [[ -s $work/plain.out ]] || fail "the plain run printed nothing, so there is nothing to compare"
    run_side preload "$@"
    ((status == 0)) || fail "$(describe_status "$status") under the library, status 0 without"
    if grep -qE 'ld\.so: .*preload' "$work/preload.err"; then
        fail "the dynamic linker could not preload the library"
    fi
    # Only the library itself writes such a line, and a correct program never earns one.
    if grep -qE '^goalloc: ' "$work/preload.err"; then
        fail "the library complained: $(grep -m1 -E '^goalloc: ' "$work/preload.err")"
    fi
    diff -u "$work/plain.out" "$work/preload.out" >"$work/diff" || fail "the output differs"
    [[ ! -e $work/findings ]] || require_clean_audit
}

# ---- under gc=audit ------------------------------------------------------------------------------

# audit_prepare: each process says at its end what a collector would have freed wrongly; here, so
# that it stands in no program's output. A server under another user's name writes it, too.
audit_prepare() {
    : >"$work/findings"
    chmod 666 "$work/findings"
    PROGRAMS_OPTIONS+=,report=$work/findings
}

# audit_nothing: for a body in which malloc isn't the library's.
audit_nothing() {
    rm -f "$work/findings"
}

require_clean_audit() {
    local wrong
    grep -q '^goalloc: audit: ' "$work/findings" || fail "no process of it says what its audit found"
    wrong=$(sed -nE 's/^goalloc: audit: .*, ([0-9]+) of them freed.*/\1/p' "$work/findings" |
        awk '{ sum += $1 } END { print sum + 0 }')
    ((wrong == 0)) || fail "$wrong blocks that it freed later would have been freed under it"
}

# ---- helpers for bodies --------------------------------------------------------------------------

# wait_for SECONDS CMD…: tries CMD ten times a second until it succeeds.
wait_for() {
    local left=$(($1 * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        ((left-- > 0)) || return 1
        sleep 0.1
    done
}

port_answers() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# free_port: prints a loopback port nobody answers on. It lies below the range the kernel hands
# out to clients.
free_port() {
    local port
    while :; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        port_answers "$port" || break
    done
    printf '%s\n' "$port"
}

# server_start CMD…: starts a server that stays in the foreground; its pid is in $server_pid, what
# it says in the file server.log.
server_start() {
    local preload=()
    if [[ $side == preload ]]; then
        require_loadable "$1"
        preload=(env LD_PRELOAD="$lib" GOALLOC="$PROGRAMS_OPTIONS")
    fi
    "${preload[@]}" "$@" >>server.log 2>&1 </dev/null &
    server_pid=$!
    servers+=("$server_pid")
}

# descendants PID: prints the pids of its children, and theirs.
descendants() {
    local child
    # Words are what the file holds.
    # shellcheck disable=SC2013
    for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
        printf '%s\n' "$child"
        descendants "$child"
    done
}

# settled PID: the process has the library, or is no more. (One that has just been started may not
# have got that far.)
settled() {
    maps_show_library "$1" || ! running "$1"
}

answers_or_gone() {
    ! running "$server_pid" || "$@"
}

# server_ready CMD…: waits until CMD succeeds, then looks at the maps of the server started last
# and of each of its processes.
server_ready() {
    local pid
    wait_for 60 answers_or_gone "$@" || server_bad "the server does not answer"
    running "$server_pid" || server_bad "the server ended as soon as it had started"
    [[ $side == preload ]] || return 0
    maps_show_library "$server_pid" || server_bad "the server runs without the library"
    for pid in $(descendants "$server_pid"); do
        wait_for 2 settled "$pid" || server_bad "server process $pid runs without the library"
    done
}

server_bad() {
    tail -n 20 server.log >&2
    fail "$@"
}

# running PID: neither gone nor a zombie.
running() {
    [[ -e /proc/$1/status ]] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

# server_stop [SIGNAL]: asks the server started last to stop, and fails unless it does so within
# fifteen seconds and ends well.
server_stop() {
    local pid=${servers[-1]} left=150 code=0
    unset 'servers[-1]'
    kill -"${1:-TERM}" "$pid"
    while running "$pid"; do
        ((left-- > 0)) || {
            kill -KILL "$pid"
            server_bad "the server did not stop within 15 s"
        }
        sleep 0.1
    done
    wait "$pid" || code=$?
    ((code == 0 || code == 128 + 15)) || server_bad "the server ended with $(describe_status $code)"
}

# servers_stop: whatever still runs when a body ends early.
servers_stop() {
    local pid child
    for pid in "${servers[@]}"; do
        for child in $(descendants "$pid") "$pid"; do
            kill -TERM "$child" 2>/dev/null || true
        done
    done
}

# http_get PORT PATH: prints the body.
http_get() {
    local connection
    exec {connection}<>"/dev/tcp/127.0.0.1/$1"
    printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&"$connection"
    sed '1,/^\r$/d' <&"$connection"
    exec {connection}>&-
}

# digest: a short name for what comes in; keeps logs readable where the output is large.
digest() {
    sha256sum | cut -c 1-32
}
