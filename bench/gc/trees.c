// SPDX-License-Identifier: MIT
//
// Binary trees: a large one that lives throughout, and many small ones, of depths from 4 up, each
// counted and dropped. With several threads each does all of it.

#include <stdio.h>
#include <stdlib.h>

#include "collector.h"

#define DEPTH       18
#define DEPTH_QUICK 10
#define DEPTH_MIN   4
#define THREADS_MAX 8

struct tree {
    struct tree *left, *right;
};

static struct tree *make(int depth)
{
    struct tree *tree = gc_alloc(sizeof(*tree));
    if (!tree)
        abort();
    if (depth > 0) {
        tree->left = make(depth - 1);
        tree->right = make(depth - 1);
    }
    return tree;
}

static long count(const struct tree *tree)
{
    return tree->left ? 1 + count(tree->left) + count(tree->right) : 1;
}

static void expect(long nodes, long trees, int depth)
{
    if (nodes == trees * ((2L << depth) - 1))
        return;
    fprintf(stderr, "trees: a node was lost\n");
    abort();
}

static void *work(void *argument)
{
    int most = *(const int *)argument;
    expect(count(make(most + 1)), 1, most + 1);
    struct tree *lasting = make(most);
    for (int depth = DEPTH_MIN; depth <= most; depth += 2) {
        long trees = 1L << (most - depth + DEPTH_MIN), nodes = 0;
        for (long i = 0; i < trees; i++)
            nodes += count(make(depth));
        expect(nodes, trees, depth);
    }
    expect(count(lasting), 1, most);
    return NULL;
}

void run_trees(int threads, int quick)
{
    int depth = quick ? DEPTH_QUICK : DEPTH;
    pthread_t others[THREADS_MAX];
    double start = seconds_now();
    for (int i = 1; i < threads; i++)
        if (pthread_create(&others[i], NULL, work, &depth) != 0)
            abort();
    work(&depth);
    for (int i = 1; i < threads; i++)
        pthread_join(others[i], NULL);
    printf("wall %.4f\n", seconds_now() - start);
}
