# SPDX-License-Identifier: MIT
# Perl's threads clone the whole interpreter, and free on one thread what another allocated.
use strict;
use warnings;
use threads;
use threads::shared;
use Thread::Queue;
use Digest::SHA qw(sha256_hex);

my %table = map { $_ => [("x$_") x 5] } 1 .. 5_000;
my $jobs = Thread::Queue->new(1 .. 400);
my %result : shared;
$jobs->end;

sub work {
    while (defined(my $job = $jobs->dequeue)) {
        my @list = map { $_ * $job % 997 } 1 .. 2_000;
        my $digest = sha256_hex(join ',', sort { $a <=> $b } @list);
        lock %result;
        $result{$job} = $digest . scalar @{ $table{$job} };
    }
    return scalar keys %table;
}

for my $round (1 .. 3) {
    my @threads = map { threads->create(\&work) } 1 .. 4;
    print 'threads see ', join(' ', map { $_->join } @threads), "\n";
    $jobs = Thread::Queue->new(1 .. 400);
    $jobs->end;
}
print sha256_hex(join "\n", map { "$_ $result{$_}" } sort { $a <=> $b } keys %result), "\n";
