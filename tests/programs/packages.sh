# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
#
# Reads packages.txt and installs what the selected cases lack. Only `run` sources this.

declare -a missing=()        # packages of this run that are not there
declare -A missing_first=()  # family and section → the first package of it that is not there

# python_version: of Debian's python3, or of the one that would be installed.
python_version() {
    if [[ -x /usr/bin/python3 ]]; then
        /usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])'
    else
        apt-cache depends python3 2>/dev/null | grep -oE -m1 '3\.[0-9]+' || printf '3\n'
    fi
}

# present PACKAGE COMMAND: the package is installed, or the command is there anyway.
present() {
    if [[ $2 == /* ]]; then
        compgen -G "$2" >/dev/null && return 0
    elif [[ $2 != - ]]; then
        command -v "$2" >/dev/null && return 0
    fi
    dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
}

# find_missing: fills `missing` and `missing_first` for the families of the selected cases.
find_missing() {
    local package command families member name section=quick
    local -A chosen=()
    for name in "${selected[@]}"; do chosen[${case_family[$name]}]=1; done
    missing=() missing_first=()
    while read -r package command families; do
        case $package in
        '[full]')
            [[ $quick == no ]] || break
            section=full
            continue
            ;;
        '' | '#'* | '[quick]') continue ;;
        esac
        package=${package/@/$(python_version)}
        for member in $families; do
            [[ -n ${chosen[$member]:-} ]] || continue
            present "$package" "$command" && break
            [[ " ${missing[*]} " == *" $package "* ]] || missing+=("$package")
            missing_first[$member/$section]=${missing_first[$member/$section]:-$package}
        done
    done <"$here/packages.txt"
}

# missing_package CASE: prints what the case lacks; fails if it lacks nothing. A quick case needs
# only the packages of the quick section.
missing_package() {
    local family=${case_family[$1]} package
    package=${missing_first[$family/quick]:-}
    [[ -n $package || ${case_size[$1]} == quick ]] || package=${missing_first[$family/full]:-}
    [[ -n $package ]] && printf '%s\n' "$package"
}

# apt ARG…: apt-get as root, by sudo where that needs no password to be typed.
apt() {
    local rise=()
    ((EUID == 0)) || rise=(sudo -n)
    "${rise[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" \
        >>"$scratch/apt.log" 2>&1 </dev/null
}

may_install() {
    command -v apt-get >/dev/null || return 1
    ((EUID == 0)) || sudo -n true 2>/dev/null
}

# install_packages: all in one go; where that fails, one by one, so that a package which this
# release does not have costs only its own cases.
install_packages() {
    local package
    find_missing
    ((${#missing[@]} > 0)) || return 0
    if ! may_install; then
        printf 'The cases need packages that are not here, and neither root nor sudo is:\n'
        printf '  apt-get install --no-install-recommends %s\n' "${missing[*]}"
        [[ $allow_skip == yes ]] || exit 1
        return 0
    fi
    printf 'Installing the programs that the cases run: %s\n' "${missing[*]}"
    apt update || printf 'apt-get update failed; trying with the lists at hand\n'
    if ! apt install -y --no-install-recommends "${missing[@]}"; then
        for package in "${missing[@]}"; do
            apt install -y --no-install-recommends "$package" ||
                printf 'cannot install %s: %s\n' "$package" \
                    "$(grep '^E:' "$scratch/apt.log" | tail -n 1)"
        done
    fi
    hash -r
    find_missing
}
