#!/bin/bash
# SPDX-License-Identifier: MIT
# Capture from an interface: every packet once, as tcpreplay sent it and tcpdump sees it; rows while it
# goes on; interfaces that come and go; what is kept does not stop the ring; errors at mount.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../net.sh"
need perl
need_fuse
trace=$(realpath "$(sample)")
m=$T/m
rows() { tail -n +2 "$1" | wc -l; }
has_rows() { [ "$(rows "$1")" -ge "$2" ]; }
says() { grep -qE -- "$3" "$1/sources/$2/info"; }

# ---- a row a second ----
mount_weir "$m" out0 || finish
like "$(cat "$m/sources/out0/info")" '^interface: out0$' 'info names the interface'
like "$(cat "$m/sources/out0/info")" '^link types: 1 \(Ethernet\)$' 'and its link type'
echo 'rate: packets | window 1s | group count() as n sum(len) as bytes' >"$m/queries/new"
echo 'ten: out0 | window 10s | group count() as n' >"$m/queries/new"
echo 'all: packets | group count() as n sum(len) as bytes' >"$m/queries/new"
echo 'first: packets | head 3000' >"$m/queries/new"
tail -n +1 -f "$m/queries/rate/out.csv" >"$T/rate.csv" 2>/dev/null &
follow=$!
lib_pids+=($follow)
tcpdump -i out0 -s 0 -w "$T/dump.pcap" 2>"$T/tcpdump.log" &
dump=$!
lib_pids+=($dump)
wait_for 10 grep -q 'listening on' "$T/tcpdump.log"
send --pps 2500 "$trace"
wait_for 10 settled "$m" out0
n=$(rows "$T/rate.csv")
[ "$n" -ge 6 ]
result $? "tail -f has shown a row a second: $n in 8 s"
is "$(awk -F, 'NR > 2 && $3 - last != 1 { odd = 1 } NR > 1 { last = $3 } END { print odd + 0 }' "$T/rate.csv")" 0 \
	'each second has one'
# a packet behind the last window closes it
main=$sent main_bytes=$sent_bytes
ten=$(($(date +%s) / 10))
wait_for 12 bash -c "[ \$((\$(date +%s) / 10)) -gt $ten ]"
send -L 1 "$trace"
wait_for 10 has_rows "$m/queries/ten/out.csv" "$((ten - $(sed -n '2s/.*,//; 2s/\..*//p' "$m/queries/rate/out.csv") / 10 + 1))"
wait_for 10 has_rows "$T/rate.csv" "$(rows "$m/queries/rate/out.csv")"
main_sum() { awk -F, -v end="$(((ten + 1) * 10))" 'NR > 1 && $NF < end { s += $1 } END { print s + 0 }' "$1"; }
stopped "$m" all
kill $follow
wait_for 10 counted "$m" out0 "$((main + sent))" # a text of stats may be a second old
lost=$(($(stat_of "$m" out0 kernel_drops) + $(stat_of "$m" out0 own_drops)))
is "$(($(main_sum "$T/rate.csv") + lost))" "$main" "its rows add up to what tcpreplay has sent ($main), less what stats says is lost ($lost)"
is "$(($(main_sum "$m/queries/ten/out.csv") + lost))" "$main" 'so do those of ten seconds'
[ "$lost" = 0 ] && is "$(sed 1d "$m/queries/all/out.csv")" "$((main + sent)),$((main_bytes + sent_bytes))" 'packets and bytes are those of tcpreplay'
[ "$lost" = 0 ] || skip 'packets and bytes' "packets were lost: $lost"
is "$(stat_of "$m" out0 packets)" "$((main + sent))" 'stats has them too'
like "$(cat "$m/queries/all/status")" "^out0.kernel_drops: $(stat_of "$m" out0 kernel_drops)$" "the kernel's drops stand in the query's status"
like "$(cat "$m/queries/all/status")" '^out0.interface_drops: 0$' "the interface's too"
like "$(cat "$m/queries/all/status")" '^out0.own_drops: 0$' 'and our own'
kill -INT $dump && wait $dump
tcpdump -tnexx -r "$T/dump.pcap" -c 3000 >"$T/dump.txt" 2>/dev/null
cp "$m/queries/first/out.pcap" "$T/first.pcap"
tcpdump -tnexx -r "$T/first.pcap" >"$T/first.txt" 2>/dev/null
same "$T/first.txt" "$T/dump.txt" 'packets are those of tcpdump, byte by byte, VLAN tags too'
is "$(tcpdump -nr "$T/first.pcap" vlan 2>/dev/null | head -1 | wc -l)" 1 'there are some'

