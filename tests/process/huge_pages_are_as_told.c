// SPDX-License-Identifier: MIT
//
// GOALLOC=thp=always and thp=never mark all of the heap for the kernel, also what was mapped before
// the options were read and what is mapped anew under a block that realloc moved; by default
// nothing is marked, but parts of a large heap that are dense go to huge pages, by the background
// thread. The heap stays a few mappings all the same.

#include "promise.h"

#include <malloc.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define MB     ((size_t)1 << 20)
#define PART   (2 * MB)
#define BLOCK  ((size_t)400)
#define BLOCKS (100 * MB / BLOCK)

struct flags {
    unsigned mappings, huge, not_huge;
};

/* Of the mappings from `low` to `high`, by /proc/self/smaps, which is read line by line into a
 * small buffer: nothing here allocates. */
static struct flags heap_flags(uintptr_t low, uintptr_t high)
{
    static char text[1 << 20];
    struct flags flags = {0};
    size_t used = 0;
    int fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
    for (ssize_t got; used < sizeof(text) - 1; used += (size_t)got)
        if ((got = read(fd, text + used, sizeof(text) - 1 - used)) <= 0)
            break;
    close(fd);
    text[used] = '\0';
    bool inside = false;
    for (char *line = text; line && *line;
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            inside = from >= low && to <= high;
            flags.mappings += inside;
        }
        if (!inside || strncmp(line, "VmFlags:", 8) != 0)
            continue;
        const char *end = strchr(line, '\n');
        const char *hg = strstr(line, " hg"), *nh = strstr(line, " nh");
        flags.huge += hg && hg < end;
        flags.not_huge += nh && nh < end;
    }
    return flags;
}

static struct flags use_heap(void)
{
    char *low = malloc(16), *high = NULL, *block = malloc(MB);
    for (size_t size = MB; size < 40 * MB; size += MB) {
        char *wall = malloc(64 << 10);
        block = realloc(block, size);
        memset(block, 1, size);
        high = wall > high ? wall : high;
        high = block + size > high ? block + size : high;
    }
    free(block);
    return heap_flags((uintptr_t)low / MB * MB - 64 * MB, (uintptr_t)high + 256 * MB);
}

static void always(void)
{
    struct flags flags = use_heap();
    expect(flags.huge == flags.mappings && flags.mappings <= 4,
           "expected all of a few mappings to be marked, %u of %u are", flags.huge, flags.mappings);
}

static void never(void)
{
    struct flags flags = use_heap();
    expect(flags.not_huge == flags.mappings && flags.mappings <= 4,
           "expected all of a few mappings to be marked, %u of %u are", flags.not_huge,
           flags.mappings);
}

static void as_it_is(void)
{
    struct flags flags = use_heap();
    expect(flags.mappings >= 1 && flags.mappings <= 4, "expected a few mappings, there are %u",
           flags.mappings);
    expect(flags.huge == 0 && flags.not_huge == 0, "expected no mapping to be marked");
}

/* --- Dense parts, with the background thread --- */

static void *map_part(void)
{
    char *memory = mmap(NULL, 2 * PART, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(memory != MAP_FAILED, "expected memory");
    return (void *)(((uintptr_t)memory + PART - 1) / PART * PART);
}

/* Whether the system lets anybody collapse. */
static bool kernel_collapses(void)
{
    char setting[128] = "";
    int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
    ssize_t got = read(fd, setting, sizeof(setting) - 1);
    close(fd);
    void *part = map_part();
    memset(part, 1, PART);
    return got > 0 && !strstr(setting, "[never]") && madvise(part, PART, MADV_COLLAPSE) == 0;
}

static size_t huge_kilobytes(void)
{
    return (size_t)proc_number("/proc/self/smaps_rollup", "AnonHugePages:");
}

static void fill(unsigned char *blocks[], bool check)
{
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t k = 0; k < BLOCK; k += 64) {
            expect(!check || blocks[i][k] == (unsigned char)(i + k / 64),
                   "expected what was written");
            blocks[i][k] = (unsigned char)(i + k / 64);
        }
}

static void dense(void)
{
    static unsigned char *blocks[BLOCKS];
    if (!kernel_collapses())
        return;
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = malloc(BLOCK);
    fill(blocks, false);
    size_t before = resident_kilobytes(), huge = huge_kilobytes();
    while (huge_kilobytes() < huge + 3 * PART / 1024) { /* promise_begin's alarm ends it */
        free(malloc(100 << 10)); /* a slow path, by which the thread is started */
        usleep(20000);
        fill(blocks, true);
    }
    size_t after = resident_kilobytes();
    expect(after < before + 1024, "expected %zu KB to stay what they are, not %zu", before, after);
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    malloc_trim(0);
    expect(resident_kilobytes() < before / 8, "expected memory to go back from huge pages, too");
}

static const struct program {
    const char *name, *options;
    void (*body)(void);
} programs[] = {
    {"always", "thp=always", always}, {"never", "thp=never", never},
    {"auto", "thp=auto", as_it_is},   {"nothing said", "", as_it_is},
    {"dense", "background", dense},
};

static void run(const struct program *program)
{
    setenv("GOALLOC", program->options, 1);
    run_again(program->name);
}

int main(int argc, char **argv)
{
    promise_begin(30);
    if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) != 0)
        return EXIT_SKIPPED;
    for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
        if (argc == 2 && strcmp(argv[1], programs[i].name) == 0) {
            programs[i].body();
            return 0;
        }
    }
    for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++)
        run(&programs[i]);
    return 0;
}
