io.stdout:setvbuf("no")
print("started")

local ffi = require("ffi")

ffi.cdef("void qsort(int *, size_t, size_t, int (*)(const int *, const int *));")
local numbers = ffi.new("int[3]", 2, 3, 1)
ffi.C.qsort(numbers, 3, 4, function(a, b) return a[0] - b[0] end)
if numbers[0] == 1 and numbers[1] == 2 and numbers[2] == 3 then
	print("called back")
end
