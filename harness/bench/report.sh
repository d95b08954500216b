#!/bin/bash
# Puts what was measured into tables, of reStructuredText, on its output, and plots
# into $WORK/bench, as SVG and PNG.
#   report.sh
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"

dir=$WORK/bench
open_work
[ -e "$dir/x86_64/bench.tsv" ] || die "nothing was measured yet: make bench"
python3 "$ROOT/harness/bench/report.py" "$dir"
say "plots: $dir/*.svg, *.png"
