// SPDX-License-Identifier: MIT
//
// Every figure of the allocator's, by name, in the text form that Prometheus reads.
//
//   cc metrics.c $(pkg-config --cflags --libs goalloc) -o metrics && ./metrics

#include <ctype.h>
#include <goalloc/goalloc.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST 200

/* "/memory/classes/heap/free:bytes" becomes "goalloc_memory_classes_heap_free_bytes". */
static void print_name(const char *name)
{
    fputs("goalloc", stdout);
    for (; *name; name++)
        putchar(isalnum((unsigned char)*name) ? *name : '_');
}

/* Buckets are cumulative there: each counts all values up to its bound. */
static void print_histogram(const char *name, const struct ga_histogram *histogram)
{
    unsigned long long sum = 0;
    for (size_t i = 0; i < histogram->count; i++) {
        sum += histogram->counts[i];
        print_name(name);
        if (i + 1 < histogram->count)
            printf("_bucket{le=\"%g\"} %llu\n", histogram->bounds[i + 1], sum);
        else
            printf("_bucket{le=\"+Inf\"} %llu\n", sum);
    }
    print_name(name);
    printf("_count %llu\n", sum);
}

static void print_metric(const struct ga_metric *metric)
{
    if (metric->kind == GA_METRIC_HISTOGRAM) {
        print_histogram(metric->name, metric->histogram);
        return;
    }
    print_name(metric->name);
    if (metric->kind == GA_METRIC_FLOAT64)
        printf(" %g\n", metric->value.f64);
    else
        printf(" %llu\n", (unsigned long long)metric->value.u64);
}

int main(void)
{
    static struct ga_metric metrics[MOST];
    static struct ga_histogram histograms[MOST];
    size_t count;
    const struct ga_metric_description *all = ga_metrics_all(&count);
    void *block = malloc(1000);
    for (size_t i = 0; i < count && i < MOST; i++) {
        metrics[i].name = all[i].name;
        metrics[i].histogram = &histograms[i];
    }
    ga_metrics_read(metrics, count < MOST ? count : MOST); /* all of one moment */
    for (size_t i = 0; i < count && i < MOST; i++) {
        printf("# HELP ");
        print_name(all[i].name);
        printf(" %s\n", all[i].description);
        print_metric(&metrics[i]);
    }
    free(block);
    return 0;
}
