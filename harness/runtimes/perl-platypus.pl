use strict;
use warnings;

BEGIN { $| = 1; print "started\n"; }

use FFI::Platypus 2.00;

my $ffi = FFI::Platypus->new(api => 2, lib => [undef]);
$ffi->type('(opaque, opaque)->sint32' => 'compare_t');
my $compare = $ffi->closure(sub {
	my ($x, $y) = map { ${ $ffi->cast('opaque', 'sint32*', $_) } } @_;
	return $x - $y;
});
my @numbers = (2, 3, 1);
$ffi->function(qsort => ['sint32[3]', 'size_t', 'size_t', 'compare_t'] => 'void')->call(\@numbers, 3, 4, $compare);
print "called back\n" if "@numbers" eq '1 2 3';
