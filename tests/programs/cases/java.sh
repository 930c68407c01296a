# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# Java: many threads, arenas that the just-in-time compiler frees whole, direct buffers.

java_churn() {
    under javac -J-Xmx256m -d . "$inputs/Churn.java"
    digest <Churn.class
    under java -Xmx512m "$@" -cp . Churn "$lib" 2>java.err
    cat java.err >&2
    [[ $side == plain ]] || grep -q '^loaded ' java.err || fail "java runs without the library"
}

program java-churn full 240 both java_churn
program java-parallel full 240 both java_churn -XX:+UseParallelGC -XX:TieredStopAtLevel=1
