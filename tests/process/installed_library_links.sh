#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage: installed_library_links.sh BUILD-DIRECTORY
#
# What `meson install` leaves can be linked, shared and static, from C and from C++, with nothing but
# pkg-config, and malloc is then ours.
set -euo pipefail

build=$(readlink -f "$1")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cd "$root"

DESTDIR=$root meson install -C "$build" --no-rebuild --quiet
PKG_CONFIG_PATH=$(dirname "$(find "$root" -name goalloc.pc)")
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR=$root
library=$(dirname "$(find "$root" -name libgoalloc.a)")

# ga_stats counts what came from us: it must have seen the block.
cat >program.c <<'C'
#include <goalloc/goalloc.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    struct ga_stats before, after;
    struct ga_mem_stats stats;
    struct ga_metric metric;
    size_t count;
    memset(&metric, 0, sizeof metric);
    metric.name = ga_metrics_all(&count)[0].name;
    ga_stats(&before, sizeof before);
    void *block = malloc(5000000);
    memset(block, 1, 5000000);
    ga_stats(&after, sizeof after);
    ga_read_mem_stats(&stats);
    ga_metrics_read(&metric, 1);
    if (stats.alloc < 5000000 || metric.kind == GA_METRIC_BAD || count == 0)
        return 1;
    free(block);
    return block != NULL && after.live >= before.live + 5000000 ? 0 : 1;
}
C
sed 's/void \*block = malloc(5000000)/char *block = new char[5000000]/; s/free(block)/delete[] block/' \
    program.c >program.cc

read -ra flags <<<"$(pkg-config --cflags goalloc)"
read -ra shared <<<"$(pkg-config --libs goalloc)"

cc "${flags[@]}" program.c "${shared[@]}" -o c-shared
LD_LIBRARY_PATH=$library ./c-shared
readelf -d c-shared | grep 'NEEDED.*libgoalloc.so.1' >needed

cc "${flags[@]}" program.c "$library/libgoalloc.a" -pthread -o c-static
./c-static

c++ "${flags[@]}" program.cc "${shared[@]}" -o cxx-shared
LD_LIBRARY_PATH=$library ./cxx-shared

c++ "${flags[@]}" program.cc "$library/libgoalloc.a" -pthread -o cxx-static
./cxx-static
