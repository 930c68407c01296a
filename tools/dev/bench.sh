# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# ./dev bench: builds the library and the benchmarks, installs what they are compared with, and
# hands over to bench/run, which knows the options.

verb_bench() {
    need "to run the benchmarks" python3:python3
    case " $* " in
    '  ' | *' -h '* | *' --help '*) exec bench/run --help ;;
    esac
    case $1 in
    coro | gc)
        need_bench build
        need_bench go
        build_bench
        exec "bench/$1/run" "${@:2}"
        ;;
    esac
    # A misspelt option is answered before anything is built or installed.
    bench/run "$@" --check || exit $?
    prepare_bench
    case $1 in
    real | all)
        (need_bench real) || say "programs that could not be installed are left out"
        ;;
    esac
    exec bench/run "$@"
}

prepare_bench() {
    need_bench build
    need_bench peers
    build_library
    build_bench
}

# The packages of bench/packages.txt that are for the moment named.
need_bench() {
    local pairs=()
    mapfile -t pairs < <(awk -v when="$1" '$1 == when { print $2 ":" $3 }' bench/packages.txt)
    need "for the benchmarks" "${pairs[@]}"
}

# Not the whole directory: the library under test is the release build's.
build_bench() {
    build_variant bench benchmarks
}
