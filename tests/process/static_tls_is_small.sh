#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage: static_tls_is_small.sh BUILD-DIRECTORY
#
# The library's thread-local storage is at most 64 bytes: what is always left for a library that is
# opened while the program runs.
set -euo pipefail

tls=$(readelf --program-headers --wide "$1/libgoalloc.so" | awk '$1 == "TLS" { print $6 }')
bytes=$((${tls:-0}))
if [ "$bytes" -lt 8 ] || [ "$bytes" -gt 64 ]; then
    echo "expected 8 to 64 bytes of thread-local storage, found $bytes" >&2
    exit 1
fi
