<?php
echo "started\n";

$c = FFI::cdef("void qsort(int *, size_t, size_t, int (*)(const int *, const int *));", "libc.so.6");
$numbers = FFI::new("int[3]");
foreach ([2, 3, 1] as $i => $n)
	$numbers[$i] = $n;
$c->qsort($numbers, 3, 4, fn($a, $b) => $a[0] - $b[0]);
if ([$numbers[0], $numbers[1], $numbers[2]] == [1, 2, 3])
	echo "called back\n";
