// SPDX-License-Identifier: MIT
/*
 * json.c: the figures as one JSON object, on one line of stderr.
 *
 * Place: GOALLOC=stats=json at exit. Calls snapshot.c, metrics.c and src/os.
 *
 *   {"goalloc": version, "metrics": {name: number, ...}, "classes": [{"size": ..., ...}, ...]}
 *
 * Metrics that are distributions are left out: the classes have the two that are by size. Class 0
 * are the blocks without a class.
 * Invariants: the text fits: a metric takes 80 bytes at most, a class 160.
 * Locking: none; the buffer is the ending process's.
 */
#include "../../include/goalloc/goalloc.h"
#include "../os/os.h"
#include "../os/report.h"
#include "internal.h"

#define METRICS_MAX 96

static char buffer[METRICS_MAX * 80 + SIZE_CLASS_COUNT * 160 + 200];

/* A fraction, to three places; the reporter knows no floating point. */
static void add_ratio(struct text *text, double ratio)
{
    unsigned thousandths = (unsigned)(ratio * 1000 + 0.5);
    text_add(text, "%u.%c%c%c", thousandths / 1000, '0' + (int)(thousandths / 100 % 10),
             '0' + (int)(thousandths / 10 % 10), '0' + (int)(thousandths % 10));
}

static void add_metrics(struct text *text)
{
    struct ga_metric samples[METRICS_MAX];
    size_t count;
    const struct ga_metric_description *all = observe_metrics_all(&count);
    count = count < METRICS_MAX ? count : METRICS_MAX;
    for (size_t i = 0; i < count; i++)
        samples[i] = (struct ga_metric){.name = all[i].name};
    observe_metrics_read(samples, count);
    const char *before = "";
    for (size_t i = 0; i < count; i++) {
        if (samples[i].kind == GA_METRIC_HISTOGRAM)
            continue;
        text_add(text, "%s\"%s\": ", before, samples[i].name);
        if (samples[i].kind == GA_METRIC_FLOAT64)
            add_ratio(text, samples[i].value.f64);
        else
            text_add(text, "%zu", (size_t)samples[i].value.u64);
        before = ", ";
    }
}

static void add_classes(struct text *text)
{
    struct snapshot now;
    const char *before = "";
    observe_snapshot(&now);
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class ++) {
        const struct class_figures *figures = &now.classes[class];
        if (!figures->spans && !figures->allocs)
            continue;
        text_add(text, "%s{\"size\": %zu, \"spans\": %zu, \"live\": %zu, \"cached\": %zu, ", before,
                 class ? (size_t)size_classes[class].size : 0, (size_t)figures->spans,
                 (size_t)figures->live, (size_t)figures->cached);
        text_add(text, "\"allocs\": %zu, \"frees\": %zu}", (size_t)figures->allocs,
                 (size_t)figures->frees);
        before = ", ";
    }
}

void observe_print_json(void)
{
    struct text text;
    text_init(&text, buffer, sizeof(buffer));
    text_add(&text, "{\"goalloc\": \"%s\", \"metrics\": {", GA_VERSION);
    add_metrics(&text);
    text_add(&text, "}, \"classes\": [");
    add_classes(&text);
    text_add(&text, "]}\n");
    os_write(2, buffer, (size_t)(text.at - buffer));
}
