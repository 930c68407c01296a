// SPDX-License-Identifier: MIT
//
// Runs a program about memory over time and writes down what it held when.
//
// Place: main.c calls phase_run(); the programs mark their phases. The samples between the marks
// are taken by a child process, forked before the program begins: a thread would make the process
// under test a threaded one, and some allocators (ours too) behave otherwise there; and so this
// works by hand, without the harness.
//
// Locking: the child writes `sample` and `n` in shared memory, the parent reads them after it
// ended. Nothing here allocates: the heap's state is what is measured.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "phase.h"
#include "rss.h"
#include "workload.h"

enum {
    MARKS = 16,
    VALUES = 16,
    SAMPLES = 4096,
    SAMPLE_MS = 50,
};

struct sample {
    uint32_t ms;
    uint32_t rss_kb;
};

struct samples {
    _Atomic uint32_t n; // written by the child
    struct sample sample[SAMPLES];
};

struct mark {
    const char *name;
    double at;
    size_t own_kb;
    struct rss rss;
};

struct phases {
    double start;
    struct mark mark[MARKS];
    unsigned marks;
    struct {
        const char *name;
        double value;
    } value[VALUES];
    unsigned values;
};

const struct phase_program phase_programs[] = {
    {"torture", "1 GB of mixed sizes, nine tenths freed at random, filled with other sizes",
     phase_torture},
    {"free256", "256 MiB of 64 KiB blocks freed, then a small block each 0.1 s", phase_free256},
    {"free256_idle", "the same, then only sleeping", phase_free256_idle},
    {"small8m", "8 million small blocks freed in random order", phase_small8m},
    {"sawtooth", "512 MiB allocated and freed every second", phase_sawtooth},
    {"server", "1 GB of live objects, half of them replaced by other sizes", phase_server},
    {"memlimit", "150 MB of live objects and bursts of garbage", phase_memlimit},
    {NULL, NULL, NULL},
};

double phase_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void phase_sleep(double s)
{
    if (s <= 0)
        return;
    struct timespec t = {.tv_sec = (time_t)s};
    t.tv_nsec = (long)((s - (double)t.tv_sec) * 1e9);
    while (nanosleep(&t, &t) != 0)
        ;
}

void phase_tick_for(double s)
{
    double end = phase_seconds() + s;
    while (phase_seconds() < end) {
        void *p = alloc_touched(100);
        phase_sleep(0.1);
        free(p);
    }
}

void phase_fill(void *p, size_t size)
{
    for (size_t at = 0; at + sizeof(uint64_t) <= size; at += PAGE)
        touch((char *)p + at);
}

void phase_mark(struct phases *p, const char *name, size_t own)
{
    if (p->marks == MARKS)
        abort();
    p->mark[p->marks++] = (struct mark){
        .name = name,
        .at = phase_seconds() - p->start,
        .own_kb = own >> 10,
        .rss = rss_read(),
    };
}

void phase_value(struct phases *p, const char *name, double value)
{
    if (p->values == VALUES)
        abort();
    p->value[p->values].name = name;
    p->value[p->values++].value = value;
}

// The child: looks at its parent until the parent kills it or is gone.
static void sample_parent(struct samples *s, double start)
{
    char path[64], text[128];
    unsigned long total, resident;
    long page_kb = sysconf(_SC_PAGESIZE) / 1024;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(path, sizeof path, "/proc/%d/statm", (int)getppid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && s->n < SAMPLES) {
        ssize_t got = pread(fd, text, sizeof text - 1, 0);
        if (got <= 0)
            break;
        text[got] = '\0';
        if (sscanf(text, "%lu %lu", &total, &resident) != 2)
            break;
        s->sample[s->n] = (struct sample){
            .ms = (uint32_t)((phase_seconds() - start) * 1000),
            .rss_kb = (uint32_t)(resident * (unsigned long)page_kb),
        };
        s->n++;
        phase_sleep(SAMPLE_MS / 1000.0);
    }
    _exit(0);
}

static void print(const struct phase_program *program, const struct phases *p,
                  const struct samples *s)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
    printf("{\"phase\":\"%s\",\"cpu_s\":%.4f,\"minflt\":%ld,\"majflt\":%ld,\"marks\":[",
           program->name, cpu, used.ru_minflt, used.ru_majflt);
    for (unsigned i = 0; i < p->marks; i++) {
        const struct mark *m = &p->mark[i];
        printf("%s{\"name\":\"%s\",\"t\":%.3f,\"rss_kb\":%llu,\"own_kb\":%zu,\"lazy_kb\":%llu,"
               "\"peak_kb\":%llu,\"maps\":%llu}",
               i ? "," : "", m->name, m->at, (unsigned long long)m->rss.rss_kb, m->own_kb,
               (unsigned long long)m->rss.lazy_kb, (unsigned long long)m->rss.peak_kb,
               (unsigned long long)m->rss.maps);
    }
    printf("],\"values\":{");
    for (unsigned i = 0; i < p->values; i++)
        printf("%s\"%s\":%.6g", i ? "," : "", p->value[i].name, p->value[i].value);
    printf("},\"series\":[");
    for (uint32_t i = 0; i < s->n; i++)
        printf("%s[%.3f,%u]", i ? "," : "", s->sample[i].ms / 1000.0, s->sample[i].rss_kb);
    puts("]}");
}

bool phase_run(const char *name, bool quick)
{
    const struct phase_program *program = phase_programs;
    while (program->name && strcmp(program->name, name) != 0)
        program++;
    if (!program->name)
        return false;

    struct phases *p = table_new(1, sizeof *p);
    struct samples *s =
        mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED) {
        perror("ga_bench: mmap");
        exit(1);
    }
    p->start = phase_seconds();
    pid_t sampler = fork();
    if (sampler == 0)
        sample_parent(s, p->start);
    phase_mark(p, "start", 0);
    program->run(p, quick);
    if (sampler > 0) {
        kill(sampler, SIGKILL);
        waitpid(sampler, NULL, 0);
    }
    print(program, p, s);
    return true;
}
