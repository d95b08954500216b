# shellcheck shell=bash disable=SC2034 # the variables are for the scripts that source this
# The facts of each architecture that has a kernel, and of each ABI that has
# programs: the one place to add another.
#
# A kernel is named ARCH or ARCH-VARIANT: one of the same architecture that has
# harness/kernel/config/VARIANT.config as well; ARCH-ONE+TWO has both.

ARCHES="x86_64 i386 arm64 arm riscv64"

# For a kernel. base, variant: the parts of its name; make_arch: the ARCH of the
# kernel's make, srcarch: its directory; variants: the kernels of the architecture
# to test beside it, and rarer: those that check-all alone tests; guest: the QEMU
# command, and cpus: which of its processors to test on, the first if CPU does not
# say; borrowed: files of ours of another architecture that it builds too; debarch:
# whose busybox, none where Debian has no C library; objects: about how many a
# build from nothing compiles; checkers: kernels with the kernel's own checkers,
# which find what a test alone does not see; memory, smp: of a guest, and how many
# processors it has.
arch_facts() { # KERNEL
	base=${1%%-*} variant=
	[ "$base" = "$1" ] || variant=${1#*-}
	borrowed='' rarer='' checkers='' gcc='' memory=512M smp=2 make_arch=$base
	case $base in
	x86_64 | i386)
		srcarch=x86
		image=arch/x86/boot/bzImage
		machine="qemu-system-x86_64 -M microvm,acpi=off" cpus="max"
		console=ttyS0
		# On a busy host a guest can miss the timer's first ticks: no panic for that
		append="reboot=t tsc=reliable no_timer_check"
		;;
	arm64)
		srcarch=arm64 borrowed=arch/arm/kernel/trampfd_a32
		image=arch/arm64/boot/Image.gz
		# max: BTI, pointer authentication, memory tagging; cortex-a53: none of them
		machine="qemu-system-aarch64 -M virt,gic-version=3" cpus="max,pauth-impdef=on cortex-a53"
		console=ttyAMA0
		append=
		;;
	arm)
		srcarch=arm
		image=arch/arm/boot/zImage
		machine="qemu-system-arm -M virt" cpus="cortex-a15"
		console=ttyAMA0
		append=
		;;
	riscv64)
		srcarch=riscv make_arch=riscv gcc=-16
		image=arch/riscv/boot/Image
		# QEMU 7.2 has no processor with landing pads (Zicfilp). Its firmware,
		# OpenSBI 1.1, says that a second one is to start before it says where:
		# if that looks in between, it enters the kernel anew, in the midst of
		# the boot.
		machine="qemu-system-riscv64 -M virt" cpus="rv64" smp=1
		console=ttyS0
		append=earlycon
		;;
	*) die "no such architecture: '$base' (there are: $ARCHES)" ;;
	esac
	case $base in
	x86_64) cross=x86_64-linux-gnu- debarch=amd64 objects=770 abis="x86_64 i386" variants='' checkers="debug kcsan" ;;
	i386) cross=i686-linux-gnu- debarch=i386 objects=730 abis="i386" variants= ;;
	arm64) cross=aarch64-linux-gnu- debarch=arm64 objects=670 abis="arm64 arm" variants="64k be" rarer=16k checkers="debug kcsan" ;;
	arm) cross=arm-linux-gnueabihf- debarch=armhf objects=690 abis="arm" variants='' rarer=be ;;
	riscv64) cross=riscv64-linux-gnu- debarch=riscv64 objects=800 abis="riscv64" variants= ;;
	esac
	case $1 in
	arm64-16k | arm64-64k) cpus="${cpus%% *}" ;;
	x86_64-lsm) objects=1130 ;;
	arm64-be) cpus="${cpus%% *}" debarch='' abis="arm64_be arm_be" ;;
	arm-be) debarch='' abis="arm_be" ;;
	*-debug) memory=1G ;; # of which KASAN's shadow takes an eighth
	esac
	cpu=${CPU:-${cpus%% *}}
	case $base,$cpu in arm64,max*) machine+=,mte=on ;; esac
	guest="$machine -cpu $cpu"
	toolchain=(CROSS_COMPILE="$cross" CC="ccache ${cross}gcc$gcc")
}

# The kernel to run programs of an ABI on, the one that most of them run on
kernel_of() { # ABI
	case $1 in i386) echo x86_64 ;; arm) echo arm64 ;; *) echo "$1" ;; esac
}

llvm=-22 # of LLVM's tools

# The kernel's make, after arch_facts, for the build directory $out. What does
# not depend on who builds where and when gives a compiler cache its hits.
kmake() {
	make -C "$TREE" O="$out" ARCH="$make_arch" "${toolchain[@]}" LOCALVERSION= \
		KBUILD_BUILD_TIMESTAMP=1970-01-01 KBUILD_BUILD_VERSION=1 KBUILD_BUILD_USER=trampfd KBUILD_BUILD_HOST=trampfd \
		-j"$(nproc)" "$@"
}

# For programs of an ABI. headers: the kernel's ARCH; elf: what readelf says of
# such a program, class, data and machine. Debian has no C library for the
# big-endian ones: their programs are freestanding. Those of arm are to be loaded
# by arm64 kernels of any page size too.
abi_facts() { # ABI
	case $1 in
	x86_64) abi_cc=x86_64-linux-gnu-gcc abi_cxx="g++" headers=x86_64 elf="ELF64 little X86-64" disassembler="objdump -m i386:x86-64" ;;
	i386) abi_cc=i686-linux-gnu-gcc abi_cxx="g++ -m32" headers=i386 elf="ELF32 little 80386" disassembler="objdump -m i386" ;;
	arm64) abi_cc=aarch64-linux-gnu-gcc headers=arm64 elf="ELF64 little AArch64" ;;
	arm) abi_cc="arm-linux-gnueabihf-gcc -Wl,-z,max-page-size=65536" headers=arm elf="ELF32 little ARM" ;;
	riscv64) abi_cc=riscv64-linux-gnu-gcc-16 headers=riscv elf="ELF64 little RISC-V" ;;
	arm64_be) abi_cc="aarch64-linux-gnu-gcc -mbig-endian" headers=arm64 elf="ELF64 big AArch64" ;;
	arm_be) abi_cc="arm-linux-gnueabihf-gcc -Wl,-z,max-page-size=65536 -mbig-endian -Wl,--be8" headers=arm elf="ELF32 big ARM" ;;
	*) die "no such ABI: '$1'" ;;
	esac
	# Instructions are little-endian on both.
	case $1 in
	arm64*) abi_cxx=${abi_cc/gcc/g++} disassembler="aarch64-linux-gnu-objdump -m aarch64" ;;
	arm*) abi_cxx=${abi_cc/gcc/g++} disassembler="arm-linux-gnueabihf-objdump -m arm" ;;
	riscv64) abi_cxx=${abi_cc/gcc/g++} disassembler="riscv64-linux-gnu-objdump -m riscv:rv64" ;;
	esac
	abi_objdump="$disassembler -b binary -D"
}

# Compiles a freestanding program with the kernel's nolibc.
nolibc_cc() { # ABI OUTPUT SOURCE [FLAG...]
	local abi=$1 out=$2 source=$3 include
	shift 3
	include=$("$ROOT/harness/kernel/headers.sh" "$abi")
	abi_facts "$abi"
	$abi_cc -static -nostdlib -O2 -Wall -Wextra -fno-stack-protector -fno-asynchronous-unwind-tables \
		-I "$TREE/tools/include/nolibc" -isystem "$include" "$@" -o "$out" "$source" -lgcc
}
