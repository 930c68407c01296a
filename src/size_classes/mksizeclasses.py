#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes size_classes_table.h: the size classes, their spans and their lookup tables.

The rule for classes up to 32 KB is Go's: sizes rise in steps of an eighth of their power of two, a
span is as few 8 KB pages as leave at most an eighth of it unused at the end, and of neighbouring
sizes that fit equally often into their span only the largest stays. Changed for C:

- every size is a multiple of 16, because malloc's memory is aligned to 16 whatever the size;
- a span holds at least 8 objects up to 8 KB each, so that a refill seldom needs several spans;
- above 32 KB there are four classes to a doubling, up to 1 MB, one object to a span. They exist so
  that a block of such a size is passed from free to malloc through a magazine, with no lock.
"""
import sys

PAGE = 8192
MAX_SMALL = 32768
MAX_CLASS = 1 << 20
MAX_OBJECTS = 512
POINTER = 8


def span_pages(size):
    pages = 1
    while True:
        span = pages * PAGE
        objects = span // size
        enough = objects >= 8 or size > PAGE
        if enough and objects >= 1 and span % size <= span // 8:
            return pages
        pages += 1


def small_sizes():
    align, size, sizes = 16, 16, []
    while size <= MAX_SMALL:
        if size & (size - 1) == 0:
            if size >= 2048:
                align = 256
            elif size >= 128:
                align = max(16, size // 8)
            else:
                align = 16
        pages = span_pages(size)
        if sizes:
            last = sizes[-1]
            lastpages = span_pages(last)
            if lastpages == pages and pages * PAGE // last == pages * PAGE // size:
                sizes[-1] = size
                size += align
                continue
        sizes.append(size)
        size += align
    return sizes


def spread(sizes):
    """Rounds each size up to what its span's count of objects allows, in multiples of 128."""
    out = []
    for size in sizes:
        if size > 1024:
            span = span_pages(size) * PAGE
            grown = span // (span // size) // 128 * 128
            size = max(size, grown)
        if not out or size > out[-1]:
            out.append(size)
    return out


def page_sizes():
    sizes, base = [], MAX_SMALL
    while base < MAX_CLASS:
        sizes += [base + base // 4 * i for i in range(1, 5)]
        base *= 2
    return sizes


def magazine_capacity(size):
    """Objects in a full magazine: enough to make the depot's lock cheap, few enough bytes."""
    for limit, capacity in ((256, 127), (1024, 63), (2048, 47), (4096, 31), (8192, 23), (16384, 15),
                            (32768, 11), (65536, 7), (131072, 3)):
        if size <= limit:
            return capacity
    return 1


def magazine_first(size):
    """The same while the class has few spans: 16 KB, but three at least, and no fewer of the smallest."""
    if size <= 256:
        return magazine_capacity(size)
    return min(magazine_capacity(size), max(16384 // size, 3 if size <= 65536 else 1))


def rows(values, width=16):
    lines = []
    for i in range(0, len(values), width):
        lines.append("    " + ", ".join(str(v) for v in values[i:i + width]) + ",")
    return "\n".join(lines)


def lookup(sizes, limit, step):
    table, cls = [], 1
    for size in range(0, limit + 1, step):
        while sizes[cls] < size:
            cls += 1
        table.append(cls)
    return table


def main():
    small = [s for s in spread(small_sizes()) if s <= MAX_SMALL]
    assert small[-1] == MAX_SMALL and all(s % 16 == 0 for s in small)
    sizes = [0] + small + page_sizes()
    out = ["// SPDX-License-Identifier: MIT",
           "/* Written by mksizeclasses.py: change that, not this. */", "// clang-format off", "",
           f"#define SIZE_CLASS_COUNT {len(sizes)}",
           f"#define SIZE_CLASS_FIRST_PAGE_CLASS {len(small) + 1}",
           f"#define SIZE_CLASS_SPAN_PAGES_MAX {max(span_pages(size) for size in small)}"
           " /* of those before it */", ""]
    out.append("/* size, pages a span, objects a span, 2^32 / size rounded up, magazine capacity at first and later */")
    out.append("#define SIZE_CLASS_ROWS \\")
    out.append("    {0, 0, 0, 0, 0, 0}, \\")
    for size in sizes[1:]:
        pages = span_pages(size) if size <= MAX_SMALL else size // PAGE
        objects = min(pages * PAGE // size, MAX_OBJECTS)
        magic = ((1 << 32) + size - 1) // size
        # An object alone in its span is checked by its address, not by this division.
        for offset in range(0, pages * PAGE if size <= MAX_SMALL else 0, 16):
            assert (offset * magic) >> 32 == offset // size
        out.append(f"    {{{size}, {pages}, {objects}, {magic}u, "
                   f"{magazine_first(size)}, {magazine_capacity(size)}}}, \\")
    out.append("")
    out += [f"#define SIZE_CLASS_OFFSET {POINTER} /* a class's, in an array of pointers by class */", ""]
    for name, table in (("OFFSETS_BY_BYTE", [cls * POINTER for cls in lookup(sizes, 1024, 1)]),
                        ("BY_128", lookup(sizes, MAX_SMALL, 128)),
                        ("BY_PAGE", lookup(sizes, MAX_CLASS, PAGE))):
        out.append(f"#define SIZE_CLASS_{name} \\")
        lines = rows(table, 24).split("\n")
        out += [line + " \\" for line in lines[:-1]] + [lines[-1], ""]
    sys.stdout.write("\n".join(out))


main()
