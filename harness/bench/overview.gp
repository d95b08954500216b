# SPDX-License-Identifier: GPL-2.0
# Draws docs/benchmarks.svg: time of a call, and memory, by method.
#   gnuplot -c overview.gp DATA SVG
# DATA: lines ROW LABEL BYTES NS NS NS (harness/bench/report.py)
#
# No background, and colours of medium lightness: readable on white and on black.
data = ARG1
set terminal svg size 960,460 font "sans-serif,13" noenhanced
set output ARG2
ink = "#777777"
array color[3] = ["#2f81f7", "#d4761c", "#c03fc0"]
array number[3] = ["1,024", "8,192", "32,768"]

set border 1 linecolor rgb ink
set tics nomirror scale 0.5 textcolor rgb ink
set title textcolor rgb ink
set xlabel textcolor rgb ink
set grid xtics linecolor rgb ink linewidth 0.3
set yrange [11.7:-0.7]
set tmargin at screen 0.91
set bmargin at screen 0.20
unset key
set multiplot

set lmargin at screen 0.20
set rmargin at screen 0.57
set title "Time of a call, trampolines called at random"
set xlabel "nanoseconds"
set xrange [0:*]
set ytics scale 0
set label 1 "of" at screen 0.27,0.03 right textcolor rgb ink
do for [i=1:3] {
    set label 1 + i number[i] at screen 0.20 + 0.09 * i,0.03 left textcolor rgb color[i] \
        point pointtype 7 pointsize 0.7 linecolor rgb color[i] offset 1,-0.2
}
set label 5 "trampolines" at screen 0.57,0.03 left textcolor rgb ink
plot for [i=1:3] data using 3+i:1:ytic(2) with points \
    pointtype 7 pointsize 0.7 linecolor rgb color[i], \
     data using (strcol(4) eq "NaN" ? 0 : NaN):1:("not timed") with labels left offset 0.4,0 \
    textcolor rgb ink
unset label

set lmargin at screen 0.61
set rmargin at screen 0.98
set title "Memory of a trampoline, 100 processes with 1,000"
set xlabel "bytes"
set xrange [0:200]
set xtics 50
set format y ""
set style fill solid 0.9 noborder
plot data using (0):1:(0):3:($1-0.3):($1+0.3) with boxxyerror linecolor rgb "#2f9e5f", \
     data using 3:1:3 with labels left offset 0.4,0 textcolor rgb ink
unset multiplot
