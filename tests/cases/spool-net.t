#!/bin/bash
# SPDX-License-Identifier: MIT
# A spool that tcpdump -G 1 fills from a network: what weir counts is what tcpdump counts, across restarts of
# weir in the midst of it.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../net.sh"
need_fuse
trace=$(realpath "$(sample)")
m=$T/m
d=$T/cap
mkdir "$d"
gone() { [ ! -d "/proc/$1" ]; }
sum_of() { awk -F, 'FNR > 1 { n += $1; b += $2 } END { printf "%d,%d", n, b }' "$@"; }
oracle() { # FILE…: packets and bytes, as tcpdump reads them
	local f
	for f; do tcpdump -nner "$f" 2>/dev/null; done |
		awk 'match($0, /length [0-9]+:/) { s += substr($0, RSTART + 7, RLENGTH - 8) } END { printf "%d,%d", NR, s }'
}
q='packets | group count() as n sum(len) as bytes'

tcpdump -i out0 -B 65536 -G 1 -w "$d/%Y%m%d-%H%M%S.pcap" -Z root 2>"$T/dump" &
dump=$!
lib_pids+=("$dump")
wait_for 10 grep -q 'listening on' "$T/dump"
send -p 2500 "$trace" &
sender=$!
files() { set -- "$d"/*.pcap; [ $# -ge $n ]; }
for i in 1 2 3; do
	"$WEIR" run -q -o "state=$T/state" "$q" "spool:$d/*.pcap" >"$T/s$i.csv" 2>"$T/s$i.err" &
	p=$!
	lib_pids+=($p)
	n=$((i * 2 + 1))
	[ $i = 3 ] || wait_for 20 files
	if [ $i = 3 ]; then
		wait $sender
		kill -INT "$dump"
		wait "$dump"
		captured=$(awk '/packets captured/ { print $1 }' "$T/dump")
		all() { [ "$(awk '$1 == "file" && $7 > 0' "$T/state" | wc -l)" = "$(ls "$d" | wc -l)" ]; }
		wait_for 20 all
		result $? 'the state comes to have all files'
	fi
	kill -TERM $p
	wait_for 20 gone $p
	result $? "weir $i ends"
	is "$(cat "$T/s$i.err")" '' 'without a fault'
done
is "$(sum_of "$T"/s?.csv | cut -d, -f1)" "$captured" 'three weirs have the packets that tcpdump has captured'
is "$(sum_of "$T"/s?.csv)" "$(oracle "$d"/*)" 'and their bytes'
note "$captured packets in $(ls "$d" | wc -l) files: $(sed 1d "$T"/s1.csv) $(sed 1d "$T"/s2.csv) $(sed 1d "$T"/s3.csv)"

# the mount, over what is there and what comes
tcpdump -i out0 -B 65536 -G 1 -w "$d/more-%H%M%S.pcap" -Z root 2>"$T/dump2" &
dump=$!
lib_pids+=("$dump")
wait_for 10 grep -q 'listening on' "$T/dump2"
mount_weir "$m" -o "state=$T/state2" "spool:$d/*.pcap"
echo "a: $q" >"$m/queries/new"
send -p 5000 -L 10000 "$trace"
kill -INT "$dump"
wait "$dump"
more=$(awk '/packets captured/ { print $1 }' "$T/dump2")
counts() { [ "$(sed 1d "$m/queries/a/out.csv" | cut -d, -f1)" = $((captured + more)) ]; }
wait_for 20 counts
result $? 'mounted: what was there, and what came'
is "$(sed 1d "$m/queries/a/out.csv")" "$(oracle "$d"/*)" 'as tcpdump reads it'
finish
