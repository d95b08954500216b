#!/bin/bash
# Puts what was measured into tables, of reStructuredText, on its output, and plots
# into $WORK/bench (gnuplot), as SVG and PNG.
#   report.sh
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"

dir=$WORK/bench
call_abis="x86_64 i386 arm64 arm" native_abis="x86_64 i386"

# Lines of fields between tabs, the first being the heads of the columns
rst_table() {
	awk -F'\t' '
		{ for (i = 1; i <= NF; i++) { cell[NR, i] = $i == "" ? (i == 1 ? "\\" : "-") : $i; if (length(cell[NR, i]) > width[i]) width[i] = length(cell[NR, i]) } if (NF > columns) columns = NF }
		function rule(  i) { for (i = 1; i <= columns; i++) printf "%s%s", sprintf("%*s", width[i], ""), i < columns ? "  " : "\n" }
		function line(  i, s) { for (i = 1; i <= columns; i++) { s = sprintf("%*s", width[i], ""); gsub(/ /, "=", s); printf "%s%s", s, i < columns ? "  " : "\n" } }
		END {
			line()
			for (r = 1; r <= NR; r++) {
				for (i = 1; i <= columns; i++) printf i < columns ? "%-*s  " : "%-*s\n", width[i], (r, i) in cell ? cell[r, i] : "-"
				if (r == 1) line()
			}
			line()
		}' | sed 's/ *$//'
}

# The numbers of bench.tsv: a row a peer, a column for each WHAT@N, "NAME=WHAT@N";
# "/" after N divides by it, "-" takes off what the first peer has.
rows() { # FILE COLUMN...
	local file=$1
	shift
	printf '%s\n' "$@" | awk -F'\t' '
		NR == FNR { split($0, c, "[=@]"); head[++columns] = c[1]; what[columns] = c[2]; n[columns] = c[3]; next }
		NF != 4 { next } # what a library says
		{ value[$1, $2, $3] = $4; if (!seen[$1]++) peer[++peers] = $1 }
		function number(v,  i) {
			if (v !~ /^-?[0-9.]+$/) return v
			if (v < 100 && v > -100) { v = sprintf("%.1f", v); sub(/\.0$/, "", v); return v == "-0" ? 0 : v }
			v = sprintf("%.0f", v)
			for (i = length(v) - 3; i > (v < 0); i -= 3) v = substr(v, 1, i) "," substr(v, i + 1)
			return v
		}
		END {
			for (i = 1; i <= columns; i++) printf "\t%s", head[i]
			print ""
			for (p = 1; p <= peers; p++) {
				printf "%s", peer[p]
				for (i = 1; i <= columns; i++) {
					m = n[i]; sub(/[-\/]$/, "", m)
					v = value[peer[p], m, what[i]]
					if (v == "" && (peer[p], m, "stops") in value) v = "stops at " value[peer[p], m, "stops"]
					else if (v == "") v = (peer[p], m, "fails") in value ? "fails" : ""
					else if (n[i] ~ /\/$/) v /= m
					else if (n[i] ~ /-$/) v -= value[peer[1], m, what[i]]
					printf "\t%s", number(v)
				}
				print ""
			}
		}' - "$file" | sed '1s/^/Trampolines/'
}

