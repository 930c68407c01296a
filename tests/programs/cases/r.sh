# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# R: vectors that come and go by the megabyte, and a linear algebra library with threads.

r_churn() {
    require_child "$(R RHOME)/bin/exec/R"
    # R is started by a script and two programs; this shows that the preload got through.
    sees_library Rscript --vanilla -e 'cat(readLines("/proc/self/maps"), sep = "\n")'
    under Rscript --vanilla "$inputs/churn.R"
}

program r-churn full 180 both r_churn
