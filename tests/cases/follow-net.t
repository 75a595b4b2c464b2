#!/bin/bash
# SPDX-License-Identifier: MIT
# Files that tcpdump is writing from a network: what weir counts is what tcpdump counts, across restarts of
# weir in the midst of it.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../net.sh"
need_fuse
trace=$(realpath "$(sample)")
m=$T/m
gone() { [ ! -d "/proc/$1" ]; }
# write_packets NAME ARGUMENT…: tcpdump from out0; until it listens
write_packets() {
	local name=$1
	shift
	tcpdump -i out0 -B 65536 "$@" 2>"$T/$name.dump" &
	dump=$!
	lib_pids+=("$dump")
	wait_for 10 grep -q 'listening on' "$T/$name.dump"
}
dump_ends() { # NAME: what it has captured is then in $captured
	kill -INT "$dump" # not ignored: it has a handler
	wait "$dump"
	captured=$(awk '/^[0-9]+ packets captured/ { print $1 }' "$T/$1.dump")
}
sum_of() { awk -F, 'FNR > 1 { n += $1; b += $2 } END { printf "%d,%d", n, b }' "$@"; }
oracle() { # FILE…: packets and bytes, as tcpdump reads them
	local f
	for f; do tcpdump -nner "$f" 2>/dev/null; done |
		awk 'match($0, /length [0-9]+:/) { s += substr($0, RSTART + 7, RLENGTH - 8) } END { printf "%d,%d", NR, s }'
}
q='packets | group count() as n sum(len) as bytes'

# followed with -U by one weir after the other
write_packets u -U -w "$T/u.pcap"
send -p 8000 "$trace" &
sender=$!
for i in 1 2 3; do
	"$WEIR" run -q -o follow -o "state=$T/u.state" "$q" "$T/u.pcap" >"$T/u$i.csv" 2>"$T/u$i.err" &
	p=$!
	lib_pids+=($p)
	[ $i = 3 ] && wait $sender
	grew() { [ "$(stat -c %s "$T/u.pcap")" -gt $((size + 100000)) ]; }
	size=$(stat -c %s "$T/u.pcap")
	[ $i = 3 ] || wait_for 20 grew
	if [ $i = 3 ]; then
		dump_ends u
		offset() { awk '$1 == "file" { print $6 }' "$T/u.state"; }
		all() { [ "$(offset)" = "$(stat -c %s "$T/u.pcap")" ]; }
		wait_for 20 all
		result $? 'followed: the state comes to the end of the file'
	fi
	kill -TERM $p
	wait_for 20 gone $p
	result $? "followed: weir $i ends"
	is "$(cat "$T/u$i.err")" '' 'without a fault'
done
is "$(sum_of "$T"/u?.csv | cut -d, -f1)" "$captured" "followed: three weirs have the packets that tcpdump has captured"
is "$(sum_of "$T"/u?.csv)" "$(oracle "$T/u.pcap")" 'and their bytes'
note "$captured packets: $(sed 1d "$T"/u1.csv) $(sed 1d "$T"/u2.csv) $(sed 1d "$T"/u3.csv)"

# the same without -U, in a mount, with queries that come and go
write_packets b -w "$T/b.pcap"
counts() { # NAME N: the query has counted so much
	[ "$(sed 1d "$m/queries/$1/out.csv" | cut -d, -f1)" = "$2" ]
}
mount_weir "$m" -o "follow,state=$T/b.state" "$T/b.pcap"
echo "a: $q" >"$m/queries/new"
echo "tcp: packets | where ipprotocol = 6 | group count() as n sum(len) as bytes" >"$m/queries/new"
send -p 20000 -L 10000 "$trace"
# tcpdump has had all that was sent (it says so at SIGUSR1); the end of it is in its buffer still, and a packet cut
# off in the file. SIGUSR2 would have it write that: a signal handler that does so breaks the file if it comes amiss.
seen() {
	kill -USR1 "$dump"
	grep -q "^tcpdump: $sent packets captured," "$T/b.dump"
}
wait_for 20 seen
n=$(oracle "$T/b.pcap" | cut -d, -f1)
wait_for 20 counts a "$n"
result $? 'mounted, without -U: what tcpdump has written is counted'
cp "$m/queries/a/out.csv" "$T/b1.csv"
fusermount3 -u "$m"
wait "${lib_pids[-1]}"
send -p 20000 -L 5000 "$trace"
dump_ends b
mount_weir "$m" -o "follow,state=$T/b.state" "$T/b.pcap"
echo "a: $q" >"$m/queries/new"
wait_for 20 counts a $((captured - n))
result $? 'the next mount goes on there'
cp "$m/queries/a/out.csv" "$T/b2.csv"
is "$(sum_of "$T"/b?.csv)" "$(oracle "$T/b.pcap")" 'both have what tcpdump reads'
is "$(sum_of "$T"/b?.csv | cut -d, -f1)" "$captured" 'and what it says that it has captured'
finish
