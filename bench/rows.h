// SPDX-License-Identifier: MIT
//
// The list of rows: every workload file adds its own to it.
//
// Names are group/kind/argument…; the group (micro, threaded, shape, scale) is what the harness
// takes means over. Rows whose work is the same on each thread and shared by none exist twice, as
// …/t1 and …/tN, so that the gain of the second thread can be computed.

#ifndef GA_BENCH_ROWS_H
#define GA_BENCH_ROWS_H

#include "shim.h"

// Adds a copy of `row`. Ends the process when the table is full (a mistake of ours).
void rows_add(const struct bench_row *row);

const struct bench_row *rows_all(unsigned *count);

// Registers everything. `threads` is what the threaded rows use, 2 or more.
void rows_register(unsigned threads);

// One for each workload file.
void micro_pair_rows(void);
void micro_batch_rows(void);
void micro_random_rows(void);
void micro_realloc_rows(void);
void micro_calloc_rows(void);
void micro_string_rows(void);
void micro_large_rows(void);
void threaded_oneway_rows(unsigned threads);
void threaded_ring_rows(unsigned threads);
void threaded_server_rows(unsigned threads);
void threaded_exchange_rows(unsigned threads);
void threaded_sharing_rows(unsigned threads);
void threaded_churn_rows(unsigned threads);
void threaded_independent_rows(unsigned threads);
void shape_factor_rows(void);
void shape_logic_rows(void);
void shape_nbody_rows(void);
void shape_parser_rows(void);
void shape_lru_rows(void);
void shape_json_rows(void);
void shape_torture_rows(void);

#endif
