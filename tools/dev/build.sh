# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# ./dev build: one build directory per variant, set up once and again when its options change.

verb_build() {
    local variant
    variant=$(variant_of "${1:-}") ||
        die "build: no option \"$1\" (--debug, --asan, --ubsan, --tsan, --aarch64)"
    build_variant "$variant"
    say "built $(build_dir "$variant")/"
}

variant_of() {
    case $1 in
    '' | --release) echo release ;;
    --debug | --asan | --ubsan | --tsan | --aarch64) echo "${1#--}" ;;
    *) return 1 ;;
    esac
}

build_dir() {
    case $1 in
    release) echo build ;;
    *) echo "build-$1" ;;
    esac
}

# The meson options of a variant, one a line. A sanitizer that brings its own malloc can't share a
# process with ours, so asan and tsan build everything below the entry points, and its unit tests.
# (asan runs only those that start no heap: tests/meson.build.)
variant_options() {
    case $1 in
    release) echo --buildtype=release ;;
    bench) printf '%s\n' --buildtype=release -Dbench=true -Dentry_points=false -Dtests=false ;;
    debug) printf '%s\n' --buildtype=debug -Ddebug_checks=true ;;
    asan)
        printf '%s\n' --buildtype=debug -Doptimization=1 -Ddebug_checks=true \
            -Dentry_points=false -Db_sanitize=address
        ;;
    ubsan)
        printf '%s\n' --buildtype=debug -Doptimization=1 -Ddebug_checks=true \
            -Db_sanitize=undefined -Dc_args=-fno-sanitize-recover=all
        ;;
    tsan)
        printf '%s\n' --buildtype=debug -Doptimization=1 -Dentry_points=false -Db_sanitize=thread
        ;;
    fuzz)
        printf '%s\n' --buildtype=debug -Doptimization=2 -Ddebug_checks=true \
            -Dentry_points=false -Dtests=false -Dfuzz=true
        ;;
    aarch64)
        printf '%s\n' --buildtype=release --cross-file=tools/cross/aarch64.ini \
            "-Dcmocka_root=$PWD/build-aarch64/sysroot"
        ;;
    esac
}

need_build_tools() {
    need "to build" gcc:gcc libc6-dev:/usr/include/stdio.h binutils:ld meson:meson \
        ninja-build:ninja pkg-config:pkg-config
    need "to build the tests" libcmocka-dev:/usr/include/cmocka.h g++:g++
    need "for tests" valgrind:valgrind spin:spin
}

# build_variant VARIANT [TARGET…]: all of it, tests included, or the targets alone.
build_variant() {
    local variant=$1 dir
    shift
    dir=$(build_dir "$variant")
    need_build_tools
    if [ "$variant" = aarch64 ]; then
        source tools/dev/aarch64.sh
        prepare_aarch64 "$dir/sysroot"
    fi
    if [ "$variant" = fuzz ]; then
        need "to fuzz" clang:clang \
            libclang-rt-14-dev:/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a
        export CC=clang
    fi
    setup_variant "$variant" "$dir"
    run_ninja "$dir" "$@" || die "the $variant build failed"
}

# The release library without the tests: enough to run something under it.
build_library() {
    build_variant release libgoalloc.so.1 libgoalloc.a
}

# run_ninja DIR [TARGET…]: silent when there is nothing to do. Standard output is left to the verb.
run_ninja() {
    regenerate "$1" || return 1
    case $(ninja -C "$@" -n 2>&1) in
    *'no work to do'*) return ;;
    esac
    if [ -t 2 ]; then
        ninja -C "$@" >&2
    else
        ninja -C "$@" --quiet >&2
    fi
}

# The options a directory was set up with are kept beside it, to see when they changed.
setup_variant() {
    local dir=$2 options
    mapfile -t options < <(variant_options "$1")
    if [ -f "$dir/build.ninja" ] && [ "$(cat "$dir/dev-options" 2>/dev/null)" = "${options[*]}" ]
    then
        return
    fi
    say "setting up $dir/"
    mkdir -p "$dir"
    rm -rf "$dir"/{build.ninja,meson-private,meson-info}
    setup_quietly "$dir" "${options[@]}" || die "meson could not set up $dir/"
    echo "${options[*]}" >"$dir/dev-options"
}

# setup_quietly DIR OPTION…: meson's own account goes to a log, of which the end is shown on failure.
setup_quietly() {
    local log=$1/setup.log
    mkdir -p "$1"
    meson setup "$@" >"$log" 2>&1 || {
        tail -n 8 "$log" >&2
        return 1
    }
}

# Where a meson.build changed, ninja would run meson again in the middle of its own output.
regenerate() {
    ninja -C "$1" build.ninja >"$1/setup.log" 2>&1 || {
        tail -n 8 "$1/setup.log" >&2
        return 1
    }
}
