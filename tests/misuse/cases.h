// SPDX-License-Identifier: MIT
/* cases.h: the functions of table.c's rows. */
#ifndef GOALLOC_MISUSE_CASES_H
#define GOALLOC_MISUSE_CASES_H

#include "misuse.h"

/* --- frees.c --- */
void double_free_small(bool wrong);
void double_free_medium(bool wrong);
void double_free_pages(bool wrong);
void double_free_large(bool wrong);
void double_free_empty(bool wrong);
void double_free_aligned(bool wrong);
void double_free_huge_alignment(bool wrong);
void double_free_calloc(bool wrong);
void double_free_apart(bool wrong);
void double_free_apart_pages(bool wrong);
void double_free_apart_trimmed(bool wrong);
void double_free_much_later(bool wrong);
void double_free_other_thread(bool wrong);
void double_free_both_threads(bool wrong);
void double_free_after_realloc(bool wrong);
void double_free_by_realloc(bool wrong);
void double_delete(bool wrong);
void free_stack(bool wrong);
void free_static(bool wrong);
void free_literal(bool wrong);
void free_mapping(bool wrong);
void free_number(bool wrong);
void free_beyond_heap(bool wrong);
void free_untouched_heap(bool wrong);
void free_misaligned_small(bool wrong);
void free_misaligned_by_eight(bool wrong);
void free_misaligned_medium(bool wrong);
void free_misaligned_pages(bool wrong);
void free_misaligned_large(bool wrong);
void free_interior_small(bool wrong);
void free_interior_small_trimmed(bool wrong);
void free_interior_medium(bool wrong);
void free_interior_pages(bool wrong);
void free_interior_large(bool wrong);
void free_interior_aligned(bool wrong);
void free_before_the_start(bool wrong);
void free_past_the_end_large(bool wrong);
void realloc_static(bool wrong);
void realloc_misaligned(bool wrong);
void realloc_interior_small(bool wrong);
void realloc_interior_large(bool wrong);
void realloc_freed_small(bool wrong);
void realloc_freed_pages(bool wrong);
void realloc_freed_large(bool wrong);
void usable_size_of_stack(bool wrong);
void usable_size_of_interior_small(bool wrong);
void usable_size_of_interior_large(bool wrong);
void usable_size_of_freed_small(bool wrong);
void usable_size_of_freed_large(bool wrong);
void usable_size_of_freed_earlier(bool wrong);
void free_sized_too_large(bool wrong);
void free_sized_too_small(bool wrong);
void free_sized_too_large_pages(bool wrong);
void free_sized_too_large_large(bool wrong);
void free_sized_stack(bool wrong);
void free_aligned_sized_too_large(bool wrong);
void delete_sized_too_large(bool wrong);
void delete_sized_too_small(bool wrong);
void delete_array_sized_too_large(bool wrong);

/* --- accesses.c --- */
void overflow_by_one(bool wrong);
void overflow_by_a_zero(bool wrong);
void overflow_by_one_odd(bool wrong);
void overflow_by_eight(bool wrong);
void overflow_into_neighbours(bool wrong);
void overflow_empty(bool wrong);
void overflow_medium(bool wrong);
void overflow_pages(bool wrong);
void overflow_large(bool wrong);
void overflow_large_whole_pages(bool wrong);
void overflow_aligned(bool wrong);
void overflow_page_aligned(bool wrong);
void overflow_calloc(bool wrong);
void overflow_grown(bool wrong);
void overflow_shrunk(bool wrong);
void overflow_freed_by_other_thread(bool wrong);
void overflow_found_by_realloc(bool wrong);
void overflow_over_the_canary(bool wrong);
void read_past_the_end(bool wrong);
void read_past_the_end_large(bool wrong);
void underflow_small(bool wrong);
void underflow_pages(bool wrong);
void underflow_large(bool wrong);
void write_after_free_trimmed(bool wrong);
void write_after_free_at_exit(bool wrong);
void write_after_free_reused(bool wrong);
void write_after_free_last_byte(bool wrong);
void write_after_free_medium(bool wrong);
void write_after_free_medium_tail(bool wrong);
void write_after_free_pages(bool wrong);
void write_after_free_large(bool wrong);
void write_after_free_other_thread(bool wrong);
void write_after_realloc(bool wrong);
void read_after_free(bool wrong);
void read_after_free_large(bool wrong);
void read_of_leftovers(bool wrong);

#endif
