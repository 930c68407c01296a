#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage: setuid_programs_ignore_options.sh BUILD-DIRECTORY
#
# A program that runs with more rights than its caller has (AT_SECURE) ignores GOALLOC. Needs root to
# make one, and a temporary directory where setuid counts; skipped elsewhere.
set -euo pipefail

skip() {
    echo "skipped: $*"
    exit 77
}

fail() {
    echo "$*" >&2
    exit 1
}

[ "$(id -u)" -eq 0 ] || skip "only root can make a program setuid for another user"
command -v setpriv >/dev/null || skip "there is no setpriv"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
cat >"$root/program.c" <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>

int main(void)
{
    free(malloc(100));
    puts(getauxval(AT_SECURE) ? "secure" : "plain");
    return 0;
}
C
cc "$root/program.c" "$1/libgoalloc.a" -pthread -o "$root/program"

nobody() {
    GOMEMLIMIT=perhaps GOALLOC=stats,stast setpriv --reuid=65534 --regid=65534 --clear-groups "$root/program" \
        2>"$root/errors"
}

[ "$(nobody)" = plain ] || fail "expected a plain program first"
grep -q 'did you mean' "$root/errors" || fail "expected a plain program to read GOALLOC"
grep -q 'GOMEMLIMIT can.t be "perhaps"' "$root/errors" ||
    fail "expected a plain program to read GOMEMLIMIT"
grep -q resident "$root/errors" || fail "expected a plain program to print its summary"

chmod u+s "$root/program"
[ "$(nobody)" = secure ] || skip "setuid doesn't count in $root"
[ ! -s "$root/errors" ] ||
    fail "expected a setuid program to ignore GOALLOC, it printed: $(cat "$root/errors")"
