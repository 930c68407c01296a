# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# Python, by modules of its own test suite: each test's outcome is compared. One half of them runs
# with Python's own allocator in front of malloc, the other asks malloc for each object.

python=/usr/bin/python3 # Debian's, whose test suite libpython3.N-testsuite is

python_maps() {
    sees_library "$python" -c 'print(open("/proc/self/maps").read())'
}

python_modules() {
    python_maps
    under "$python" "$inputs/unittest_outcomes.py" "$@"
}

python_malloc_modules() {
    export PYTHONMALLOC=malloc
    python_modules "$@"
}

# Declares a case for each module: MODE is the function, SIZE, SECONDS and PREFIX as they say.
python_programs() {
    local mode=$1 prefix=$2 size=$3 seconds=$4 module
    shift 4
    for module in "$@"; do
        program "$prefix${module/./-}" "$size" "$seconds" both "$mode" "$module"
    done
}

python_programs python_malloc_modules python- quick 60 test_list test_dict test_set test_deque \
    test_json test_thread test_re test_unicode test_bytes test_array test_sort test_itertools \
    test_generators test_zlib test_mmap test_ctypes test_gc test_ordered_dict test_collections \
    test_heapq test_tuple test_struct test_memoryview test_functools test_xml_etree_c
python_programs python_modules python- quick 120 test_threading test_fork1 test_threading_local

# The long ones, all with Python's own allocator but for the last line.
python_programs python_modules python- full 600 test_queue test_subprocess test_io test_weakref \
    test_pickle test_bz2 test_lzma test_multiprocessing_fork test_threadsignals \
    test_asyncio.test_tasks test_asyncio.test_streams test_asyncio.test_subprocess \
    test_ssl test_signal test_compile test_buffer test_zipfile test_tarfile test_email test_ast \
    test_faulthandler test_decimal test_statistics test_hashlib test_posix test_os \
    test_concurrent_futures.ThreadPoolAsCompletedTest test_concurrent_futures.ThreadPoolWaitTests
python_programs python_malloc_modules python-malloc- full 600 test_pickle test_weakref \
    test_threading test_decimal test_email test_compile test_ast test_descr test_datetime \
    test_long test_typing test_dataclasses test_buffer test_minidom test_sax test_coroutines
