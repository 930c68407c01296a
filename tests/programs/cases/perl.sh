# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016,SC2028,SC2034,SC2154 # names shared with the other files
# Perl: an interpreter that lives on many small strings, and clones itself for each thread.

perl_maps() {
    sees_library perl -e 'open my $maps, "<", "/proc/self/maps"; print <$maps>'
}

perl_script() {
    perl_maps
    under perl "$inputs/$1"
}

program perl-churn quick 120 both perl_script churn.pl
program perl-threads quick 180 both perl_script threads.pl
