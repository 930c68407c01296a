# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# ./dev lint: one line per check, what is wrong under the ones that fail, and a summary.

checks=(format shell gcc clang tidy cppcheck arrows syscalls no-libc-alloc symbols hotpath files docs)

verb_lint() {
    local check status=0
    case ${1:-} in
    --list)
        printf '%s\n' "${checks[@]}"
        return
        ;;
    esac
    if [ $# -gt 0 ]; then
        for check in "$@"; do known_check "$check"; done
        checks=("$@")
    fi
    need_lint_tools
    mkdir -p build-lint
    run_checks || status=1
    return $status
}

known_check() {
    local check
    for check in "${checks[@]}"; do
        [ "$check" != "$1" ] || return 0
    done
    die "lint: no check \"$1\"; did you mean \"$(nearest_word "$1" "${checks[@]}")\"?"
}

need_lint_tools() {
    need_build_tools
    need "to lint" clang:clang clang-tidy:clang-tidy clang-format:clang-format \
        cppcheck:cppcheck shellcheck:shellcheck python3:python3 binutils:objdump
}

run_checks() {
    local check log start passed=0 failed=0
    for check in "${checks[@]}"; do
        start=$SECONDS
        log=build-lint/$check.log
        printf '%-14s ' "$check"
        if ("lint_${check//-/_}") >"$log" 2>&1 </dev/null; then
            passed=$((passed + 1))
            printf 'ok    %3d s  %s\n' $((SECONDS - start)) "$(note "$log")"
        else
            failed=$((failed + 1))
            printf 'FAIL  %3d s\n' $((SECONDS - start))
            complaints "$log"
        fi
    done
    printf '\nlint: %d ok, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ]
}

# The start of a check's output; the rest stays in its log.
complaints() {
    local lines
    lines=$(wc -l <"$1")
    head -n 60 "$1" | sed 's/^/    /'
    [ "$lines" -le 60 ] || printf '    … %d more lines in %s\n' $((lines - 60)) "$1"
}

# A check's last line is shown beside its "ok" when it starts with "note: ".
note() {
    tail -n 1 "$1" | sed -n 's/^note: //p'
}

c_files() {
    local folders=() folder
    for folder in src include tests bench examples; do
        [ ! -d "$folder" ] || folders+=("$folder")
    done
    find "${folders[@]}" -type f \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) | sort
}

shell_files() {
    find .ci bench dev tests tools -type f 2>/dev/null | sort |
        while read -r file; do
            case $file in
            *.sh) echo "$file" ;;
            *) head -n 1 "$file" | grep -qaE '^#!/.*\b(ba)?sh\b' && echo "$file" ;;
            esac
        done || true
}

lint_format() {
    c_files | xargs clang-format --dry-run -Werror
}

lint_shell() {
    shell_files | xargs shellcheck --external-sources --severity=warning
}

# A whole build with warnings as errors, tests included, by the compiler named.
warnings_build() {
    warnings_setup "$1" && run_ninja "build-lint/$1"
}

warnings_setup() {
    [ -f "build-lint/$1/build.ninja" ] ||
        CC=$1 setup_quietly "build-lint/$1" --werror --buildtype=release
}

lint_gcc() {
    warnings_build gcc
}

lint_clang() {
    warnings_build clang
}

# Reads how each file is compiled from the clang build.
lint_tidy() {
    warnings_setup clang || return 1
    # Each run counts the warnings it left out, on a line of its own.
    find src -name '*.c' | sort |
        xargs -n 1 -P "$(nproc)" clang-tidy --quiet -p build-lint/clang --warnings-as-errors='*' \
            2> >(grep -v '^[0-9]* warnings\? generated' >&2)
}

lint_cppcheck() {
    cppcheck --quiet --error-exitcode=1 --std=c11 -j "$(nproc)" -I src -I include \
        --enable=warning,performance,portability --inline-suppr \
        --suppressions-list=tools/lint/cppcheck-suppressions.txt -D__x86_64__ -D__LP64__ src
}

lint_arrows() {
    tools/lint/arrows
}

lint_syscalls() {
    tools/lint/syscalls
}

lint_no_libc_alloc() {
    build_library &&
        tools/lint/no-libc-alloc build/libgoalloc.a build/libgoalloc.so.1.p/*.o
}

lint_symbols() {
    build_library && tools/lint/symbols build/libgoalloc.so
}

lint_hotpath() {
    if [ "$(uname -m)" != x86_64 ]; then
        echo "note: only on x86-64"
        return
    fi
    build_library && tools/lint/hotpath build/libgoalloc.so
}

lint_files() {
    tools/lint/files
}

lint_docs() {
    tools/lint/docs
}
