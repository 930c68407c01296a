// SPDX-License-Identifier: MIT
//
// usage: torture [SECONDS]
//
// Eight threads change graphs of blocks while cycles run back to back. Each thread keeps a shadow
// of its graph, in numbers that no collector takes for pointers, and compares: not one node that is
// in reach may be lost. At the end nothing is in reach, and all but a few nodes are freed.

#include "collected.h"

#include <time.h>

#define THREADS 8
#define NODES   3000 /* of a thread, at once */
#define EDGES   4
#define ROOTS   16
#define NONE    (-1)
#define MAGIC   UINT64_C(0x7075726572656163)
#define MARGIN  400 /* nodes that words on stacks and in caches may keep alive, all threads */

struct node {
    uint64_t magic;
    int32_t id, size;
    struct node *edges[EDGES];
};

struct shadow {
    int32_t edges[NODES][EDGES];
    int32_t roots[ROOTS];
    bool reached[NODES], used[NODES];
    int32_t stack[NODES * EDGES];
};

struct world {
    struct node *roots[ROOTS]; /* the only way in */
    struct shadow shadow;
    struct random random;
    size_t made;
};

static struct world worlds[THREADS];
static atomic_bool stop;
static atomic_size_t checks;

static unsigned below(struct world *w, unsigned n)
{
    return (unsigned)(random_next(&w->random) % n);
}

/* Writing edges. */
#ifdef BARRIERS
static void *new_memory(size_t size)
{
    return ga_gc_malloc(size);
}

static void set_edge(struct node *node, unsigned edge, struct node *to)
{
    ga_gc_write(&node->edges[edge], to);
}

static void copy_edges(struct node *to, const struct node *from)
{
    ga_gc_write_range(to->edges, from->edges, sizeof(to->edges));
}
#else
static void *new_memory(size_t size)
{
    return malloc(size);
}

static void set_edge(struct node *node, unsigned edge, struct node *to)
{
    node->edges[edge] = to;
}

static void copy_edges(struct node *to, const struct node *from)
{
    memmove(to->edges, from->edges, sizeof(to->edges));
}
#endif

__attribute__((noinline)) static struct node *make_node(struct world *w, int32_t id)
{
    size_t size = sizeof(struct node) + below(w, 8) * below(w, 60);
    if (below(w, 500) == 0)
        size += below(w, 1 << 21);
    struct node *node = new_memory(size);
    node->magic = MAGIC ^ (uint64_t)id;
    node->id = id;
    node->size = (int32_t)size;
    for (unsigned i = 0; i < EDGES; i++)
        set_edge(node, i, NULL);
    memset(node + 1, 0x22, size - sizeof(*node));
    w->made++;
    return node;
}

static void expect_node(const struct node *node, int32_t id)
{
    expect(node && node->magic == (MAGIC ^ (uint64_t)id) && node->id == id,
           "expected node %d at %p, found %d and %lx", id, (const void *)node, node ? node->id : -1,
           node ? (unsigned long)node->magic : 0);
    const unsigned char *bytes = (const unsigned char *)node;
    expect(node->size == (int32_t)sizeof(*node) || bytes[node->size - 1] == 0x22,
           "expected node %d to be whole", id);
}

static int32_t free_id(struct world *w)
{
    for (unsigned tries = 0; tries < 20; tries++) {
        int32_t id = (int32_t)below(w, NODES);
        if (!w->shadow.used[id])
            return id;
    }
    return NONE;
}

/* A random walk from a random root, in both graphs. NULL where it ends at once. */
static struct node *walk(struct world *w, int32_t *id)
{
    unsigned root = below(w, ROOTS);
    struct node *node = w->roots[root];
    *id = w->shadow.roots[root];
    for (unsigned steps = below(w, 12); node && steps > 0; steps--) {
        expect_node(node, *id);
        unsigned edge = below(w, EDGES);
        if (!node->edges[edge])
            break;
        *id = w->shadow.edges[*id][edge];
        node = node->edges[edge];
    }
    if (node)
        expect_node(node, *id);
    return node;
}

static void grow(struct world *w)
{
    int32_t from, id = free_id(w);
    if (id == NONE)
        return;
    struct node *node = make_node(w, id), *at = walk(w, &from);
    w->shadow.used[id] = true;
    for (unsigned i = 0; i < EDGES; i++)
        w->shadow.edges[id][i] = NONE;
    unsigned edge = below(w, EDGES), root = below(w, ROOTS);
    if (!at || below(w, 30) == 0) {
        w->roots[root] = node;
        w->shadow.roots[root] = id;
    } else {
        set_edge(at, edge, node);
        w->shadow.edges[from][edge] = id;
    }
}

