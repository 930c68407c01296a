# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What every verb of ./dev uses: messages, the nearest word, and installing packages.
# Sourced with the repository's top as the current directory.

say() {
    printf '== %s\n' "$*" >&2
}

die() {
    printf './dev: %s\n' "$*" >&2
    exit 1
}

# nearest_word WORD CANDIDATE…: the candidate with the smallest edit distance.
nearest_word() {
    awk 'function min(a, b) { return a < b ? a : b }
        function distance(s, t,    i, j, d, cost) {
            for (i = 0; i <= length(s); i++) d[i, 0] = i
            for (j = 0; j <= length(t); j++) d[0, j] = j
            for (i = 1; i <= length(s); i++)
                for (j = 1; j <= length(t); j++) {
                    cost = substr(s, i, 1) != substr(t, j, 1)
                    d[i, j] = min(min(d[i-1, j] + 1, d[i, j-1] + 1), d[i-1, j-1] + cost)
                }
            return d[length(s), length(t)]
        }
        BEGIN {
            best = 1000
            for (k = 2; k < ARGC; k++) {
                d = distance(ARGV[1], ARGV[k])
                if (d < best) { best = d; word = ARGV[k] }
            }
            print word
        }' "$@"
}

# present PROBE: PROBE is a command, or an absolute path that may hold wildcards.
present() {
    case $1 in
    /*) compgen -G "$1" >/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

# need WHY PACKAGE:PROBE…: installs each package whose probe isn't there. Silent when all are.
need() {
    local why=$1 pair missing=()
    shift
    for pair in "$@"; do
        present "${pair#*:}" || missing+=("${pair%%:*}")
    done
    [ ${#missing[@]} -eq 0 ] || install_packages "$why" "${missing[@]}"
}

install_packages() {
    local why=$1 as_root=()
    shift
    command -v apt-get >/dev/null || die "needed $why, and no apt-get to install it: $*"
    if [ "$(id -u)" -ne 0 ]; then
        can_sudo || die "needed $why; install as root: apt-get install $*"
        as_root=(sudo)
    fi
    say "installing, needed $why: $*"
    apt_install "$@" || {
        say "that failed; refreshing the package lists and trying once more"
        apt_get update
        apt_install "$@"
    } || die "could not install: $*"
}

can_sudo() {
    command -v sudo >/dev/null || return 1
    sudo -n true 2>/dev/null || [ -t 0 ]
}

# Both read as_root from install_packages. Without a terminal to show progress on, only what goes
# wrong is shown.
apt_get() {
    local quiet=(-q)
    [ -t 2 ] || quiet=(-qq -o Dpkg::Use-Pty=0)
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get "${quiet[@]}" -o DPkg::Lock::Timeout=300 "$@" </dev/null | show_progress
}

show_progress() {
    if [ -t 2 ]; then cat >&2; else cat >/dev/null; fi
}

apt_install() {
    apt_get install -y --no-install-recommends "$@"
}
