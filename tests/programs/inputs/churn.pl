# SPDX-License-Identifier: MIT
# Strings, hashes, sorts, regular expressions, Storable and child processes; every figure printed
# follows from the seed.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use Storable qw(freeze thaw);
use Encode qw(encode decode);
use Data::Dumper;

my $state = 12345;
sub next_random { $state = ($state * 1103515245 + 12345) & 0x7fffffff; return $state >> 8 }

my %words;
for my $i (1 .. 60_000) {
    my $word = join '', map { chr(97 + next_random() % 26) } 1 .. 3 + next_random() % 4;
    push @{ $words{$word} }, $i;
    delete $words{$word} if @{ $words{$word} } > 3;
}
print scalar(keys %words), " words\n";
print sha256_hex(join ',', map { "$_=" . join '+', @{ $words{$_} } } sort keys %words), " hash\n";

my $text = join ' ', map { $_ x (1 + next_random() % 3) } (sort keys %words)[0 .. 4999];
(my $changed = $text) =~ s/([aeiou]+)([^aeiou ]*)/uc($1) . reverse($2)/ge;
print sha256_hex($changed), " substitution\n";
print scalar(() = $changed =~ /\b\w*([A-Z])\w*\1\w*\b/g), " matches\n";

my $copy = thaw freeze \%words;
$Data::Dumper::Sortkeys = 1;
$Data::Dumper::Indent = 0;
print sha256_hex(Dumper($copy)), " storable\n";

my $grown = '';
for my $i (1 .. 80_000) {
    $grown .= sprintf '%x', next_random();
    $grown = substr $grown, 100_000 if length $grown > 300_000;
}
print sha256_hex($grown), " growing string\n";
print sha256_hex(encode 'UTF-16LE', decode 'UTF-8', "\xe2\x82\xac" x 50_000), " encoding\n";

my @sorted = sort { $a->[0] <=> $b->[0] || $a->[1] cmp $b->[1] }
    map { [next_random() % 1000, sha256_hex($_)] } 1 .. 30_000;
print sha256_hex(join '', map { "@$_" } @sorted), " sort\n";

for my $child (1 .. 8) {
    pipe my $read, my $write or die;
    my $pid = fork // die;
    if (!$pid) {
        my %own = map { $_ => [1 .. $_ % 10] } 1 .. 20_000;
        print $write sha256_hex(join ',', sort keys %own), "\n";
        exit 0;
    }
    close $write;
    print "child $child: ", scalar <$read>;
    waitpid $pid, 0;
    print "status $?\n";
}
