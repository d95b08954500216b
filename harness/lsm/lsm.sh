#!/bin/bash
# Tests trampfd, and the usual ways to make code at run time, under each security module in
# enforcing mode: runs harness/lsm/lsm_test.c in guests of the kernel x86_64-lsm, with the
# policies of harness/lsm.
#   lsm.sh            builds everything, including the kernel, and tests all modules
#   lsm.sh --build    builds only the program and the policies
#   lsm.sh --list     prints the modules
#   lsm.sh MODULE     tests one module; prints TAP
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

MODULES="selinux apparmor landlock yama lockdown ima ipe"
kernel=x86_64-lsm
policies=$ROOT/harness/lsm
out=$WORK/lsm

build_program() {
	local include cc tests=$TREE/tools/testing/selftests/trampfd
	cc=$(fact cc x86_64)
	include=$("$ROOT/harness/kernel/headers.sh" x86_64)
	# kselftest_harness.h prints what it compares as an integer of 64 bits.
	$cc -static -O2 -Wall -Werror -Wno-pointer-to-int-cast \
		-isystem "$include" -I "$tests" -o "$out/lsm_test" "$policies/lsm_test.c" "$tests/abi.c" ||
		die "harness/lsm/lsm_test.c does not compile"
}

build_policies() {
	local policy features=/etc/apparmor.d/abi/kernel-5.4-vanilla
	local key=$WORK/$kernel/certs/signing_key.pem
	checkpolicy -U allow -c 33 -o "$out/selinux.policy" "$policies/selinux.conf" ||
		die "checkpolicy does not take harness/lsm/selinux.conf"
	# without --features the host's kernel would have a say
	apparmor_parser --policy-features "$features" --kernel-features "$features" \
		-QKT --ofile "$out/apparmor.policy" "$policies/apparmor.profile" ||
		die "apparmor_parser does not take harness/lsm/apparmor.profile"
	cp "$policies/ima.policy" "$out/"
	[ -e "$key" ] || die "there is no $key to sign policies with: make kernel ARCH=$kernel"
	# Documentation/admin-guide/LSM/ipe.rst
	for policy in allow except forbid; do
		openssl smime -sign -in "$policies/ipe-$policy.policy" -signer "$key" -inkey "$key" \
			-noattr -nodetach -nosmimecap -outform der -out "$out/ipe-$policy.p7b" ||
			die "openssl cannot sign harness/lsm/ipe-$policy.policy"
	done
}

build() {
	open_work
	mkdir -p "$out"
	build_program
	build_policies
}

guest() { # MODULE
	local lsm=$1 file files=
	[[ " $MODULES " = *" $1 "* ]] || die "no such security module: '$1' (there are: $MODULES)"
	case $1 in
	lockdown) lsm="lockdown lockdown=confidentiality" ;;
	ima) lsm= ;; # always there
	esac
	for file in "$out"/*.policy "$out"/*.p7b; do files+=" $file"; done
	FILES=$files APPEND="lsm=$lsm" CONSOLE=${CONSOLE:-$LOG/vm-$kernel-$1.console} \
		"$ROOT/harness/guest/vm.sh" $kernel "$out/lsm_test" -f "$1"
}

case ${1:-} in
'')
	"$ROOT/harness/kernel/kernel.sh" $kernel
	build
	failed=
	for module in $MODULES; do guest "$module" </dev/null || failed+=" $module"; done
	[ -z "$failed" ] || die "not as expected:$failed"
	;;
--build) build ;;
--list) echo "$MODULES" ;;
*) guest "$1" ;;
esac
