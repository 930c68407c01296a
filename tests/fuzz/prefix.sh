#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage: prefix.sh NAMES ARCHIVE OUTPUT
#
# Copies an archive, which may be a thin one, with a prefix to each name in NAMES (a list with
# comments, in which patterns are passed over).
set -euo pipefail

names=$1 archive=$2 output=$3
map=$(mktemp)
trap 'rm -f "$map"' EXIT
sed -E '/^#/d; s/ +/\n/g' "$names" | sed -nE 's/^[^*]+$/& fuzzed_&/p' >"$map"
rm -f "$output"
ar t "$archive" | xargs ar rcs "$output"
objcopy --redefine-syms="$map" "$output"
