# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# Compilers: hundreds of megabytes of small nodes that are never freed, or freed all at once. What
# they write must be the same, byte for byte.

# compile CXX OPTION…: an object file, then a program, which is run.
compile() {
    local cxx=$1
    shift
    cp "$inputs/heavy.cpp" .
    under "$cxx" -std=c++17 "$@" -c heavy.cpp -o heavy.o
    digest <heavy.o
    under "$cxx" heavy.o -o heavy
    under ./heavy
}

gcc_heavy() {
    require_child "$(g++ -print-prog-name=cc1plus)"
    require_child "$(g++ -print-prog-name=as)"
    require_child "$(g++ -print-prog-name=ld)"
    compile g++ "$@"
}

# The compiler saves its heap in the precompiled header and maps it back at the same address.
gcc_precompiled() {
    printf '#include <map>\n#include <string>\n#include <regex>\n' >all.h
    printf '#include "all.h"\nstd::map<std::string, std::regex> table;\n' >use.cpp
    under g++ -std=c++17 -O1 -x c++-header all.h -o all.h.gch
    mv all.h elsewhere.h # the precompiled one or nothing
    under g++ -std=c++17 -O1 -Winvalid-pch -S use.cpp -o - | digest
}

gcc_lto() {
    local i
    for i in 1 2 3 4; do
        printf 'int f%d(int x) { return x * %d + f%d(x); }\n' "$i" "$i" $((i - 1)) |
            sed "1i int f$((i - 1))(int);" >"$i.c"
        under gcc -O2 -flto -c "$i.c"
    done
    printf '%s\n' 'int f0(int x) { return x; }' 'int f4(int);' \
        'int main(void) { return f4(3) % 100; }' >0.c
    under gcc -O2 -flto=2 0.c ./*.o -o all
    under ./all || echo "returns $?"
}

clang_heavy() {
    compile clang++ "$@"
}

# tcc runs the program within itself.
tcc_run() {
    local i
    {
        echo '#include <stdio.h>'
        echo '#include <stdlib.h>'
        for ((i = 0; i < 3000; i++)); do
            printf 'static int f%d(int x) { char *p = malloc(x + %d); ' "$i" "$i"
            printf 'int r = p ? x %% 7 : 9; free(p); return r; }\n'
        done
        echo 'int main(void) { long n = 0;'
        for ((i = 0; i < 3000; i++)); do printf 'n += f%d(%d);\n' "$i" $((i * 17)); done
        cat <<'END'
printf("%ld\n", n); return 0; }
END
    } >all.c
    under tcc -run all.c
    under tcc -c all.c -o all.o
    digest <all.o
}

program gcc-heavy quick 300 both gcc_heavy -O1 -g -DTYPES=3
program gcc-precompiled quick 120 both gcc_precompiled
program gcc-lto full 120 both gcc_lto
program gcc-optimise full 900 both gcc_heavy -O3 -DTYPES=12
program clang-heavy full 600 both clang_heavy -O2 -g -DTYPES=10
program tcc-run full 60 both tcc_run
