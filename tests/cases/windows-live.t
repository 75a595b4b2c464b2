#!/bin/bash
# SPDX-License-Identifier: MIT
# Windows of a source that has nothing for a while: they close by the clock, nothing is answered twice when packets go
# on, and what then comes for them is late. A FIFO whose writer pauses, and a replay with a gap.
. "$(dirname "$0")/../lib.sh"
need tshark
need_fuse

# Packets of 0 … 2.4 s, then the rest; 100 a second.
"$GENTRACE" -n 600 -r 100 -t 1000000000 -w "$T/all.pcap"
tshark -n -r "$T/all.pcap" -T fields -e frame.time_epoch -e frame.cap_len 2>/dev/null >"$T/packets"
bytes() { awk -v from="$1" -v to="$2" '$1 - 1000000000 < from { b += 16 + $2 } $1 - 1000000000 >= from && $1 - 1000000000 < to { n += 16 + $2 } END { print 24 + b, n }' "$T/packets"; }
piece() { # piece FROM TO: packets of these seconds
	local skip len
	read -r skip len <<<"$(bytes "$1" "$2")"
	tail -c +$((skip + 1)) "$T/all.pcap" | head -c "$len"
}
# rows FILE WANTED-LINES: waits until as many rows are there
rows() { [ "$(tail -n +2 "$1" | wc -l)" -ge "$2" ]; }
# per SECONDS [LOST-FROM LOST-TO]: packets of each window, as awk counts them
per() {
	awk -v w="$1" -v a="${2:-0}" -v b="${3:-0}" '{ u = $1 - 1000000000; if (u >= a && u < b) next; n[u - u % w - (u % w < 0 ? w : 0)]++ }
		END { for (s in n) printf "%d.%s,%d\n", 1000000000 + int(s), "000000000", n[s] }' "$T/packets" | sort
}

mkfifo "$T/fifo"
exec 7<>"$T/fifo"
mount_weir "$T/mnt" "f=$T/fifo" 7>&- || exit 1
Q=$T/mnt/queries
declare -A query=(
	[tumbling]='window 1s | group count() | print window count'
	[sliding]='window 2s slide 1s | group count() | print window count'
	[copies]='window 2s slide 1s | group count() first(len) | print window count'
	[session]='window session 500ms | group count() | print window count'
	[hosts]='split ipversion -t 500ms ( group count() ) | print count'
	[nested]='split ipversion ( window 1s | group count() ) | where ipversion = 4 | print window count'
	[workers]='window 1s | group count() | print window count'
	[waits]='window 1s | group count() | print window count'
)
for q in "${!query[@]}"; do
	set="set idle 200ms"
	[ "$q" = workers ] && set="$set set scheduler workers set threads 3"
	[ "$q" = waits ] && set=
	echo "$q: $set f | ${query[$q]}" >"$Q/new"
done
{ head -c 24 "$T/all.pcap"; piece 0 2.4; } >&7
for q in tumbling workers; do
	ok "$q: a window closes though no packet comes" wait_for 10 rows "$Q/$q/out.csv" 3
done
ok 'windows that slide do' wait_for 10 rows "$Q/sliding/out.csv" 4
ok 'and those that each have a copy' wait_for 10 rows "$Q/copies/out.csv" 4
ok 'a session does' wait_for 10 rows "$Q/session/out.csv" 1
ok 'an instance of split does' wait_for 10 rows "$Q/hosts/out.csv" 1
ok 'and a window of such an instance' wait_for 10 rows "$Q/nested/out.csv" 3
is "$(tail -n +2 "$Q/waits/out.csv" | wc -l)" 2 'without set idle a pipe may hold packets up for any time'
n0=$(awk '$1 < 1000000002.4' "$T/packets" | wc -l)
is "$(tail -n +2 "$Q/tumbling/out.csv" | awk -F, '{ n += $2 } END { print n }')" "$n0" 'all that has come is answered'
is "$(tail -n +2 "$Q/session/out.csv" | cut -d, -f2)" "$n0" 'in the session, too'
is "$(tail -n +2 "$Q/hosts/out.csv" | awk '{ n += $1 } END { print n }')" "$(tshark -n -r "$T/all.pcap" -Y 'frame.time_epoch < 1000000002.4 and (ip or ipv6)' 2>/dev/null | wc -l)" 'and of split'

