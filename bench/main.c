// SPDX-License-Identifier: MIT
//
// ga_bench: runs rows of the benchmark under whatever allocator was preloaded.
//
//     LD_PRELOAD=/path/to/libX.so ga_bench --rows 'micro/pair' [--json]
//
// Place: the harness (bench/run) starts it once for each row, allocator and repeat, so that the
// peak of one row isn't another's. By hand, any regular expression of rows can be run in one
// process. Single-threaded but for the rows' own workers.

#include <getopt.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "phase.h"
#include "rows.h"
#include "rss.h"

enum { DEFAULT_THREADS = 2, MAX_THREADS = 256 };

// When memory is looked at: before the row's setup, after its teardown, some time later.
enum { START, END, SETTLED, LOOKS };

struct options {
    const char *rows;
    const char *phase; // a program about memory over time instead of rows
    double min_time;   // seconds a row is measured for
    long iterations;   // instead of min_time, if above 0
    double settle;     // seconds to wait after a row before its last look at memory
    unsigned threads;
    bool json, quick, list;
};

static const char usage_text[] =
    "usage: ga_bench [--rows REGEX] [--min-time SECONDS] [--iterations N] [--threads N]\n"
    "                [--settle SECONDS] [--quick] [--json] [--list]\n"
    "       ga_bench --phase NAME [--quick]\n"
    "\n"
    "  --rows REGEX      rows whose name matches (extended, anywhere in the name)\n"
    "  --min-time S      measure each row for at least S seconds (default 0.3)\n"
    "  --iterations N    measure each row for exactly N iterations instead\n"
    "  --threads N       threads of the threaded rows (default 2)\n"
    "  --settle S        wait S seconds after a row, then read memory once more\n"
    "  --quick           smaller working sets; a smoke test, not a measurement\n"
    "  --json            one JSON object a line instead of a table\n"
    "  --list            print the rows' names and stop\n"
    "  --phase NAME      a program about memory over time; prints one JSON line\n"
    "\n"
    "The allocator under test is the process's: run it with LD_PRELOAD=path.so.\n";

static _Noreturn void usage_error(const char *what, const char *arg)
{
    fprintf(stderr, "ga_bench: %s '%s' (see ga_bench --help)\n", what, arg);
    exit(2);
}

static _Noreturn void usage(void)
{
    fputs(usage_text, stdout);
    puts("\nThe programs about memory over time:");
    for (const struct phase_program *p = phase_programs; p->name; p++)
        printf("  %-16s  %s\n", p->name, p->what);
    exit(0);
}

static double number(const char *option, const char *text, double lo, double hi)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= lo && v <= hi)) {
        fprintf(stderr, "ga_bench: --%s takes a number from %g to %g, not '%s'\n", option, lo, hi,
                text);
        exit(2);
    }
    return v;
}

