#!/bin/bash
# SPDX-License-Identifier: MIT
# A capture under use: packets all the while, queries that join and leave, texts that are read, an interface that
# goes down and up, away and back. Nothing is reported by whatever sanitizer weir was built with (tests/run tsan
# runs this one), and what the kernel counted is accounted for.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../net.sh"
need_fuse
trace=$(realpath "$(sample)")
m=$T/m
ended() { ! kill -0 "$1" 2>/dev/null; }
mount_weir "$m" out0 -o ring=4MB || finish
p=${lib_pids[-1]}
echo 'all: packets | group count() as n' >"$m/queries/new"
while :; do tcpreplay -q -i in0 --pps 20000 -L 4000 "$trace" || sleep 0.05; done >/dev/null 2>&1 &
sender=$!
lib_pids+=($sender)
while :; do cat "$m/sources/out0/"{info,stats} "$m/queries/"*/{status,plan,out.csv}; done >/dev/null 2>&1 &
reader=$!
lib_pids+=($reader)
for i in 1 2 3 4; do
	echo "dns$i: packets | filter -b 'udp port 53' | group srcip count() as n" >"$m/queries/new"
	echo "some$i: packets | head 2000" >"$m/queries/new"
	echo "kept$i: packets | filter len > 1000 | sort -r len" >"$m/queries/new"
	wait_for 5 grep -q '^state: done' "$m/queries/some$i/status"
	if [ $((i % 2)) = 1 ]; then
		ip link set out0 down
		ip link set out0 up
	else
		ip link del out0
		pair
	fi
	rmdir "$m/queries/dns$i"
	echo stop >"$m/queries/kept$i/ctl"
done
kill $reader $sender
wait $reader $sender 2>/dev/null
ok 'what the kernel had has been read' wait_for 10 settled "$m" out0
[ "$(stat_of "$m" out0 packets)" -gt 0 ]
result $? "$(stat_of "$m" out0 packets) packets"
ok 'all queries leave' stopped "$m" all
kill -TERM $p
ok 'it ends' wait_for 20 ended $p
wait $p
is $? 0 'cleanly'
is "$(grep -aE 'WARNING: ThreadSanitizer|ERROR: |runtime error' "$T/weir.log" | head -3)" '' 'nothing is reported'
grep -aqE 'WARNING: ThreadSanitizer|ERROR: |runtime error' "$T/weir.log" && note "$(grep -aE -m1 -A40 'WARNING|ERROR|runtime' "$T/weir.log")"
finish
