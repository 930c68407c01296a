// SPDX-License-Identifier: MIT
//
// After the fashion of Ellis's, Kovac's and Boehm's GCBench: a tree of 64 MB and an array of 1 MB
// live while small trees are built, top down and bottom up, and dropped.

#include <stdio.h>
#include <stdlib.h>

#include "collector.h"

#define LASTING_DEPTH 20 /* 2 M nodes of 32 bytes */
#define QUICK_DEPTH   12
#define LARGEST       16
#define ARRAY_BYTES   ((size_t)1 << 20)

struct node {
    struct node *left, *right;
    long first, second;
};

static struct node *make_node(struct node *left, struct node *right)
{
    struct node *node = gc_alloc(sizeof(*node));
    if (!node)
        abort();
    node->left = left;
    node->right = right;
    return node;
}

static struct node *bottom_up(int depth)
{
    if (depth == 0)
        return make_node(NULL, NULL);
    struct node *left = bottom_up(depth - 1);
    return make_node(left, bottom_up(depth - 1));
}

static void top_down(struct node *node, int depth)
{
    if (depth == 0)
        return;
    node->left = make_node(NULL, NULL);
    node->right = make_node(NULL, NULL);
    top_down(node->left, depth - 1);
    top_down(node->right, depth - 1);
}

static long count(const struct node *node)
{
    return node ? 1 + count(node->left) + count(node->right) : 0;
}

static struct node *volatile last; /* so that no tree is left out */

void run_graph(int quick)
{
    int depth = quick ? QUICK_DEPTH : LASTING_DEPTH, largest = quick ? 8 : LARGEST;
    double start = seconds_now();
    struct node *lasting = bottom_up(depth);
    char *array = gc_alloc_atomic(ARRAY_BYTES);
    for (size_t i = 0; i < ARRAY_BYTES; i++)
        array[i] = (char)i;
    for (int i = 4; i <= largest; i += 2)
        for (long trees = 2L << (largest + 2 - i); trees > 0; trees--) {
            struct node *root = make_node(NULL, NULL);
            top_down(root, i);
            last = root;
            last = bottom_up(i);
        }
    if (count(lasting) != (2L << depth) - 1 || array[1000] != (char)1000)
        abort();
    printf("wall %.4f\n", seconds_now() - start);
}