# The numbers of a WHAT with N trampolines, a column an ABI, a row a peer; "less": what
# is more than the first peer's
by_abi() { # N WHAT [less]
	local abi files=()
	for abi in $call_abis; do
		[ ! -e "$dir/$abi/bench.tsv" ] || files+=("$dir/$abi/bench.tsv")
	done
	awk -F'\t' -v n="$1" -v what="$2" -v less="${3:-}" '
		FNR == 1 { abi[++abis] = FILENAME; sub(/\/bench.tsv$/, "", abi[abis]); sub(/.*\//, "", abi[abis]) }
		$2 == n && $3 == what { value[$1, abis] = $4; if (!seen[$1]++) peer[++peers] = $1 }
		function number(v) { v = sprintf(v < 100 && !less ? "%.1f" : "%.0f", v); sub(/\.0$/, "", v); return v == "-0" ? 0 : v }
		END {
			printf "Trampolines"
			for (a = 1; a <= abis; a++) printf "\t%s", abi[a]
			for (p = 1; p <= peers; p++) {
				printf "\n%s", peer[p]
				for (a = 1; a <= abis; a++) printf "\t%s", (peer[p], a) in value ? number(value[peer[p], a] - (less ? value[peer[1], a] : 0)) : ""
			}
			print ""
		}' "${files[@]}"
}

section() { printf '\n%s\n\n' "$*"; }

tables() {
	local abi file=$dir/x86_64/bench.tsv
	section "Instructions for each, to make and set it, by how many are made (x86_64)"
	rows "$file" "1=create instructions each@1" "1,000=create instructions each@1000" "100,000=create instructions each@100000" \
		"1,000,000=create instructions each@1000000" "3,000,000=create instructions each@3000000" | rst_table
	section "Of a million (x86_64), for each: instructions of the first call, of setting it again, of freeing in random order or releasing all at once; in all: page faults, calls to map and protect memory"
	rows "$file" "first call=first call instructions each@1000000" "set=set instructions each@1000000" \
		"free=free instructions each@1000000" "release=release instructions each@1000000" "faults made=create faults@1000000" \
		"faults called=first call faults@1000000" "mapping calls=create mapping calls@1000000" | rst_table
	section "Memory of a million (x86_64), bytes for each: anonymous, shared, page tables, of the kernel's slab, everything that is charged; mappings in all"
	rows "$file" "anonymous=anonymous bytes each@1000000" "shared=shared memory bytes each@1000000" "page tables=page table bytes each@1000000" \
		"slab=slab bytes each@1000000" "charged=charged bytes each@1000000" "VMAs=VMAs@1000000" | rst_table
	section "Processes (x86_64): instructions more to start one that makes one; bytes charged for each trampoline of 100 processes with 1,000; instructions more to fork with a million; in a process under PR_SET_MDWE; in the sandbox"
	rows "$file" "start=more at start, instructions@1" "100 processes=of 100 processes, charged bytes each@100000" \
		"fork=fork instructions@1000000" "MDWE=under PR_SET_MDWE@1" "sandbox=in the sandbox@1" | rst_table
	section "Instructions of a call, more than a function pointer has, by ABI"
	by_abi 1000 "call instructions each" less | rst_table
	section "Of 100,000, by ABI: instructions to make and set one"
	by_abi 100000 "create instructions each" | rst_table
	section "Of 100,000, by ABI: instructions of the first call of each"
	by_abi 100000 "first call instructions each" | rst_table
	section "Of 100,000, by ABI: bytes charged for each"
	by_abi 100000 "charged bytes each" | rst_table
	section "Of 100,000, by ABI: mappings"
	by_abi 100000 "VMAs" | rst_table
	section "Of 100,000, by ABI: instructions to release one, or to free it in random order"
	by_abi 100000 "release instructions each" | rst_table
	by_abi 100000 "free instructions each" | rst_table
	section "Of 100 processes with 1,000, by ABI: bytes charged for each"
	by_abi 100000 "of 100 processes, charged bytes each" | rst_table
	section "One, by ABI: instructions more to start the process that makes it"
	by_abi 1 "more at start, instructions" | rst_table
	for abi in $native_abis; do
		[ -e "$dir/$abi/native.tsv" ] || continue
		section "Nanoseconds of a call on this machine ($abi), by how many different ones are called in turn, in sequence or at random: medians; quartiles are at most so many percent apart"
		native_table "$abi" "in sequence=" "at random= random" | rst_table
		section "Nanoseconds on this machine ($abi) that pass for a call of one of 1,024, and to make and free one, by how many threads do so at the same time: medians, and quartiles as before"
		native_table "$abi" "called by threads= calling" "made by threads= making" | rst_table
	done
}

# The lines of native.tsv with these words, a column for each and each number
native_table() { # ABI "WORDS=COLUMN"...
	local file=$dir/$1/native.tsv
	shift
	printf '%s\n' "$@" | awk -F'\t' '
		NR == FNR { split($0, word, "="); name[word[1]] = word[2]; next }
		!($3 in name) { next }
		{
			column = $2 name[$3]
			cell[$1, column] = sprintf("%.1f", $4)
			apart = 100 * ($6 - $5) / $4
			if (apart > spread[$1]) spread[$1] = apart
		}
		!row[$1]++ { rows[++n] = $1 } !head[column]++ { heads[++columns] = column }
		END {
			printf "Trampolines"
			for (i = 1; i <= columns; i++) printf "\t%s", heads[i]
			printf "\tspread"
			for (r = 1; r <= n; r++) {
				printf "\n%s", rows[r]
				for (i = 1; i <= columns; i++) printf "\t%s", cell[rows[r], heads[i]]
				printf "\t%.0f %%", spread[rows[r]]
			}
			print ""
		}' - "$file"
}

# A plot of one WHAT by number of trampolines, a line a peer
plot_by_number() { # NAME TITLE WHAT
	local file=$dir/x86_64/bench.tsv data=$dir/$1.data
	awk -F'\t' -v what="$3" '
		$3 == what && $4 > 0 { point[$1] = point[$1] $2 " " $4 "\n"; if (!seen[$1]++) peer[++n] = $1 }
		END { for (i = 1; i <= n; i++) printf "\"%s\"\n%s\n\n", peer[i], point[peer[i]] }' "$file" >"$data"
	for terminal in svg png; do
		gnuplot <<-END
			set terminal $terminal size 900,560 $([ $terminal = svg ] && echo "background rgb 'white'" || echo "noenhanced")
			set output "$dir/$1.$terminal"
			set title "$2"
			set logscale xy
			set xlabel "trampolines"
			set xtics ("1" 1, "1,000" 1000, "100,000" 100000, "3,000,000" 3000000)
			set xrange [0.7:5000000]
			set key outside right noenhanced
			set grid
			plot for [i=0:$(($(grep -c '"' "$data") - 1))] "$data" index i using 1:2 with linespoints title columnheader(1)
		END
	done
}

# Bars of a call's time by order, a group a number of trampolines
plot_native() { # ABI
	local data=$dir/native-$1.data terminal
	awk -F'\t' '$3 ~ /threads$/ { next }
		{ column = "\"" $2 " " $3 "\""; v[$1, column] = $4 }
		!row[$1]++ { rows[++n] = $1 } !head[column]++ { heads[++c] = column }
		END { printf "order"; for (r = 1; r <= n; r++) printf " \"%s\"", rows[r]
			for (i = 1; i <= c; i++) { printf "\n%s", heads[i]; for (r = 1; r <= n; r++) printf " %s", v[rows[r], heads[i]] } print "" }' \
		"$dir/$1/native.tsv" >"$data"
	for terminal in svg png; do
		gnuplot <<-END
			set terminal $terminal size 1100,560 $([ $terminal = svg ] && echo "background rgb 'white'" || echo "noenhanced")
			set output "$dir/native-$1.$terminal"
			set title "nanoseconds of a call, $1, median"
			set style data histograms
			set style fill solid 0.8
			set logscale y
			set yrange [1:*]
			set xtics rotate by -20
			set key outside right noenhanced autotitle columnheader
			set grid y
			plot for [i=2:$(($(head -n 1 "$data" | grep -o '"' | wc -l) / 2 + 1))] "$data" using i:xtic(1)
		END
	done
}

open_work
[ -e "$dir/x86_64/bench.tsv" ] || die "nothing was measured yet: make bench"
tables
plot_by_number create "Instructions to make and set a trampoline, x86_64" "create instructions each"
plot_by_number memory "Bytes charged for a trampoline, x86_64" "charged bytes each"
plot_by_number vmas "Mappings (VMAs), x86_64" "VMAs"
for abi in $native_abis; do
	[ ! -e "$dir/$abi/native.tsv" ] || plot_native "$abi"
done
say "plots: $dir/*.svg, *.png"
