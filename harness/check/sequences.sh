#!/bin/bash
# Compares the trampolines of an ABI, as a kernel makes them, with what the
# assembler makes of their sequences written down here: every mode and register.
#   sequences.sh KERNEL ABI
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

# Each takes the lines of sequences.c and writes assembly; t is the trampoline,
# d the distance to its slot.
assembly() { # ABI
	case $1 in
	x86_64) awk '
		BEGIN { split("rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15", reg) }
		{
			t = "t" NR; d = $5; load = $1 == 0 ? "mov" : "lea"
			print t ": endbr64"
			print load " " t "+" d "(%rip), %" reg[$2 + 1]
			print "jmp *" t "+" d "+8(%rip)"
			print ".balign " $4 ", 0xcc"
		}' ;;
	i386) awk '
		BEGIN { split("eax ecx edx ebx esp ebp esi edi", reg) }
		{
			data = "%" reg[$2 + 1]; base = $1 == 0 ? "%" reg[$3 + 1] : data
			print "endbr32"
			d = $5 - 9 # from the pop
			if ($1 == 2) print "push " data
			# where the distance would begin with 0f, as system calls do
			else if (d % 256 == 15) print "nop"
			if ($1 == 2 || d % 256 == 15) d--
			print "call 1f"
			print "1: pop " base
			if ($1 == 0) print "mov " d "(" base "), " data "\njmp *" d "+4(" base ")"
			else print "lea " d "(" data "), " data "\njmp *4(" data ")"
			print ".balign " $4 ", 0xcc"
		}' ;;
	arm64*) awk '
		{
			t = "t" NR; d = $5; load = $1 == 0 ? "ldr" : "adr"
			print t ": bti c"
			print load " x" $2 ", " t "+" d
			print "ldr x" $3 ", " t "+" d "+8"
			print "br x" $3
		}' ;;
	arm*) awk '
		{
			data = "r" $2
			print "add " data ", pc, #" $5 # pc is 8 ahead
			if ($1 == 0) print "ldmdb " data ", {" data ", pc}"
			else print "sub " data ", " data ", #8\nldr pc, [" data ", #4]\nudf #0xde0"
		}' ;;
	riscv64) awk '
		{
			data = "x" $2; scratch = "x" $3; base = $1 == 0 ? scratch : data
			print "t" NR ": auipc x0, 0" # lpad 0
			print "1: auipc " base ", %pcrel_hi(t" NR "+" $5 ")"
			low = "%pcrel_lo(1b)"; code = "%pcrel_lo(1b+8)"
			# where low + 8 is more than 2047, the auipc being at 4
			if ($1 == 1 || $5 % 4096 == 2048) {
				print "addi " base ", " base ", " low
				low = 0; code = 8
			}
			if ($1 == 0) print "ld " data ", " low "(" base ")"
			print "ld " scratch ", " code "(" base ")"
			print "jr " scratch "\n.balign " $4 ", 0"
		}' ;;
	esac
}

# Instructions are little-endian on big-endian kernels too. On riscv64 it is the
# linker that knows distances.
assembler() { # ABI -o OUTPUT SOURCE
	case $1 in
	x86_64) as --64 "${@:2}" ;;
	i386) as --32 "${@:2}" ;;
	arm64*) aarch64-linux-gnu-as -march=armv8.5-a "${@:2}" ;;
	arm*) arm-linux-gnueabihf-as -march=armv7-a "${@:2}" ;;
	riscv64)
		riscv64-linux-gnu-as -march=rv64i -mno-relax -o "$3.o" "$4"
		riscv64-linux-gnu-ld --no-relax -Ttext=0 -e 0 -o "$3" "$3.o"
		;;
	esac
}

# Of the first trampoline of each mode: instructions, and bytes without filler
report() {
	local offset mode stride choices objdump names=(DATA SLOT PUSH)
	objdump=$(fact disassembler "$abi")
	objdump=${objdump%% *}
	cut -d' ' -f1,4 "$dir/kernel" | awk '!seen[$1]++ { print offset + 0, $0 } { offset += $2 }' | while read -r offset mode stride; do
		choices=$(cut -d' ' -f1-3 "$dir/kernel" | sort -u | grep -c "^$mode ")
		$objdump -d --start-address="$offset" --stop-address=$((offset + stride)) "$dir/sequences.o" |
			awk -F'\t' -v name="${names[mode]}" -v stride="$stride" -v choices="$choices" '
			/^ *[0-9a-f]+:\t/ && $3 !~ /^(int3|udf)/ { n++; gsub(" ", "", $2); bytes += length($2) / 2 }
			END { printf "%s %d instructions, %d bytes of %d, %d in 4096 bytes; %d choices of registers\n", name, n, bytes, stride, 4096 / stride, choices }'
	done
}

kernel=$1 abi=$2
open_work
dir=$(mktemp -d "$WORK/sequences.XXXXXX")
trap 'rm -rf "$dir"' EXIT
nolibc_cc "$abi" "$dir/sequences" "$ROOT/harness/check/sequences.c"
"$ROOT/harness/guest/vm.sh" "$kernel" "$dir/sequences" >"$dir/kernel" </dev/null
assembly "$abi" <"$dir/kernel" >"$dir/sequences.s"
assembler "$abi" -o "$dir/sequences.o" "$dir/sequences.s"
objcopy -I "elf$(case $abi in *64*) echo 64 ;; *) echo 32 ;; esac)-little" -O binary -j .text "$dir/sequences.o" "$dir/assembled"
perl -ane 'print pack "H*", $F[5]' "$dir/kernel" >"$dir/generated"
[ -s "$dir/generated" ] || die "the kernel made no trampolines for $abi"
cmp "$dir/generated" "$dir/assembled" || die "the kernel's trampolines for $abi are not what the assembler makes of their sequences"
say "$abi on $kernel: $(wc -l <"$dir/kernel") trampolines as the assembler makes them"
report
