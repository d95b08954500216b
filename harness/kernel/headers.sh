#!/bin/bash
# Installs the overlaid tree's user space headers, as each ABI sees them, below
# $WORK/headers/<abi>/include, or below INSTALL_HDR_PATH.
#   headers.sh ABI
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

headers=$(fact headers "$1")
open_work
dest=${INSTALL_HDR_PATH:-$WORK/headers/$1}
log=$LOG/headers-$1.log
mkdir -p "$WORK/headers/$1/obj"
lock "$WORK/headers/$1"
make -C "$TREE" O="$WORK/headers/$1/obj" ARCH="$headers" INSTALL_HDR_PATH="$dest" \
	headers_install >"$log" 2>&1 ||
	die "the headers for $1 cannot be installed: $(tail -n 3 "$log") (log: $log)"
echo "$dest/include"
