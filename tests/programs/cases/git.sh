# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# git: packs on several threads, maps pack files, and frees little before it ends.

# A history for fast-import: each commit changes three of sixty files and adds a line to a log.
git_history() {
    awk -v commits="$1" 'BEGIN {
        for (c = 1; c <= commits; c++) {
            printf "commit refs/heads/main\nmark :%d\n", c
            printf "committer A <a@example.org> %d +0000\n", 1000000000 + c * 60
            printf "data <<END\nChange %d\n\nReason %d\nEND\n", c, c * 7919 % 1009
            if (c % 37 == 0) printf "merge :%d\n", c - 20
            for (f = 0; f < 3; f++) {
                file = (c * 7 + f * 13) % 60
                printf "M 644 inline dir%d/file%d.txt\ndata <<END\n", file % 7, file
                for (l = 0; l < 150 + file * 3; l++)
                    printf "line %d of %d: %d\n", l, file, (l * 31 + int(c / (l % 9 + 1))) % 10007
                printf "END\n"
            }
            printf "\n"
        }
    }'
}

git_gc() {
    export GIT_CONFIG_NOSYSTEM=1
    under git init -q -b main repo
    cd repo || return
    git_history "$1" | under git fast-import --quiet --force
    under git config pack.threads 2
    under git config user.email a@example.org
    under git config user.name A
    under git rev-parse main
    under git checkout -q main
    under git repack -q -a -d -f --window=30 --depth=30
    under git gc -q --aggressive --prune=now
    under git fsck --full --strict
    under git count-objects -v | grep -E '^(count|in-pack|packs|garbage):'
    under git log --stat --format='%H %s' | digest
    under git log -p -M -C --format=%H -n 60 | digest
    under git grep -c -E '1[0-9]+7$' main | digest
    under git blame -w dir3/file10.txt | digest
    under git clone -q --no-local . ../copy
    under git -C ../copy fsck
    under git -C ../copy rev-parse HEAD
    under git merge-tree "$(git merge-base main~9 main~3)" main~9 main~3 | digest
    under git archive --format=tar main | digest
}

program git-gc quick 180 both git_gc 250
program git-gc-large full 600 both git_gc 600
