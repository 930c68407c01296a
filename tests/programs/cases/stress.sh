# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# stress-ng checks what it wrote into each block; here only how it ends is compared.

stress_ng() {
    under stress-ng --verify --metrics-brief --timeout 60 --seed 7 --oomable "$@" >log 2>&1 || {
        cat log >&2
        return 1
    }
    cat log >&2
    ! grep -E 'fail|error:' log
    grep -o 'successful run completed' log
    # Each stressor that did anything; how much it did is a matter of time.
    awk '$2 == "metrc:" && $5 ~ /^[0-9]+$/ && $5 > 0 { print $4 }' log | sort
}

program stress-malloc full 300 both stress_ng --malloc 2 --malloc-ops 600000
program stress-malloc-threads full 300 both stress_ng --malloc 2 --malloc-pthreads 4 \
    --malloc-ops 30000 --malloc-max 2000 --malloc-bytes 64M
program stress-malloc-zero full 300 both stress_ng --malloc 2 --malloc-ops 60000 --malloc-zerofree \
    --malloc-touch --malloc-thresh 128K
program stress-processes full 300 both stress_ng --fork 2 --fork-ops 4000 \
    --vfork 1 --vfork-ops 4000 --pthread 2 --pthread-ops 4000 --clone 1 --clone-ops 500
program stress-structures full 300 both stress_ng --tree 1 --tree-ops 2 --list 1 --list-ops 200 \
    --tsearch 1 --tsearch-ops 20 --hsearch 1 --hsearch-ops 200 --zlib 1 --zlib-ops 100 \
    --bigheap 1 --bigheap-ops 8000 --dynlib 1 --dynlib-ops 2000
