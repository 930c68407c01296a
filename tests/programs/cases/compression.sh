# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# Compressors: a few large blocks a thread, allocated and freed anew for each piece.

compression_data() {
    awk -v lines="$1" 'BEGIN {
        for (i = 0; i < lines; i++) {
            state = (state * 69069 + 12345) % 4294967296
            printf "%d %s %x ", i, state % 7 ? "usual" : "rare", state
            printf "record %d\n", int(state / 65536)
        }
    }'
}

# The compressed form is compared as well: it depends on the options alone.
round_trip() {
    local lines=$1
    shift
    compression_data "$lines" >data
    digest <data
    under "$@" -c <data >packed
    digest <packed
    under "$1" -d -c <packed | digest
}

program xz-threads quick 120 both round_trip 200000 xz -T2 --block-size=1MiB -3
program zstd-threads quick 60 both round_trip 400000 zstd -q -T2 -B512K -9
program xz-best full 300 both round_trip 300000 xz -T2 --block-size=4MiB -9e
program zstd-long full 200 both round_trip 300000 zstd -q -T4 -13 --long=24
program pigz-threads full 120 both round_trip 600000 pigz -n -p 4 -b 128