# Then the rest, of which that of 2.4 … 3 s is late for windows of a second.
piece 2.4 7 >&7
late=$(awk '$1 >= 1000000002.4 && $1 < 1000000003' "$T/packets" | wc -l)
ok 'there are packets for the closed window' test "$late" -gt 10
ok 'packets go on' wait_for 10 rows "$Q/tumbling/out.csv" 5
exec 7>&-
for q in "${!query[@]}"; do query_ended "$T/mnt" "$q" || result 1 "$q ended"; done
per 1 2.4 3 >"$T/want"
for q in tumbling workers; do
	tail -n +2 "$Q/$q/out.csv" | sort >"$T/got"
	same "$T/got" "$T/want" "$q: no row twice, none missing but those of late packets"
	is "$(awk '/^window.late: / { print $2 }' "$Q/$q/status")" "$late" 'which are counted'
	is "$(awk '/^window.late\[/ { print $1, $2 }' "$Q/$q/status")" "window.late[1000000002.000000000]: $late" 'with their window'
done
for q in sliding copies; do
	# [1, 3) and [2, 4) had closed
	awk '{ u = int($1 - 1000000000); f = $1 - 1000000000
		for (s = u - 1; s <= u; s++) if (f < 2.4 || s > 2) n[s]++ }
		END { for (s in n) print 1000000000 + s ".000000000," n[s] }' "$T/packets" | sort >"$T/want"
	tail -n +2 "$Q/$q/out.csv" | sort >"$T/got"
	same "$T/got" "$T/want" "$q: so it is with windows that slide"
done
is "$(tail -n +2 "$Q/session/out.csv" | awk -F, '{ n += $2 } END { print NR, n }')" "2 $(wc -l <"$T/packets")" 'a session that goes on is a new one, and nothing is lost'
per 1 >"$T/want"
tail -n +2 "$Q/waits/out.csv" | sort >"$T/got"
same "$T/got" "$T/want" 'without set idle: all packets in all windows'
fusermount3 -u "$T/mnt"

# ---- two sources, of which one is silent ----
mkfifo "$T/busy" "$T/silent"
exec 7<>"$T/busy" 8<>"$T/silent"
mount_weir "$T/two" "b=$T/busy" "s=$T/silent" 7>&- 8>&- || exit 1
Q=$T/two/queries
echo 'arrival: set idle 400ms packets | window 1s | group count() | print window count' >"$Q/new"
echo 'strict: set idle 400ms set order strict packets | window 1s | group count() | print window count' >"$Q/new"
echo 'waits: (b + s) | window 1s | group count() | print window count' >"$Q/new"
head -c 24 "$T/all.pcap" >&8
{ head -c 24 "$T/all.pcap"; piece 0 2.4; } >&7
for q in arrival strict; do
	ok "$q: a live source that has nothing does not hold up the other" wait_for 10 rows "$Q/$q/out.csv" 3
done
is "$(tail -n +2 "$Q/waits/out.csv" | wc -l)" 0 'one that is not live does'
piece 2.4 7 >&8
exec 7>&- 8>&-
per 1 >"$T/want"
query_ended "$T/two" waits
tail -n +2 "$Q/waits/out.csv" | sort >"$T/got"
same "$T/got" "$T/want" 'and what comes of it then is in its place'
per 1 2.4 3 >"$T/want"
for q in arrival strict; do
	query_ended "$T/two" $q
	tail -n +2 "$Q/$q/out.csv" | sort >"$T/got"
	same "$T/got" "$T/want" "$q: what comes of it too late is not"
done
fusermount3 -u "$T/two"

# ---- a replay ----
# Some two seconds, then nothing for an hour: the clock goes as fast as the replay.
"$GENTRACE" -n 200 -r 100 -t 1000000000 -w "$T/gap.pcap"
"$GENTRACE" -n 50 -r 100 -t 1000003600 -w "$T/later.pcap"
tail -c +25 "$T/later.pcap" >>"$T/gap.pcap"
mount_weir "$T/replay" "r=$T/gap.pcap" -o speed=10 || exit 1
Q=$T/replay/queries
for i in 1 2 3 4 5 6 7 8; do # each has a pass, and a clock, of its own
	echo "p$i: packets | window 1s | group count() | print window count" >"$Q/new"
done
for i in 1 2 3 4 5 6 7 8; do
	ok "a replay that pauses: windows close by its clock: p$i" wait_for 20 rows "$Q/p$i/out.csv" 3
done
is "$(awk '/^state/ { print $2 }' "$Q/p8/status")" running 'while it goes on'
is "$(awk -F, 'NR > 1 { n += $2 } END { print n }' "$Q/p8/out.csv")" 200 'with all that has come'
finish
