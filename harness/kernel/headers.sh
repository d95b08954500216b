#!/bin/bash
# Installs the user space headers of the overlaid tree for an ABI, in
# $WORK/headers/<abi>/include or in $INSTALL_HDR_PATH/include, and prints that path.
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
