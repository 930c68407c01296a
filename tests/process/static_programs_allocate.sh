#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage: static_programs_allocate.sh BUILD-DIRECTORY
#
# Programs linked with -static against libgoalloc.a run on our malloc: C with threads and fork, C++ with
# threads, containers and streams.
set -euo pipefail

library=$(readlink -f "$1")/libgoalloc.a
headers=$(dirname "$(readlink -f "$0")")/../../include
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cd "$root"

cat >program.c <<'C'
#include <goalloc/goalloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *thread_body(void *block)
{
    free(block);
    return malloc(5000);
}

int main(void)
{
    struct ga_stats stats;
    pthread_t thread;
    void *block = malloc(4 << 20), *other;
    memset(block, 1, 4 << 20);
    ga_stats(&stats, sizeof(stats));
    if (stats.large < 4 << 20)
        return 1;
    pthread_create(&thread, NULL, thread_body, block);
    pthread_join(thread, &other);
    free(other);
    free(malloc(100));
    ga_stats(&stats, sizeof(stats));
    if (stats.threads < 1)
        return 2; /* no thread has a cache */
    pid_t child = fork();
    if (child == 0) {
        free(strdup("a text"));
        FILE *file = fopen("/dev/null", "w");
        exit(file && fclose(file) == 0 ? 0 : 1);
    }
    int status;
    return waitpid(child, &status, 0) == child ? status : 1;
}
C

cat >library.cc <<'CC'
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

static int fill(int seed)
{
    std::map<std::string, std::vector<int>> words;
    for (int i = 0; i < 5000; i++)
        words[std::to_string(i % 700 + seed)].push_back(i);
    return static_cast<int>(words.size());
}

int main()
{
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([i] { fill(i); });
    for (auto &thread : threads)
        thread.join();
    std::cout << fill(0) << std::endl;
    return fill(1) == 700 ? 0 : 1;
}
CC

# run COMPILER SOURCE LINK-ARGUMENT…
run() {
    local status=0
    "$1" -O1 -I "$headers" "$2" "$library" "${@:3}" -pthread -o program
    ./program >output 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        echo "expected $2, linked with ${*:3} by $1, to end well; status $status, $(cat output)" >&2
        exit 1
    fi
}

run cc program.c -static
run c++ library.cc -static
run c++ library.cc -static-libstdc++ -static-libgcc
run c++ library.cc -static-pie
