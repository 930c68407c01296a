# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# ./dev bench: bench/run with a fresh release build of the library.

verb_bench() {
    case ${1:-} in
    -h | --help) ;;
    *) build_variant release ;;
    esac
    exec bench/run "$@"
}
