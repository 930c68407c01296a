// SPDX-License-Identifier: MIT
//
// This process's memory, as the kernel counts it.

#ifndef GA_BENCH_RSS_H
#define GA_BENCH_RSS_H

#include <stdint.h>

struct rss {
    uint64_t rss_kb;  // resident now, counted exactly (page tables are walked)
    uint64_t lazy_kb; // of it: given back with MADV_FREE, the kernel may take it when it needs it
    uint64_t peak_kb; // most that was ever resident
    uint64_t maps;    // mappings the process has
};

// Reads all of it without using the heap. What can't be read is 0.
struct rss rss_read(void);

// What is resident now: one read of a short file, exact to some dozens of pages a thread.
uint64_t rss_now_kb(void);

#endif
