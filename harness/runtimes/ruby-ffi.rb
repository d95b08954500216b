$stdout.sync = true
puts "started"

require "ffi"

module C
  extend FFI::Library
  ffi_lib FFI::Library::LIBC
  callback :compare, [:pointer, :pointer], :int
  attach_function :qsort, [:pointer, :size_t, :size_t, :compare], :void
end

numbers = FFI::MemoryPointer.new(:int, 3)
numbers.write_array_of_int([2, 3, 1])
C.qsort(numbers, 3, 4, proc { |a, b| a.read_int - b.read_int })
puts "called back" if numbers.read_array_of_int(3) == [1, 2, 3]
