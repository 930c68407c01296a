# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# Ruby: calls malloc_usable_size, compacts its heap, and has stacks of its own for fibers.

ruby_churn() {
    sees_library ruby -e 'puts File.read("/proc/self/maps")'
    under ruby "$@" "$inputs/churn.rb"
}

program ruby-churn quick 180 both ruby_churn
program ruby-mjit full 300 both ruby_churn --jit
