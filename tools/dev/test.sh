# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# ./dev test: runs suites, tallies each, and ends with one line `N passed, N failed`.

# One entry a suite that ran: "name|passed|failed|skipped|seconds", and what its runner said last.
results=()
closing=()

verb_test() {
    case ${1:-} in
    -*) die "test: no option \"$1\"" ;;
    programs)
        shift
        programs_suite 7200 "$@"
        ;;
    stress) meson_suite "stress" debug 1800 --suite stress ;;
    bench) bench_suite 600 ;;
    soak) soak_suite "${2:-10}" ;;
    fuzz) fuzz_suite "${2:-30}" ;;
    '') all_quick_suites ;;
    *) matching_suites "$@" ;;
    esac
    report
}

all_quick_suites() {
    meson_suite "release" release 600 --no-suite stress --no-suite soak --no-suite long
    meson_suite "debug" debug 600 --no-suite stress --no-suite soak --no-suite long
    meson_suite "ubsan" ubsan 600 --no-suite stress --no-suite soak --no-suite long
    meson_suite "asan" asan 600 --no-suite stress --no-suite soak --no-suite long
    meson_suite "tsan" tsan 600 --no-suite stress --no-suite soak --no-suite long
    # On an aarch64 machine the other suites have shown it already.
    [ "$(uname -m)" = aarch64 ] || meson_suite "aarch64" aarch64 600 --suite unit
    GOALLOC_STRESS_SECONDS=15 meson_suite "stress" debug 600 --suite stress
    soak_suite 1
    fuzz_suite 15
    programs_suite 1200 --quick
    bench_suite 600
}

# meson_suite NAME VARIANT SECONDS MESON-ARGUMENT…
meson_suite() {
    local name=$1 variant=$2 limit=$3 start=$SECONDS status=0 dir
    shift 3
    say "$name: building"
    if ! (build_variant "$variant"); then
        record "$name" 0 1 0 $((SECONDS - start)) "the build failed"
        return
    fi
    dir=$(build_dir "$variant")
    rm -f "$dir/meson-logs/testlog.json"
    say "$name: testing"
    run_meson "$variant" "$limit" "$dir" "$@" 2>&1 | tee "$dir/test.log" ||
        status=${PIPESTATUS[0]}
    tally_meson "$name" "$dir" $((SECONDS - start)) "$status"
}

# ThreadSanitizer maps its shadow at fixed addresses, which needs address randomisation off.
run_meson() {
    local variant=$1 limit=$2 dir=$3 prefix=()
    shift 3
    if [ "$variant" = tsan ] && setarch "$(uname -m)" -R true 2>/dev/null; then
        prefix=(setarch "$(uname -m)" -R)
    fi
    timeout --kill-after=20 "$limit" "${prefix[@]}" meson test -C "$dir" --no-rebuild \
        --print-errorlogs "$@" </dev/null
}

# tally_meson NAME DIRECTORY SECONDS EXIT-STATUS
tally_meson() {
    local passed failed skipped culprits last
    read -r passed failed skipped culprits < <(python3 tools/dev/tally.py "$2/meson-logs/testlog.json")
    last=$(sed -n '/^Ok: /,/^Timeout: /p' "$2/test.log" | tr -s ' \n' ' ')
    record "$1" "$passed" "$(failures "$failed" "$4")" "$skipped" "$3" \
        "$last$(ending "$failed" "$4")${culprits:+ $culprits}"
}

# failures COUNT EXIT-STATUS: a runner that ends badly (124: out of time) counts as one failure,
# whatever its tests said.
failures() {
    if [ "$1" -eq 0 ] && [ "$2" -ne 0 ]; then echo 1; else echo "$1"; fi
}

# ending FAILED EXIT-STATUS: what to add to the runner's closing line.
ending() {
    case $2 in
    0) ;;
    124 | 137) echo " (the suite ran out of time)" ;;
    *) [ "$1" -gt 0 ] || echo " (exit status $2)" ;;
    esac
}

# programs_suite SECONDS ARGUMENT…: the runner under tests/programs, which closes with a line
# `N passed, N failed` of its own, and perhaps one `N skipped`.
programs_suite() {
    local limit=$1 start=$SECONDS
    shift
    say "programs: building"
    if ! (build_library); then
        record programs 0 1 0 $((SECONDS - start)) "the build failed"
        return
    fi
    runner_suite programs "$limit" tests/programs/run "$@"
}

# soak_suite MINUTES: in the debug build, where mapping calls fail too.
soak_suite() {
    GOALLOC_STRESS_SECONDS=$(($1 * 60)) \
        meson_suite "soak" debug $(($1 * 60 + 600)) --suite soak
}

