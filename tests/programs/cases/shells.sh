# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# Shells: fork all the time, and have allocators of their own in bad moments (bash's malloc is not
# used in Debian).

bash_churn() {
    # shellcheck disable=SC2016
    sees_library bash -c 'while read -r line; do echo "$line"; done </proc/self/maps'
    under bash "$inputs/churn.bash"
}

zsh_churn() {
    # shellcheck disable=SC2016
    sees_library zsh -c 'while read -r line; do echo "$line"; done </proc/self/maps'
    # shellcheck disable=SC2016
    under zsh -f -c '
        typeset -A table
        for i in {1..30000}; do table[k$((i % 997))]+=$i; done
        for k in ${(ok)table}; do print -r -- $k ${#table[$k]} ${table[$k][1,20]}; done
        print -r -- ${(j:,:)${(on)table}} | cksum
        for i in {1..200}; do x=$(print -r -- ${(l:$i::x:)i}); print ${#x}; done
        for f in {1..20}; do (print $f & wait) done
    '
}

program bash-churn quick 120 both bash_churn
program zsh-churn full 120 both zsh_churn
