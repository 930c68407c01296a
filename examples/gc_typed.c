// SPDX-License-Identifier: MIT
//
// Blocks that say where their pointers are: numbers that look like pointers keep nothing alive.
//
//   cc gc_typed.c $(pkg-config --cflags --libs goalloc) -o gc_typed && ./gc_typed

#include <goalloc/gc.h>
#include <stdio.h>

struct node {
    struct node *left, *right;
    uint64_t hashes[6]; /* of which some may look like addresses */
};

static ga_gc_type node_type(void)
{
    const uint64_t pointers = 1u << offsetof(struct node, left) / sizeof(void *) |
                              1u << offsetof(struct node, right) / sizeof(void *);
    return ga_gc_type_new(sizeof(struct node), &pointers);
}

static struct node *make_tree(ga_gc_type type, int depth)
{
    struct node *node = ga_gc_malloc_typed(sizeof(*node), type);
    if (node && depth > 0) {
        node->left = make_tree(type, depth - 1);
        node->right = make_tree(type, depth - 1);
    }
    return node;
}

static int count(const struct node *node)
{
    return node ? 1 + count(node->left) + count(node->right) : 0;
}

int main(void)
{
    struct ga_gc_stats stats;
    if (ga_gc_enable() != 0)
        return 1;
    ga_gc_type type = node_type();
    struct node *kept = make_tree(type, 12);
    for (int i = 0; i < 50; i++)
        make_tree(type, 12); /* never freed */
    if (ga_gc_collect() != 0)
        return 1;
    ga_gc_stats(&stats, sizeof(stats));
    printf("%d nodes are kept, %zu blocks were freed\n", count(kept), stats.freed_blocks);
    return count(kept) != 8191;
}
