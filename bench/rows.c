// SPDX-License-Identifier: MIT
//
// The list of rows. Place: main.c fills it once and walks it; single-threaded.

#include <stdio.h>
#include <stdlib.h>

#include "rows.h"

enum { ROWS_MAX = 128 };

static struct bench_row rows[ROWS_MAX];
static unsigned nrows;

void rows_add(const struct bench_row *row)
{
    if (nrows == ROWS_MAX) {
        fputs("ga_bench: more rows than ROWS_MAX\n", stderr);
        abort();
    }
    rows[nrows++] = *row;
}

const struct bench_row *rows_all(unsigned *count)
{
    *count = nrows;
    return rows;
}

void rows_register(unsigned threads)
{
    micro_pair_rows();
    micro_batch_rows();
    micro_random_rows();
    micro_realloc_rows();
    micro_calloc_rows();
    micro_string_rows();
    micro_large_rows();
    threaded_oneway_rows(threads);
    threaded_ring_rows(threads);
    threaded_server_rows(threads);
    threaded_exchange_rows(threads);
    threaded_sharing_rows(threads);
    threaded_churn_rows(threads);
    threaded_independent_rows(threads);
    shape_factor_rows();
    shape_logic_rows();
    shape_nbody_rows();
    shape_parser_rows();
    shape_lru_rows();
    shape_json_rows();
    shape_torture_rows();
}
