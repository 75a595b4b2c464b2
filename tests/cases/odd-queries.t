#!/bin/bash
# SPDX-License-Identifier: MIT
# odd-queries.t: what is unusual but allowed answers rightly, and what is not allowed says why.
. "$(dirname "$0")/../lib.sh"
S=$(sample)
n=$(tcpdump -nn -r "$S" 2>/dev/null | wc -l)

run() { "$WEIR" run -q "$@" 2>&1; }
value() { run "$@" | sed -n 2p; }
refused() { # refused QUERY TEXT DESCRIPTION
	like "$(run "$1" "$S" | head -1)" "$2" "$3"
}

is "$(value 'pcapfile -s 1000000 - | group count()' "$S")" "$n" \
	'options beside - as a file: the source, replayed'
is "$(value -s max 'packets | group count()' "$S")" "$n" 'weir run -s max'
refused "pcapfile $S - | group count()" "bad value '-'" '- beside other files is refused'
like "$(run 'pcapfile -s 9 - | group count()' <"$S" | head -1)" 'speed.*standard input' \
	'standard input has no options in a query'
like "$(run -F pcap 'packets | group count()' "$S")" "^weir: '-F pcap' needs packets" \
	'-F pcap of what is no packets'
refused 'set memory 64KB packets | group count()' "memory limit of 64 KiB.*'set memory'" \
	'a limit that the trace does not fit in says what to do'
refused 'packets | skip 99999999999999999999' 'out of range \(64 bits\)' 'no range of 0 to 0'
refused 'packets | group count() as x sum(len) as x' "the name 'x' is taken" 'two figures of one name'
refused 'packets | group srcip count() as srcip' "the name 'srcip' is taken" 'a figure named like a key'
refused 'packets | rename srcip dstip' "the name 'dstip' is taken" 'rename to a name in use'
refused 'packets | rename srcip a srcip b' "unknown field 'srcip'" 'rename of a field twice'
is "$(value 'packets | rename srcip dstip dstip srcip | head 1 | print dstip srcip' "$S")" \
	"$(value 'packets | head 1 | print srcip dstip' "$S")" 'rename exchanges two names'
refused '(packets + packets | window 2s) | group count()' 'window is a time' \
	'a union names the field whose kinds differ'
is "$(run 'packets | window 10s | window 5s | group count()' "$S")" \
	"$(run 'packets | window 5s | group count()' "$S")" 'a window in a window'
is "$(value 'packets | group ts.date as day dstip.family count() | group day sum(count)' "$S")" \
	"$(value 'packets | head 1 | print ts.date' "$S"),$n" 'group by conversions'
is "$(run 'packets | print len ttl len | head 0' "$S")" 'len,ttl' 'a field shown twice stands where it came first'
refused 'packets | print len as x ttl as x' "the name 'x' is taken" 'two columns of one name'

if [ -r /dev/fuse ] && mount_weir "$T/m" "$S"; then
	echo 'none: packets where len > 99999' >"$T/m/queries/new"
	query_ended "$T/m" none
	ok 'out.pcap of a log without packets is a pcap file' tcpdump -nn -r "$T/m/queries/none/out.pcap"
else
	skip 'out.pcap of a log without packets' 'no /dev/fuse'
fi
finish
