#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Builds a text, counts and indexes its words, sorts and rewrites lines: perl's hashes and strings.
use strict;
use warnings;

my $rounds = shift // 10;
my $seed   = 12345;

sub draw {
    my ($below) = @_;
    $seed = ($seed * 1103515245 + 12345) % 2147483648;
    return int($seed / 65536) % $below;
}

my @vocabulary = map {
    join '', map { chr(97 + draw(26)) } 0 .. draw(10)
} 1 .. 4000;

my $check = 0;
for my $round (1 .. $rounds) {
    my @lines = map {
        join ' ', map { $vocabulary[ draw(4000) ] } 0 .. 5 + draw(12)
    } 1 .. 4000;
    my (%count, %where);
    for my $number (0 .. $#lines) {
        for my $word (split / /, $lines[$number]) {
            $count{$word}++;
            push @{ $where{$word} }, $number;
        }
    }
    my @sorted = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
    my %groups;
    push @{ $groups{ length $_ } }, $_ for @sorted;
    for my $line (@lines) {
        (my $copy = $line) =~ s/\b(\w)(\w*)/\u$1$2/g;
        $check += length $copy;
    }
    $check += @sorted + scalar keys %groups;
}
print "$check\n";
