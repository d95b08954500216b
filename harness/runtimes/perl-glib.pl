use strict;
use warnings;

BEGIN { $| = 1; print "started\n"; }

use Glib::Object::Introspection;

Glib::Object::Introspection->setup(basename => 'Gio', version => '2.0', package => 'Gio');
my $cancellable = Gio::Cancellable->new;
$cancellable->connect(sub { print "called back\n" }, undef);
$cancellable->cancel;
