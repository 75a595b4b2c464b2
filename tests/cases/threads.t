#!/bin/bash
# SPDX-License-Identifier: MIT
# Worker threads: every module's example, and odd inputs, give the same bytes as one thread does; the
# mount takes the settings.
. "$(dirname "$0")/../lib.sh"
trace=$(sample)

# each QUERY TRACE DESCRIPTION: one thread, depth-first, is what the others must equal
each() {
	local s bad=
	"$WEIR" run "set scheduler depth $1" "$2" >"$T/want" 2>"$T/want.err" || { result 1 "$3"; note "$(head -3 "$T/want.err")"; return; }
	for s in 'scheduler breadth' 'scheduler workers set threads 1' 'scheduler workers set threads 2' \
		'scheduler workers set threads 3 set tokens 4' 'scheduler workers set threads 8'; do
		"$WEIR" run "set $s $1" "$2" >"$T/got" 2>"$T/err"
		cmp -s "$T/got" "$T/want" || bad="$bad; $s: $(diff "$T/got" "$T/want" | head -5)$(head -3 "$T/err")"
	done
	is "$bad" '' "$3"
}

"$WEIR" modules | awk '{ print $1 }' >"$T/modules"
while read -r m; do
	"$WEIR" modules "$m" | sed -n 's/^ *\(\(packets\|pcapfile -\) .*\)/\1/p' | tail -1 >"$T/query"
	[ -s "$T/query" ] || continue
	grep -qE 'pcapwrite|window.*-[0-9]' "$T/query" && continue
	each "$(cat "$T/query")" "$trace" "example of $m"
done <"$T/modules"

# ---- odd inputs ----

each 'packets | group ipversion count() sum(len)' "$trace" 'few keys: nearly all in one lane'
each 'packets | where srcip = 1.2.3.4 | group srcip count()' "$trace" 'no records'
"$GENTRACE" -n 60000 -w "$T/flood.pcap"
each 'packets | group srcip srcport seq ts count() | group count()' "$T/flood.pcap" 'a key for nearly each record'
each 'packets | uniq srcip srcport seq ts | count dstip | last dstip' "$T/flood.pcap" 'the same as a chain'
# 426,000 keys fill the first slots that workers put into the next ones together (thirteen sixteenths of 2^19);
# each comes again behind that
"$GENTRACE" -n 440000 -s 64 -w "$T/many.pcap"
tail -c +25 "$T/many.pcap" >"$T/again" && cat "$T/again" >>"$T/many.pcap"
is "$("$WEIR" run 'packets | group srcip srcport seq ts count() as n | where n > 1 | group count()' "$T/many.pcap" | awk 'NR == 2 { print ($1 > 426000) }')" 1 'enough keys'
each 'packets | group srcip srcport seq ts count() sum(len) min(len) max(ttl)' "$T/many.pcap" 'more keys than lanes keep for themselves, and than slots are made for alone'
rm -f "$T/many.pcap" "$T/again"
cp "$trace" "$T/cut.pcap" && truncate -s -7 "$T/cut.pcap"
"$WEIR" run -t 4 'set scheduler workers packets | group srcip count()' "$T/cut.pcap" >"$T/got" 2>"$T/err"
"$WEIR" run 'packets | group srcip count()' "$T/cut.pcap" >"$T/want" 2>"$T/want.err"
same "$T/got" "$T/want" 'a cut trace'
same "$T/err" "$T/want.err" 'and what is said of it'
"$WEIR" run 'set scheduler workers set threads 4 set memory 20MB packets | group seq ts srcip count()' "$T/flood.pcap" >"$T/got" 2>"$T/err"
is $? 0 'a tight memory limit: fewer tokens'
"$WEIR" run 'set scheduler workers set threads 2 set memory 12MB packets | group seq ts srcip count()' "$T/flood.pcap" >"$T/got" 2>"$T/err"
is $? 0 'the tables have more than half of it: one token at a time'
"$WEIR" run 'set scheduler workers set threads 4 set memory 16MB packets | sort ts seq' "$T/flood.pcap" >"$T/got" 2>"$T/err"
[ $? = 0 ] || like "$(cat "$T/err")" 'memory' 'the limit is named'

for o in 0 257 x; do
	"$WEIR" run -t $o 'packets | head 1' "$trace" >/dev/null 2>"$T/err"
	is $? 2 "run -t $o is refused"
done

# ---- through the mount ----

need_fuse
m=$T/m
mount_weir "$m" "t=$trace" -o threads=2 || { result 1 mount; finish; }
q='packets | where ipprotocol = 6 | uniq srcip dstip dstport | count -f spread srcip | last srcip | sort -r spread | head 10 | print srcip spread'
for t in 1 2 3 8; do
	echo "t$t: set threads $t set scheduler workers $q" >"$m/queries/new"
	ok "$t threads: ends" query_ended "$m" "t$t"
	cp "$m/queries/t$t/out.csv" "$T/t$t.csv"
	sed -n 's/^node: //p' "$m/queries/t$t/status" | sed 's/ ms [0-9.]*//' >"$T/t$t.nodes"
	same "$T/t$t.csv" "$T/t1.csv" "$t threads: the answer"
	same "$T/t$t.nodes" "$T/t1.nodes" "$t threads: the counters"
done
echo "plain: set scheduler depth $q" >"$m/queries/new"
query_ended "$m" plain
same "$m/queries/plain/out.csv" "$T/t2.csv" 'as depth-first'
sed -n 's/^node: //p' "$m/queries/plain/status" | sed 's/ ms [0-9.]*//' >"$T/plain.nodes"
same "$T/plain.nodes" "$T/t2.nodes" 'and its counters'
like "$(cat "$m/queries/t3/plan")" '^stretch: keyed by srcip: uniq count last$' 'one key serves the chain'
is "$(grep '^stretch: keyed' "$m/queries/t2/plan")" "stretch: keyed by srcip,dstip,dstport: uniq
stretch: keyed by srcip: count last" 'two threads get a lane for each key of it'
like "$(cat "$m/queries/t2/plan")" '^stretch: parallel: where$' 'what is before it is parallel'
like "$(cat "$m/queries/t2/status")" '^outside_locks: (0\.[5-9]|1)' 'most batches are worked on in lanes'
like "$(cat "$m/queries/t2/status")" '^longest_lane: 0\.[0-9]+ (read|serial|keyed)$' 'the longest lane has its share'
for t in 1 8; do
	echo "h$t: set threads $t set scheduler workers packets | where len > 60 | head 3000 | print ts len" >"$m/queries/new"
	query_ended "$m" "h$t"
	sed -n '/^node: \|^records: /s/ ms [0-9.]*//p; /^records: /p' "$m/queries/h$t/status" >"$T/h$t.nodes"
done
same "$T/h8.nodes" "$T/h1.nodes" 'what is read ahead of a head counts nowhere'
echo "bad: set threads 300 $q" >"$m/queries/new" 2>/dev/null
ok 'threads out of range is refused' test ! -e "$m/queries/bad"
finish
