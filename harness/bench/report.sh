#!/bin/bash
# Prints what was measured as tables of Markdown, and draws plots in $WORK/bench, as SVG
# and PNG. overview.svg there is docs/benchmarks.svg.
#   report.sh
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"

dir=$WORK/bench
open_work
[ -e "$dir/x86_64/bench.tsv" ] || die "nothing was measured yet: make bench"
python3 "$ROOT/harness/bench/report.py" "$dir"
say "plots: $dir/*.svg, *.png"
