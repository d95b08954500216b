print("started", flush=True)

import cffi

ffi = cffi.FFI()
ffi.cdef("void qsort(int *, size_t, size_t, int (*)(const int *, const int *));")
compare = ffi.callback("int(const int *, const int *)", lambda a, b: a[0] - b[0])
numbers = ffi.new("int[]", [2, 3, 1])
ffi.dlopen(None).qsort(numbers, 3, 4, compare)
if list(numbers) == [1, 2, 3]:
    print("called back")