/* Moves what hangs at one place to another: for a moment it is in a register only. */
static void move(struct world *w)
{
    int32_t from, to;
    struct node *a = walk(w, &from), *b = walk(w, &to);
    if (!a || !b)
        return;
    unsigned i = below(w, EDGES), k = below(w, EDGES);
    struct node *taken = a->edges[i];
    int32_t id = w->shadow.edges[from][i];
    set_edge(a, i, NULL);
    w->shadow.edges[from][i] = NONE;
    if (below(w, 4) == 0)
        free(malloc(below(w, 3000)));
    set_edge(b, k, taken);
    w->shadow.edges[to][k] = id;
}

static void copy(struct world *w)
{
    int32_t from, to;
    struct node *a = walk(w, &from), *b = walk(w, &to);
    if (!a || !b)
        return;
    copy_edges(b, a);
    memcpy(w->shadow.edges[to], w->shadow.edges[from], sizeof(w->shadow.edges[to]));
}

static void cut(struct world *w)
{
    int32_t from;
    struct node *at = walk(w, &from);
    unsigned edge = below(w, EDGES);
    if (!at)
        return;
    set_edge(at, edge, NULL);
    w->shadow.edges[from][edge] = NONE;
}

/* Both graphs must have the same shape, all of it; what isn't in reach may be made anew. */
static void check(struct world *w)
{
    struct shadow *s = &w->shadow;
    static __thread struct node *nodes[NODES];
    size_t top = 0;
    memset(s->reached, 0, sizeof(s->reached));
    for (unsigned i = 0; i < ROOTS; i++)
        if (w->roots[i] && !s->reached[s->roots[i]]) {
            s->reached[s->roots[i]] = true;
            nodes[s->roots[i]] = w->roots[i];
            s->stack[top++] = s->roots[i];
        }
    while (top > 0) {
        int32_t id = s->stack[--top];
        expect_node(nodes[id], id);
        for (unsigned i = 0; i < EDGES; i++) {
            int32_t next = s->edges[id][i];
            expect((next == NONE) == (nodes[id]->edges[i] == NULL), "expected node %d's edges", id);
            if (next == NONE || s->reached[next])
                continue;
            s->reached[next] = true;
            nodes[next] = nodes[id]->edges[i];
            s->stack[top++] = next;
        }
    }
    memcpy(s->used, s->reached, sizeof(s->used));
    memset(nodes, 0, sizeof(nodes));
    atomic_fetch_add(&checks, 1);
}

static void *mutate(void *argument)
{
    struct world *w = argument;
    for (unsigned turn = 0; !atomic_load(&stop); turn++) {
        unsigned dice = below(w, 16);
        if (dice < 9)
            grow(w);
        else if (dice < 12)
            move(w);
        else if (dice < 13)
            copy(w);
        else
            cut(w);
        if (turn % 4000 == 0)
            check(w);
    }
    check(w);
    memset(w->roots, 0, sizeof(w->roots));
    clear_stack();
    return NULL;
}

static time_t seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    seconds = seconds ? seconds : 3;
    pthread_t threads[THREADS];
    size_t made = 0, cycles = 0;
    gc_promise_begin(seconds * 4 + 60);
    full_cycle();
    size_t live_before = gc_stats_now().live_blocks;
    for (unsigned i = 0; i < THREADS; i++) {
        worlds[i].random.state = 88172645463325252u + i;
        pthread_create(&threads[i], NULL, mutate, &worlds[i]);
    }
    for (time_t end = seconds_now() + seconds; seconds_now() < end; cycles++)
        expect(collect() == 0, "expected a cycle to succeed");
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        made += worlds[i].made;
    }
    full_cycle();
    full_cycle();
    size_t live = gc_stats_now().live_blocks;
    printf("%zu nodes made, %zu cycles, %zu checks, %zu blocks alive at the end\n", made, cycles,
           (size_t)atomic_load(&checks), live);
    expect(live <= live_before + MARGIN, "expected %zu blocks to be alive at the end, not %zu",
           live_before, live);
    expect_forced_way();
    return 0;
}