# ---- a query begins with its start ----
stopped "$m" rate && stopped "$m" ten
send --pps 20000 -L 500 "$trace"
is "$(stat_of "$m" out0 records)" "$(stat_of "$m" out0 packets)" 'while no query runs nothing is captured'
echo 'later: packets | group count() as n' >"$m/queries/new"
send --pps 5000 -L 1000 "$trace"
wait_for 10 settled "$m" out0
stopped "$m" later
is "$(sed 1d "$m/queries/later/out.csv")" "$sent" 'who asks later gets what comes then'

# ---- down, up, renamed, gone, back ----
echo 'on: packets | group count() as n' >"$m/queries/new"
send --pps 5000 -L 1000 "$trace"
ip link set out0 down
ok 'info says that it is down' wait_for 10 says "$m" out0 '^link: down$'
ip link set out0 name other0
ip link set other0 up
ok 'that it is up again' wait_for 10 says "$m" out0 '^event: .* other0 is up$'
ok 'under another name' says "$m" out0 '^event: .* is called other0 now$'
send --pps 5000 -L 1000 "$trace"
ip link del other0
ok 'that it is gone' wait_for 10 says "$m" out0 '^link: gone, waited for$'
pair
ok 'and back' wait_for 10 says "$m" out0 '^event: .* out0 is back$'
wait_for 10 says "$m" out0 '^link: up$'
send --pps 5000 -L 1000 "$trace"
wait_for 10 settled "$m" out0
stopped "$m" on
is "$(sed 1d "$m/queries/on/out.csv")" 3000 'what came while it was there has been counted'

# ---- in a query ----
echo 'mine: iface out0 | print ts' 2>/dev/null >"$m/queries/new"
like "$(tail -3 "$m/queries/errors")" 'can be read only once, name it on the command line' \
	'a query cannot open an interface by itself'
fusermount3 -u "$m"

# ---- kept records do not stop the ring ----
mount_weir "$m" lan=out0 -o ring=8MB || finish
like "$(cat "$m/sources/lan/info")" '^ring: 8388608 bytes$' 'a ring of eight megabytes'
echo 'kept: packets | sort -r len' >"$m/queries/new"
echo 'all: packets | group count() as n' >"$m/queries/new"
send --pps 25000 -l 3 "$trace"
wait_for 10 settled "$m" lan
stopped "$m" kept && stopped "$m" all
lost=$(($(stat_of "$m" lan kernel_drops) + $(stat_of "$m" lan own_drops)))
is "$(($(sed 1d "$m/queries/all/out.csv") + lost))" "$sent" "$sent packets go through, $lost lost, while a query keeps all"
is "$(($(rows "$m/queries/kept/out.csv") + lost))" "$sent" 'which has them all'
# each packet's length and bytes, with how often it is there over how often it was sent
counted() { perl -MDigest::MD5=md5_hex -e 'for (@ARGV) { open F, $_; binmode F; read F, $h, 24; my %n;
	while (read F, $h, 16) { ($c, $l) = unpack "x8VV", $h; read F, $p, $c; $n{$l . md5_hex $p}++ }
	push @all, \%n } print grep { $all[0]{$_} != 3 * $all[1]{$_} } keys %{{%{$all[0]}, %{$all[1]}}}' "$@"; }
if [ "$lost" = 0 ]; then
	cp "$m/queries/kept/out.pcap" "$T/kept.pcap"
	is "$(counted "$T/kept.pcap" "$trace" 2>&1)" '' 'and as they were, byte by byte'
else
	skip 'and as they were' "$lost packets were lost"
fi
fusermount3 -u "$m"

# ---- a filter in the kernel ----
mount_weir "$m" out0 -o 'bpf=udp port 53' || finish
echo 'all: packets | group count() as n' >"$m/queries/new"
send --pps 20000 "$trace"
wait_for 10 settled "$m" out0
stopped "$m" all
tcpdump -nr "$T/dump.pcap" udp port 53 2>/dev/null | wc -l >"$T/dns"
is "$(sed 1d "$m/queries/all/out.csv")" "$(cat "$T/dns")" 'bpf= lets in what tcpdump -r takes'
[ "$(stat_of "$m" out0 packets)" -lt "$((sent / 2))" ]
result $? 'the others do not reach the ring'
fusermount3 -u "$m"

