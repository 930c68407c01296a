# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# Node: V8 reserves large address ranges, and frees buffers on other threads than made them.

node_churn() {
    sees_library node -p 'fs.readFileSync("/proc/self/maps").toString()'
    under node "$@" "$inputs/churn.js"
}

program node-churn quick 180 both node_churn
program node-gc full 300 both node_churn --expose-gc --gc-interval=5000 --max-semi-space-size=1