# fuzz_suite SECONDS: each target for so long, from the inputs that are kept.
fuzz_suite() {
    local start=$SECONDS
    say "fuzz: building"
    if ! (build_variant fuzz tests/fuzz/fuzz_calls tests/fuzz/fuzz_options); then
        record fuzz 0 1 0 $((SECONDS - start)) "the build failed"
        return
    fi
    runner_suite fuzz $(($1 * 3 + 300)) tests/fuzz/run build-fuzz "$1"
}

# Whether every benchmark still gives a figure; no figure is judged.
bench_suite() {
    local limit=$1 start=$SECONDS
    source tools/dev/bench.sh
    say "bench: building"
    if ! (prepare_bench && need_bench go); then
        record bench 0 1 0 $((SECONDS - start)) "the benchmarks can't be run"
        return
    fi
    runner_suite bench "$limit" bench/smoke
}

# runner_suite NAME SECONDS COMMAND…: a runner that closes with a line `N passed, N failed` of its
# own, perhaps followed by `, N skipped`.
runner_suite() {
    local name=$1 limit=$2 start=$SECONDS log=build/$1.log last status=0
    shift 2
    mkdir -p build
    say "$name: testing"
    timeout --kill-after=20 "$limit" "$@" </dev/null 2>&1 | tee "$log" || status=${PIPESTATUS[0]}
    last=$(grep -E '[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1) || last=
    local passed failed skipped
    passed=$(count passed "$last")
    failed=$(count failed "$last")
    skipped=$(count skipped "$(grep -E '^[0-9]+ skipped' "$log")")
    record "$name" "$passed" "$(failures "$failed" "$status")" "$skipped" \
        $((SECONDS - start)) "$last$(ending "$failed" "$status")"
}

# count WORD LINE: the number before WORD in LINE, 0 if it isn't there.
count() {
    local number
    number=$(grep -oE "[0-9]+ $1" <<<"$2" | tail -n 1) || true
    echo "${number%% *}" | grep . || echo 0
}

# Tests whose program's name holds the pattern, and programs with a test function of that name.
matching_suites() {
    local pattern
    for pattern in "$@"; do
        matching_suite "$pattern" release
        matching_suite "$pattern" debug
    done
}

matching_suite() {
    local pattern=$1 variant=$2 dir programs
    (build_variant "$variant") || {
        record "$variant" 0 1 0 0 "the build failed"
        return
    }
    dir=$(build_dir "$variant")
    mapfile -t programs < <(programs_named "$pattern" "$dir")
    if [ ${#programs[@]} -gt 0 ]; then
        meson_suite "$variant: $pattern" "$variant" 1800 "${programs[@]}"
        return
    fi
    mapfile -t programs < <(programs_holding "$pattern" "$dir")
    if [ ${#programs[@]} -gt 0 ]; then
        GOALLOC_TEST_FILTER="*$pattern*" \
            meson_suite "$variant: $pattern" "$variant" 1800 "${programs[@]}"
    fi
}

all_programs() {
    meson test -C "$1" --list --no-rebuild 2>/dev/null | sed 's,.* / ,,' | sort -u
}

programs_named() {
    all_programs "$2" | grep -F -- "$1" || true
}

programs_holding() {
    local known
    known=$(all_programs "$2")
    { grep -lE "\b[a-z0-9_]*$1[a-z0-9_]*\(void \*\*" tests/test_*.c || true; } |
        sed 's,tests/test_,,; s,\.c$,,' | grep -Fx -- "$known" || true
}

record() {
    if [ $(($2 + $3)) -eq 0 ]; then
        results+=("$1|0|1|$4|$5")
        closing+=("$1: ran no test. $6")
    else
        results+=("$1|$2|$3|$4|$5")
        closing+=("$1: $6")
    fi
}

report() {
    local row name passed failed skipped seconds all_passed=0 all_failed=0
    if [ ${#results[@]} -eq 0 ]; then
        printf 'no test matches\n\n0 passed, 0 failed\n'
        return 1
    fi
    printf '\n'
    printf '%s\n' "${closing[@]}"
    printf '\n%-28s %7s %7s %8s %8s\n' suite passed failed skipped seconds
    for row in "${results[@]}"; do
        IFS='|' read -r name passed failed skipped seconds <<<"$row"
        printf '%-28s %7d %7d %8d %8d\n' "$name" "$passed" "$failed" "$skipped" "$seconds"
        all_passed=$((all_passed + passed))
        all_failed=$((all_failed + failed))
    done
    printf '\n%d passed, %d failed\n' "$all_passed" "$all_failed"
    [ "$all_failed" -eq 0 ] && [ "$all_passed" -gt 0 ]
}
