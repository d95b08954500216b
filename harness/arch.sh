# shellcheck shell=bash disable=SC2034 # the variables are for the scripts that source this
# The facts of each architecture that has a kernel, and of each ABI that has
# programs: the one place to add another.

ARCHES="x86_64 i386"

# For a kernel. guest: the QEMU command; debarch: whose busybox; objects:
# about how many a build from nothing compiles.
arch_facts() { # ARCH
	case $1 in
	x86_64 | i386)
		srcarch=x86
		image=arch/x86/boot/bzImage
		guest="qemu-system-x86_64 -M microvm,acpi=off -cpu ${CPU:-max}"
		console=ttyS0
		append="reboot=t tsc=reliable"
		;;
	*) die "no such architecture: '$1' (there are: $ARCHES)" ;;
	esac
	case $1 in
	x86_64) cross=x86_64-linux-gnu- debarch=amd64 objects=770 abis="x86_64 i386" ;;
	i386) cross=i686-linux-gnu- debarch=i386 objects=730 abis="i386" ;;
	esac
}

# For programs of an ABI. headers: the kernel's ARCH; elf: what `file` in the
# words of readelf, class and machine, says of such a program.
abi_facts() { # ABI
	case $1 in
	x86_64) abi_cc=x86_64-linux-gnu-gcc abi_cxx="g++" abi_objdump="objdump -b binary -m i386:x86-64 -D" headers=x86_64 elf="ELF64 Advanced Micro Devices X86-64" ;;
	i386) abi_cc=i686-linux-gnu-gcc abi_cxx="g++ -m32" abi_objdump="objdump -b binary -m i386 -D" headers=i386 elf="ELF32 Intel 80386" ;;
	*) die "no such ABI: '$1'" ;;
	esac
}
