// SPDX-License-Identifier: MIT
//
// What a cycle takes for each object that lives: objects of 48 bytes in a tree whose nodes lie in
// random order, so that each edge leads to another page.

#include <stdio.h>
#include <stdlib.h>

#include "collector.h"

#define OBJECTS       ((size_t)2 << 20)
#define OBJECTS_QUICK ((size_t)1 << 10)
#define CYCLES        5

struct object {
    struct object *left, *right;
    long rest[4];
};

static struct object *root;

static void shuffle(struct object **objects, size_t count)
{
    uint64_t random = 88172645463325252u;
    for (size_t i = count - 1; i > 0; i--) {
        size_t other = next_random(&random) % (i + 1);
        struct object *moved = objects[i];
        objects[i] = objects[other];
        objects[other] = moved;
    }
}

static void make_tree(size_t count)
{
    struct object **objects = gc_alloc(count * sizeof(struct object *));
    for (size_t i = 0; i < count; i++)
        objects[i] = gc_alloc(sizeof(struct object));
    shuffle(objects, count);
    for (size_t i = 0; i < count; i++) {
        objects[i]->left = 2 * i + 1 < count ? objects[2 * i + 1] : NULL;
        objects[i]->right = 2 * i + 2 < count ? objects[2 * i + 2] : NULL;
    }
    root = objects[0];
    /* Nothing but the tree leads to its objects. */
    for (size_t i = 0; i < count; i++)
        objects[i] = NULL;
}

static size_t count_nodes(const struct object *object)
{
    return object ? 1 + count_nodes(object->left) + count_nodes(object->right) : 0;
}

void run_marking(int quick)
{
    size_t count = quick ? OBJECTS_QUICK : OBJECTS;
    double least = 1e9;
    make_tree(count);
    for (int i = 0; i < CYCLES; i++) {
        double start = seconds_now();
        gc_collect_all();
        double took = seconds_now() - start;
        least = took < least ? took : least;
    }
    if (count_nodes(root) != count)
        abort();
    printf("each %.2f\n", least * 1e9 / (double)count);
}