static void parse(int argc, char **argv, struct options *o)
{
    static const struct option longopts[] = {
        {"rows", required_argument, NULL, 'r'},
        {"min-time", required_argument, NULL, 'm'},
        {"iterations", required_argument, NULL, 'n'},
        {"settle", required_argument, NULL, 's'},
        {"threads", required_argument, NULL, 't'},
        {"quick", no_argument, NULL, 'q'},
        {"json", no_argument, NULL, 'j'},
        {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {"phase", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
        switch (c) {
        case 'r':
            o->rows = optarg;
            break;
        case 'm':
            o->min_time = number("min-time", optarg, 0, 3600);
            break;
        case 'n':
            o->iterations = (long)number("iterations", optarg, 1, 1e12);
            break;
        case 's':
            o->settle = number("settle", optarg, 0, 3600);
            break;
        case 't':
            o->threads = (unsigned)number("threads", optarg, 2, MAX_THREADS);
            break;
        case 'q':
            o->quick = true;
            break;
        case 'j':
            o->json = true;
            break;
        case 'l':
            o->list = true;
            break;
        case 'p':
            o->phase = optarg;
            break;
        case 'h':
            usage();
        default:
            usage_error("unknown or incomplete option", argv[optind - 1]);
        }
    }
    if (optind < argc)
        usage_error("unexpected argument", argv[optind]);
}

static void settle(double seconds)
{
    struct timespec t = {.tv_sec = (time_t)seconds};
    t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
    while (nanosleep(&t, &t) != 0)
        ;
}

static void print_json(const struct bench_row *row, const struct bench *b,
                       const struct bench_result *r, const struct rss looks[LOOKS])
{
    double ops = (double)r->iterations * (double)b->ops;
    printf("{\"row\":\"%s\",\"ns\":%.6g,\"cpu_ns\":%.6g,\"wall_s\":%.6g,\"cpu_s\":%.6g,"
           "\"iterations\":%llu,\"ops\":%llu,\"minflt\":%llu,\"majflt\":%llu,",
           row->name, r->wall_s * 1e9 / ops, r->cpu_s * 1e9 / ops, r->wall_s, r->cpu_s,
           (unsigned long long)r->iterations, (unsigned long long)b->ops,
           (unsigned long long)r->minflt, (unsigned long long)r->majflt);
    if (b->check)
        printf("\"check\":\"%016llx\",", (unsigned long long)b->check);
    for (unsigned i = 0; i < b->ncounters; i++)
        printf("\"%s\":%.6g,", b->counters[i].name, b->counters[i].value);
    printf("\"start_kb\":%llu,\"peak_kb\":%llu,\"end_kb\":%llu,\"settled_kb\":%llu,"
           "\"lazy_kb\":%llu,\"maps\":%llu}\n",
           (unsigned long long)looks[START].rss_kb, (unsigned long long)looks[END].peak_kb,
           (unsigned long long)looks[END].rss_kb, (unsigned long long)looks[SETTLED].rss_kb,
           (unsigned long long)looks[SETTLED].lazy_kb, (unsigned long long)looks[END].maps);
}

static void print_table(const struct bench_row *row, const struct bench *b,
                        const struct bench_result *r, const struct rss *end)
{
    double ops = (double)r->iterations * (double)b->ops;
    printf("%-34s %12.2f ns %12.2f ns cpu %9.1f MB peak %9.2f faults/kop\n", row->name,
           r->wall_s * 1e9 / ops, r->cpu_s * 1e9 / ops, (double)end->peak_kb / 1024,
           (double)r->minflt * 1000 / ops);
}

static bool run_row(const struct bench_row *registered, const struct options *o)
{
    struct bench_row row = *registered;
    struct bench b = {.threads = row.threads, .quick = o->quick};
    struct bench_result r;
    struct rss looks[LOOKS] = {[START] = rss_read()};
    memcpy(b.arg, row.arg, sizeof b.arg);
    if (o->iterations > 0 && row.iterations == 0)
        row.iterations = o->iterations;
    if (!bench_run_row(&row, &b, o->min_time, &r)) {
        fprintf(stderr, "ga_bench: %s: %s\n", row.name, b.error ? b.error : "no figure");
        return false;
    }
    looks[END] = looks[SETTLED] = rss_read();
    if (o->settle > 0) {
        settle(o->settle);
        looks[SETTLED] = rss_read();
    }
    if (o->json)
        print_json(&row, &b, &r, looks);
    else
        print_table(&row, &b, &r, &looks[END]);
    fflush(stdout);
    return true;
}

// The exit status.
static int run_rows(const struct options *o)
{
    regex_t re;
    if (regcomp(&re, o->rows, REG_EXTENDED | REG_NOSUB) != 0)
        usage_error("not a regular expression:", o->rows);
    unsigned n, matched = 0;
    bool ok = true;
    const struct bench_row *rows = rows_all(&n);
    for (unsigned i = 0; i < n; i++) {
        if (regexec(&re, rows[i].name, 0, NULL, 0) != 0)
            continue;
        matched++;
        if (o->list)
            puts(rows[i].name);
        else
            ok = run_row(&rows[i], o) && ok;
    }
    regfree(&re);
    if (matched == 0)
        usage_error("no row matches", o->rows);
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options o = {.rows = ".", .min_time = 0.3, .threads = DEFAULT_THREADS};
    parse(argc, argv, &o);
    if (o.phase) {
        if (!phase_run(o.phase, o.quick))
            usage_error("no program about memory is called", o.phase);
        return 0;
    }
    rows_register(o.threads);
    return run_rows(&o);
}
