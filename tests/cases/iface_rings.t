#!/bin/bash
# SPDX-License-Identifier: MIT
# Capture with several rings: every packet once and in order of time, as tcpdump sees them, whichever ring the
# kernel dealt it to; an interface that goes and comes back; nothing from before a query; overload.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../net.sh"
need_fuse
trace=$(realpath "$(sample)")
m=$T/m
ended() { ! kill -0 "$1" 2>/dev/null; }
dump_end() { kill -INT $dump; wait $dump; }

# a block is handed over every 5 ms, so 64 of them for each ring outlast a pause of this machine of 0.3 s
mount_weir "$m" out0 -o ring=64MB,rings=4 || finish
p=${lib_pids[-1]}
like "$(cat "$m/sources/out0/info")" '^rings: 4$' 'info says how many'
is "$(grep -c ' 0003 ' /proc/net/packet)" 4 'the kernel knows four sockets'

# ---- the same packets as one reader, in their order ----
echo 'all: packets | print ts srcip dstip srcport dstport ipprotocol len' >"$m/queries/new"
echo 'flows: packets | group srcip dstip srcport dstport ipprotocol count() as n sum(len) as bytes' >"$m/queries/new"
tcpdump -i out0 -s 0 -U -w "$T/dump.pcap" 2>"$T/tcpdump.log" &
dump=$!
lib_pids+=($dump)
wait_for 10 grep -q 'listening on' "$T/tcpdump.log"
send --pps 4000 -L 12000 "$trace"
ok "as many packets as were sent: $sent" wait_for 10 counted "$m" out0 "$sent"
ok 'all of them are read' wait_for 10 settled "$m" out0
lost=$(($(stat_of "$m" out0 kernel_drops) + $(stat_of "$m" out0 own_drops)))
is "$lost" 0 'none is lost'
stopped "$m" all
stopped "$m" flows
ok "tcpdump has them all" wait_for 10 bash -c "[ \"\$(tcpdump -r '$T/dump.pcap' 2>/dev/null | wc -l)\" = $sent ]"
dump_end
tail -n +2 "$m/queries/all/out.csv" >"$T/all"
ok 'in order of time' sort -c -t, -k1,1 "$T/all"
"$WEIR" run -q 'packets | print srcip dstip srcport dstport ipprotocol len' "$T/dump.pcap" | tail -n +2 | sort >"$T/want"
cut -d, -f2- "$T/all" | sort >"$T/got"
same "$T/got" "$T/want" 'the packets are those that tcpdump has'
"$WEIR" run -q 'packets | group srcip dstip srcport dstport ipprotocol count() as n sum(len) as bytes' "$T/dump.pcap" | tail -n +2 | sort >"$T/want"
tail -n +2 "$m/queries/flows/out.csv" | sort >"$T/got"
same "$T/got" "$T/want" 'so are the flows'
# within a flow the order is that of the wire
key='{ print $2 "," $3 "," $4 "," $5 "," $6 " " $7 }'
awk -F, "$key" "$T/all" | sort -s -k1,1 >"$T/got"
"$WEIR" run -q 'packets | print ts srcip dstip srcport dstport ipprotocol len' "$T/dump.pcap" | tail -n +2 | awk -F, "$key" | sort -s -k1,1 >"$T/want"
same "$T/got" "$T/want" 'and the order within each flow'

# ---- more than one ring has had some ----
used=$(awk '/^ring_/ && $2 > 100 { n++ } END { print n + 0 }' "$m/sources/out0/stats")
[ "$used" -ge 2 ]
result $? "flows are dealt to the rings: $(grep '^ring_' "$m/sources/out0/stats" | tr '\n' ' ')"
is "$(awk '/^ring_/ { n += $2 } END { print n }' "$m/sources/out0/stats")" "$sent" 'what the rings have had adds up'

