# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the aarch64 cross build needs beside the build's own packages: a cross compiler, qemu's user
# mode, and cmocka for arm64. tools/cross/README.md says how the last is come by.

prepare_aarch64() {
    need "to build for aarch64" gcc-aarch64-linux-gnu:aarch64-linux-gnu-gcc \
        libc6-dev-arm64-cross:/usr/aarch64-linux-gnu/include/stdio.h
    need "to run aarch64 programs" qemu-user:qemu-aarch64
    [ -f "$1/usr/include/cmocka.h" ] || fetch_cmocka "$1"
}

# fetch_cmocka SYSROOT: unpacks the arm64 packages there. apt keeps its lists for arm64 in a scratch
# directory, so that the system's own configuration stays as it is.
fetch_cmocka() {
    local scratch
    scratch=$(mktemp -d)
    say "fetching cmocka for arm64 into $1/"
    download_arm64 "$scratch" libcmocka-dev libcmocka0 >"$scratch/log" 2>&1 || {
        tail -n 5 "$scratch/log" >&2
        rm -rf "$scratch"
        die "could not fetch libcmocka for arm64 (tools/cross/README.md)"
    }
    mkdir -p "$1"
    local package
    for package in "$scratch"/*.deb; do
        dpkg-deb -x "$package" "$1"
    done
    rm -rf "$scratch"
}

download_arm64() (
    cd "$1" || exit
    shift
    mkdir -p lists/partial archives/partial
    touch status
    local options=(-q -o "Dir::State::Lists=$PWD/lists" -o "Dir::State::status=$PWD/status"
        -o "Dir::Cache=$PWD" -o "Dir::Cache::archives=$PWD/archives"
        -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update
    apt-get "${options[@]}" download "$@"
)
