// SPDX-License-Identifier: MIT
//
// A program that tells the collector which pointers it writes: nothing has to be tracked for it.
//
//   cc gc_barrier.c $(pkg-config --cflags --libs goalloc) -o gc_barrier && ./gc_barrier

#include <goalloc/gc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
    struct node *next;
    char *text;
};

struct table {
    size_t count, room;
    struct node **lists;
};

/* Pointers in blocks are stored by ga_gc_write, also the first ones; bytes as ever. */
static struct node *make_node(const char *text, struct node *next)
{
    struct node *node = ga_gc_malloc(sizeof(*node));
    char *copy = ga_gc_malloc_atomic(strlen(text) + 1);
    if (!node || !copy)
        exit(1);
    strcpy(copy, text);
    ga_gc_write(&node->text, copy);
    ga_gc_write(&node->next, next);
    return node;
}

/* So are several at once. */
static void make_room(struct table *table)
{
    struct node **lists = ga_gc_malloc((table->room * 2 + 8) * sizeof(*lists));
    if (!lists)
        exit(1);
    ga_gc_write_range(lists, table->lists, table->count * sizeof(*lists));
    ga_gc_write(&table->lists, lists);
    table->room = table->room * 2 + 8;
}

static void add_list(struct table *table, int length)
{
    char text[32];
    struct node *first = NULL; /* stacks are looked at in the end: no call for these */
    for (int i = 0; i < length; i++) {
        snprintf(text, sizeof(text), "node %d", i);
        first = make_node(text, first);
    }
    if (table->count == table->room)
        make_room(table);
    ga_gc_write(&table->lists[table->count++], first);
}

int main(void)
{
    struct ga_gc_stats stats;
    size_t length = 0;
    if (ga_gc_enable_barriers() != 0)
        return 1;
    struct table *table = ga_gc_malloc(sizeof(*table));
    if (!table)
        return 1;
    for (int i = 0; i < 1000; i++) {
        add_list(table, 300);
        if (i % 10 != 0)
            ga_gc_write(&table->lists[--table->count], NULL); /* never freed */
    }
    if (ga_gc_collect() != 0)
        return 1;
    for (const struct node *node = table->lists[99]; node; node = node->next)
        length += strncmp(node->text, "node ", 5) == 0;
    ga_gc_stats(&stats, sizeof(stats));
    printf("%zu lists, the last of %zu; %zu blocks were freed in %zu cycles\n", table->count,
           length, stats.freed_blocks, stats.by_barriers);
    return length != 300 || table->count != 100;
}