# ---- what came before a query is not in it ----
send --pps 4000 -L 2000 "$trace"
echo 'later: packets | group count() as n' >"$m/queries/new"
wait_for 5 grep -q '^state: running' "$m/queries/later/status"
send --pps 4000 -L 1000 "$trace"
ok 'they arrive' wait_for 10 bash -c "[ \"\$(sed -n 2p '$m/queries/later/out.csv')\" = 1000 ]"
is "$(sed -n 2p "$m/queries/later/out.csv")" 1000 'a query begins with what comes after it'

# ---- only what is wanted passes the kernel ----
echo stop >"$m/queries/later/ctl"
echo "dns: packets | filter -b 'udp port 53' | group count() as n" >"$m/queries/new"
wait_for 5 grep -q '^state: running' "$m/queries/dns/status"
like "$(cat "$m/queries/dns/plan")" '^kernel: out0: ' 'a filter is the kernel'"'"'s'
send --pps 4000 -L 4000 "$trace"
want=$("$WEIR" run -q 'packets | head 4000 | filter -b "udp port 53" | group count() as n' "$trace" | tail -1)
ok "$want of them pass" wait_for 10 bash -c "[ \"\$(sed -n 2p '$m/queries/dns/out.csv')\" = $want ]"
echo stop >"$m/queries/dns/ctl"

# ---- the interface goes and comes back: all rings find the new one ----
echo 'again: packets | group count() as n' >"$m/queries/new"
wait_for 5 grep -q '^state: running' "$m/queries/again/status"
ip link del out0
ok 'gone' wait_for 5 grep -q '^link: gone' "$m/sources/out0/info"
pair
ok 'and back' wait_for 10 grep -q 'out0 is back' "$m/sources/out0/info"
like "$(cat "$m/sources/out0/info")" '^rings: 4$' 'with all its rings'
send --pps 4000 -L 3000 "$trace"
ok 'no packet is lost or doubled' wait_for 10 bash -c "[ \"\$(sed -n 2p '$m/queries/again/out.csv')\" = 3000 ]"
is "$(sed -n 2p "$m/queries/again/out.csv")" 3000 'their number'
ip link set out0 down
ip link set out0 up
wait_for 5 grep -q 'out0 is up' "$m/sources/out0/info"
wait_for 5 carries in0
send --pps 4000 -L 1000 "$trace"
ok 'down and up again, too' wait_for 10 bash -c "[ \"\$(sed -n 2p '$m/queries/again/out.csv')\" = 4000 ]"

# ---- more than it can take: counted ----
send -t -l 20 "$trace"
ok 'received, and counted as dropped, is what was sent' wait_for 20 settled "$m" out0
kill -TERM "$p"
ok 'it ends' wait_for 20 ended "$p"
wait "$p"
is $? 0 'cleanly'
is "$(grep -aE 'WARNING: ThreadSanitizer|ERROR: |runtime error' "$T/weir.log" | head -3)" '' 'nothing is reported'

# ---- what leaves the loopback comes as well: it is not divided, and each packet is had once ----
mount_weir "$T/l" lo -o rings=3 || finish
like "$(cat "$T/l/sources/lo/info")" '^rings: 1$' 'the loopback has one'
echo 'n: packets | group count() as n' >"$T/l/queries/new"
wait_for 5 grep -q '^state: running' "$T/l/queries/n/status"
tcpreplay -q -i lo --pps 4000 -L 2000 "$trace" >"$T/.replay" 2>&1
ok 'each packet once' wait_for 10 bash -c "[ \"\$(sed -n 2p '$T/l/queries/n/out.csv')\" = 2000 ]"
is "$(stat_of "$T/l" lo packets) $(stat_of "$T/l" lo own_drops)" '2000 0' 'and nothing else has come'

# ---- wrong numbers ----
for n in 0 65 many; do
	mkdir -p "$T/x"
	"$WEIR" out0 "$T/x" -o "rings=$n" >"$T/out" 2>&1
	isnt=$?
	[ $isnt = 2 ] || [ $isnt = 1 ]
	result $? "rings=$n is refused: $(head -1 "$T/out")"
done
finish
