print("started", flush=True)

import ctypes

numbers = (ctypes.c_int * 3)(2, 3, 1)
Compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
ctypes.CDLL("libc.so.6").qsort(numbers, 3, 4, Compare(lambda a, b: a[0] - b[0]))
if list(numbers) == [1, 2, 3]:
    print("called back")
