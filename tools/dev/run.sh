# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# ./dev run: a command under the allocator, or the demonstration.

# shellcheck disable=SC2154 # dev sets called_from and repository
verb_run() {
    [ "${1:-}" != -- ] || shift
    build_library
    if [ $# -eq 0 ]; then
        need "for the demonstration" python3:/usr/bin/python3
        exec /usr/bin/python3 tools/demo.py build/libgoalloc.so
    fi
    cd "$called_from" || exit
    export LD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}$repository/build/libgoalloc.so"
    exec "$@"
}
