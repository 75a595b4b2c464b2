#!/bin/bash
# SPDX-License-Identifier: MIT
# set history: a query that comes late to a source that is read once begins with the last records that
# were kept, and has every record from there on once.
. "$(dirname "$0")/../lib.sh"
need mkfifo tcpdump
need_fuse
m=$T/m
q=$m/queries
"$GENTRACE" -n 9000 -r 100 -S 5 >"$T/t.pcap"
tcpdump -ttnr "$T/t.pcap" 2>/dev/null | awk '{ print $1 }' >"$T/times"
half=$(perl -e 'open F, shift; binmode F; read F, $h, 24; $at = 24; for (1 .. 6000) {
	read F, $h, 16; $c = unpack "x8V", $h; seek F, $c, 1; $at += 16 + $c } print $at' "$T/t.pcap")
# since SECONDS: packets of the first 6,000 that came at most so long before the last of them
since() { head -6000 "$T/times" | perl -ne 'BEGIN { $s = shift } s/\.//; push @t, $_; END { print scalar grep { $_ >= $t[-1] - $s * 1e6 } @t }' "$1"; }
is_field() { [ "$(sed -n "s/^$2: //p" "$q/$1/status")" = "$3" ]; }
unmount() {
	exec 7>&-
	fusermount3 -u "$m"
	wait "${lib_pids[-1]}"
}
first() { head -c "$half" "$T/t.pcap" | tail -c +25 >&7; }
rest() { tail -c "+$((half + 1))" "$T/t.pcap" >&7; }
rows() { sed 1d "$q/$1/out.csv"; }
info() { sed -n 's/^history: //p' "$m/sources/net/info"; }

# kept because a query wants it
mount_pipe "$m" "$T/t.pcap"
echo 'a: set history 30s net | group count()' >"$q/new"
first
wait_for 20 is_field a records 6000
result $? 'a query has 6,000 packets'
echo 'b: set history 10s net | print ts' >"$q/new"
echo 'c: net | print ts' >"$q/new"
echo 'd: set history 30s net | where len > 100 | print ts' >"$q/new"
echo 'e: set history 30s net | where len > 100 | print ts' >"$q/new"
wait_for 20 is_field b records "$(since 10)"
result $? "one with a history of 10 s has the $(since 10) packets of those at once"
like "$(cat "$q/b/log")" "begins at record $((6001 - $(since 10)))\$" 'its log says where it begins'
rest
exec 7>&-
for n in a b c d e; do query_ended "$m" $n; done
rows b >"$T/b.got"
tail -n +$((6001 - $(since 10))) "$T/times" >"$T/b.want"
same "$T/b.got" "$T/b.want" 'and each packet from there on once, in order'
rows c >"$T/c.got"
tail -n +6001 "$T/times" >"$T/c.want"
same "$T/c.got" "$T/c.want" 'one without begins now'
"$WEIR" run 'packets | where len > 100 | print ts' "$T/t.pcap" | sed 1d >"$T/long"
awk -v t="$(tail -n +$((6001 - $(since 30))) "$T/times" | head -1)" '$1 >= t' "$T/long" >"$T/d.want"
rows d >"$T/d.got"
same "$T/d.got" "$T/d.want" 'so has one that shares a stage from now on'
same "$q/d/out.csv" "$q/e/out.csv" 'and the other that shares it'
unmount

# nobody wants it: nothing is kept
mount_pipe "$m" "$T/t.pcap"
echo 'a: net | group count()' >"$q/new"
first
wait_for 20 is_field a records 6000
is "$(info)" '' 'where nobody wants any, none is kept'
echo 'b: set history 10s net | print ts' >"$q/new"
rest
exec 7>&-
query_ended "$m" b
is "$(rows b | wc -l)" 3000 'and who wants some begins now'
unmount

# -o history: always, and no more than that
mount_pipe "$m" "$T/t.pcap" -o history=512K
echo 'a: net | group count()' >"$q/new"
first
wait_for 20 is_field a records 6000
result "$(info | awk '{ exit !($1 > 0 && $1 < 6000 && $3 > 100000 && $3 <= 524288 && $5 == 524288) }'; echo $?)" 'with -o history=512K no more is kept'
kept=$(info | sed 's/ .*//')
echo 'b: set history 1h net | print ts' >"$q/new"
rest
exec 7>&-
query_ended "$m" b
rows b >"$T/b.got"
tail -n +$((6001 - kept)) "$T/times" >"$T/b.want"
same "$T/b.got" "$T/b.want" 'and that is what a query begins with'
unmount

# a seam in full flow
mount_pipe "$m" "$T/t.pcap"
echo 'a: set history 1h net | group count()' >"$q/new"
tail -c +25 "$T/t.pcap" >&7 &
for i in 1 2 3 4 5 6 7 8; do echo "b$i: set history 1h net | print ts" >"$q/new"; done
wait $!
exec 7>&-
for i in 1 2 3 4 5 6 7 8; do query_ended "$m" b$i; done
for i in 1 2 3 4 5 6 7 8; do rows b$i | cmp -s - "$T/times" || echo "b$i"; done >"$T/odd"
is "$(cat "$T/odd")" '' 'eight that come while packets do have all of them once'
unmount
finish