# ---- what all queries begin with is filtered by the kernel ----
mount_weir "$m" out0 || finish
plan() { sed -n 's/^kernel: //p' "$m/queries/$1/plan"; }
expected() { tcpdump -nr "$trace" "$@" 2>/dev/null | wc -l; }
echo 'dns: packets | filter -b "udp port 53" | group count() as n' >"$m/queries/new"
is "$(plan dns)" 'out0: (udp port 53)' 'plan shows what the kernel passes on'
send --pps 20000 "$trace"
wait_for 10 settled "$m" out0
few=$(stat_of "$m" out0 packets)
[ "$few" -lt $((sent / 2)) ]
result $? "of $sent packets $few reach the ring"
echo 'web: packets | filter -b "tcp port 80" | group count() as n' >"$m/queries/new"
is "$(plan dns)" 'out0: (tcp port 80) or (udp port 53)' 'two queries: what one of them takes'
send --pps 20000 "$trace"
echo 'rest: packets | filter -v -b "tcp port 80" | group count() as n' >"$m/queries/new"
is "$(plan web)" 'out0: everything' 'one that needs more widens it before it starts'
send --pps 20000 "$trace"
wait_for 10 settled "$m" out0
stopped "$m" rest
is "$(plan web)" 'out0: (tcp port 80) or (udp port 53)' 'when it is gone the filter is back'
send --pps 20000 "$trace"
wait_for 10 settled "$m" out0
stopped "$m" dns && stopped "$m" web
lost=$(stat_of "$m" out0 kernel_drops)
if [ "$lost" = 0 ]; then
	is "$(sed 1d "$m/queries/dns/out.csv")" "$((4 * $(expected udp port 53)))" 'the first has all that it asks for'
	is "$(sed 1d "$m/queries/web/out.csv")" "$((3 * $(expected tcp port 80)))" 'the second from its start on'
	is "$(sed 1d "$m/queries/rest/out.csv")" "$((sent - $(expected tcp port 80)))" 'the third all while it runs'
else
	skip 'all that they ask for' "$lost packets were lost"
fi

# ---- conditions on fields, too, as far as the kernel can tell ----
reached() { stat_of "$m" out0 packets; }
before=$(reached)
echo 'udp53: packets | where dstport = 53 and ipprotocol = udp | group count() as n' >"$m/queries/new"
echo 'syns: packets | filter flags.syn=true srcip=10.0.0.0/8 | group count() as n' >"$m/queries/new"
like "$(plan udp53)" '^out0: .*src net 10\.0\.0\.0/8.*ip\[22:2\] = 53' 'plan shows what of conditions the kernel knows'
send --pps 20000 "$trace"
wait_for 10 settled "$m" out0
few=$(($(reached) - before))
[ "$few" -lt $((sent * 7 / 10)) ]
result $? "of $sent packets $few reach the ring"
stopped "$m" udp53 && stopped "$m" syns
if [ "$(stat_of "$m" out0 kernel_drops)" = "$lost" ]; then
	for k in 'udp53 where dstport = 53 and ipprotocol = udp' 'syns where flags.syn and srcip in 10.0.0.0/8'; do
		is "$(sed 1d "$m/queries/${k%% *}/out.csv")" \
			"$("$WEIR" run -q "packets | ${k#* } | group count() as n" "$trace" | sed 1d)" \
			"${k#* }: nothing is missing that the trace has"
	done
else
	skip 'nothing is missing' 'packets were lost'
fi
is "$(plan web)" 'out0: nothing' 'in the end nothing passes'
fusermount3 -u "$m"

# ---- weir run ----
"$WEIR" run 'packets | head 100 | group count() as n' out0 >"$T/run.csv" 2>"$T/run.err" &
run=$!
lib_pids+=($run)
until ! kill -0 $run 2>/dev/null; do send --pps 5000 -L 500 "$trace"; done
is "$(sed 1d "$T/run.csv")" 100 'weir run reads an interface'
tcpdump -nr "$trace" 2>/dev/null | wc -l >"$T/packets"
(cd "$T" && cp "$trace" out0 && "$WEIR" run 'packets | group count() as n' out0 >own.csv)
is "$(sed 1d "$T/own.csv")" "$(cat "$T/packets")" 'a file of its name goes first'

# ---- errors ----
fails() { # fails DESCRIPTION REGEX ARGUMENT…
	like "$("$WEIR" -f "${@:3}" "$m" 2>&1)" "$2" "$1"
}
fails 'an interface that is not there' "cannot open 'nope0': there is no such interface" iface:nope0
fails 'BPF text that does not compile' 'bad BPF expression: ' out0 -o 'bpf=udp prot 53'
fails 'a ring that is too small' "out of range" out0 -o ring=1
if command -v setpriv >/dev/null; then
	like "$(setpriv --bounding-set -net_raw --inh-caps -net_raw "$WEIR" -f out0 "$m" 2>&1)" \
		"cannot open 'out0': .*: capture needs root or CAP_NET_RAW" 'no rights'
else
	skip 'no rights' 'setpriv is not installed'
fi
if ip link add can0 type vcan 2>/dev/null || ip link add can0 type nlmon 2>/dev/null; then
	fails 'an interface without a link layer' "cannot open 'can0': an interface without a link layer" can0
else
	skip 'an interface without a link layer' 'neither vcan nor nlmon can be made here'
fi
finish
