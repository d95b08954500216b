$stdout.sync = true
puts "started"

require "fiddle"

include Fiddle
qsort = Function.new(dlopen("libc.so.6")["qsort"], [TYPE_VOIDP, TYPE_SIZE_T, TYPE_SIZE_T, TYPE_VOIDP], TYPE_VOID)
compare = Closure::BlockCaller.new(TYPE_INT, [TYPE_VOIDP, TYPE_VOIDP]) do |a, b|
  a[0, 4].unpack1("l") - b[0, 4].unpack1("l")
end
numbers = [2, 3, 1].pack("l*")
qsort.call(numbers, 3, 4, compare)
puts "called back" if numbers.unpack("l*") == [1, 2, 3]
