#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage: table_is_current.sh MISUSE-PROGRAM docs/security.md
#
# The page has exactly the table that the program's own expectations make.
set -euo pipefail

diff <("$1" --table) <(sed -n '/^| mistake |/,/^$/p' "$2" | sed '/^$/d') || {
    echo "docs/security.md: replace the table by what \`misuse --table\` prints" >&2
    exit 1
}
