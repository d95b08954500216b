#!/bin/bash
# Prints the results as tables of Markdown, and draws plots in $WORK/bench, as SVG and PNG.
# docs/benchmarks.svg is overview.svg.
#   report.sh
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"

dir=$WORK/bench
open_work
[ -e "$dir/x86_64/bench.tsv" ] || die "there are no results yet: make bench"
python3 "$ROOT/harness/bench/report.py" "$dir"
say "plots: $dir/*.svg, *.png"
