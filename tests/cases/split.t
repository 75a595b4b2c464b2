#!/bin/bash
# SPDX-License-Identifier: MIT
# split: an instance of some stages for each key. The oracle is awk over the records' own fields.
. "$(dirname "$0")/../lib.sh"
trace=$(sample)

run() { # run QUERY TRACE: rows without the head
	"$WEIR" run "$1" "$2" 2>"$T/err" | tail -n +2
}

both() { # both QUERY TRACE: rows; or which scheduler gives others
	local s
	run "set scheduler depth $1" "$2" >"$T/depth"
	for s in breadth 'workers set threads 2' 'workers set threads 8 set tokens 3'; do
		run "set scheduler $s $1" "$2" >"$T/other"
		cmp -s "$T/depth" "$T/other" || { echo "$s differs"; return; }
	done
	cat "$T/depth"
}

# ---- the entropy of each source's target ports ----

entropies() { # of "srcip,dstport" rows; keys in order of first appearance
	awk -F, '$1 != "" && !($1 in seen) { seen[$1]; key[++k] = $1 } $1 != "" && $2 != "" { n[$1]++; c[$1, $2]++; if (c[$1, $2] == 1) ports[$1] = ports[$1] " " $2 }
		END { for (i = 1; i <= k; i++) { if (!(key[i] in n)) continue; s = 0; m = split(ports[key[i]], p, " ")
			for (j = 1; j <= m; j++) { q = c[key[i], p[j]] / n[key[i]]; s -= q * log(q) / log(2) }
			printf "%s %.9f\n", key[i], s + 1e-15 } }'
}

list=$trace
[ -d "$DATA/traces" ] && list="$list $(find "$DATA/scan" "$DATA/dos" "$DATA/traces/PcapPlusPlus" "$DATA/traces/suricata-verify" -name '*.pcap' -size +20k -size -4000k |
	sort | awk 'NR % 9 == 1' | head -8 | tr '\n' ' ')"
for f in $list; do
	run 'packets | print srcip dstport' "$f" | entropies >"$T/want"
	both 'packets | split srcip ( count dstport | last dstport | entropy ) | print srcip entropy' "$f" |
		awk -F, '{ printf "%s %.9f\n", $1, $2 + 1e-15 }' >"$T/got"
	same "$T/got" "$T/want" "entropy by source: $(basename "$f"), $(wc -l <"$T/want") keys"
done

# ---- what is passed on keeps its order; keys of several fields; a named stream as the stages ----

run 'packets | print ts srcip dstport len' "$trace" | awk -F, '$2 != "" { print $0 "," ++n[$2] }' >"$T/want"
both 'packets | split srcip ( count ) | print ts srcip dstport len count' "$trace" >"$T/got"
same "$T/got" "$T/want" 'a running count for each key, in the order of the records'
both 'numbered :- count | print ts srcip dstport len count
packets | split srcip ( numbered )' "$trace" >"$T/got"
same "$T/got" "$T/want" 'the stages may have a name'
run 'packets | print srcip dstip ipprotocol len' "$trace" |
	awk -F, '$1 != "" && $2 != "" { k = $1 "," $2; if (!(k in n)) key[++m] = k; n[k]++; b[k] += $4 }
		END { for (i = 1; i <= m; i++) print key[i] "," n[key[i]] "," b[key[i]] }' >"$T/want"
both 'packets | split srcip dstip ( group count() sum(len) as b ) | print srcip dstip count b' "$trace" >"$T/got"
same "$T/got" "$T/want" 'rows that are made anew gain the key'
both 'packets | split srcip ( split dstip ( group count() sum(len) as b ) ) | sort srcip dstip | print srcip dstip count b' "$trace" >"$T/got"
run 'packets | group srcip dstip count() sum(len) as b | where srcip and dstip | sort srcip dstip | print srcip dstip count b' "$trace" >"$T/want"
same "$T/got" "$T/want" 'split in split'
both 'packets | split srcip ( ( where dstport = 443 | group count() as n + where dstport = 53 | group sum(len) as b ) ) | group sum(n) as n sum(b) as b' "$trace" >"$T/got"
run 'packets | print srcip dstport len' "$trace" | awk -F, '$1 != "" && $2 == 443 { n++ } $1 != "" && $2 == 53 { b += $3 } END { print n "," b }' >"$T/want"
same "$T/got" "$T/want" 'branches within'
run 'packets | print vlan' "$trace" | awk '$1 != "" { print $1 "," ++n[$1] }' >"$T/want"
both 'packets | split vlan ( count ) | print vlan count' "$trace" >"$T/got"
same "$T/got" "$T/want" 'records without the field are in no instance'

# ---- windows ----

run 'packets | print ts srcip' "$trace" |
	awk -F, '$2 != "" { w = int($1); k = w "," $2; if (!(k in n)) key[++m] = k; n[k]++ } END { for (i = 1; i <= m; i++) print key[i] "," n[key[i]] }' |
	sort >"$T/want"
both 'packets | window 1s | split srcip ( group count() ) | print window srcip count' "$trace" | sed 's/\.0*,/,/' | sort >"$T/got"
same "$T/got" "$T/want" 'split in a window'
both 'packets | split srcip ( window 1s | group count() ) | print window srcip count' "$trace" | sed 's/\.0*,/,/' | sort >"$T/got"
same "$T/got" "$T/want" 'a window in a split'
both 'packets | window 5s | split srcip ( window 1s | group count() | print window srcip count )' "$trace" | sed 's/\.0*,/,/' | sort >"$T/got"
same "$T/got" "$T/want" 'a window in a split in a window'

# ---- limits ----

# an LRU of 5 keys: what ends is counted, and what is left ends at the end, the longest unused first
run 'packets | print srcip' "$trace" |
	awk -v most=5 '$1 == "" { next }
	{ if (!($1 in n)) { if (m == most) { lru = ""; for (k in n) if (lru == "" || used[k] < used[lru]) lru = k
			print lru "," n[lru]; delete n[lru]; evicted++; m-- }
		m++ }
	n[$1]++; used[$1] = NR }
	END { while (m--) { lru = ""; for (k in n) if (lru == "" || used[k] < used[lru]) lru = k; print lru "," n[lru]; delete n[lru] }
		print evicted > "/dev/stderr" }' >"$T/want" 2>"$T/evicted"
both 'packets | split srcip -n 5 ( group count() ) | print srcip count' "$trace" >"$T/got"
same "$T/got" "$T/want" "-n ends the least recently used, $(cat "$T/evicted") of them"
# idle for longer than half a second: ended at the next record of any key
run 'packets | print ts srcip' "$trace" |
	awk -F, '$2 == "" { next } ($2 in n) && $1 - last[$2] > .5 { print $2 "," n[$2]; delete n[$2] } { n[$2]++; last[$2] = $1 }
	END { for (k in n) print k "," n[k] }' | sort >"$T/want"
both 'packets | split srcip -t 500ms ( group count() ) | print srcip count' "$trace" | sort >"$T/got"
same "$T/got" "$T/want" '-t ends what is idle, by the time of the records'
both 'packets | split srcip -t 500ms ( count ) | print srcip count' "$trace" | sort >"$T/got"
run 'packets | print ts srcip' "$trace" |
	awk -F, '$2 == "" { next } $1 - last[$2] > .5 { n[$2] = 0 } { print $2 "," ++n[$2]; last[$2] = $1 }' | sort >"$T/want"
same "$T/got" "$T/want" 'a later record begins a new instance'
is "$("$WEIR" check 'packets | split srcip -n 5 ( group count() )' 2>&1 | grep -c .)" 0 'it is checked'

# ---- ends: a module that wants no more, one that never emits ----

run 'packets | print srcip ts' "$trace" | awk -F, '$1 != "" && n[$1]++ < 2' >"$T/want"
both 'packets | split srcip ( head 2 ) | print srcip ts' "$trace" >"$T/got"
same "$T/got" "$T/want" 'head within'
both 'packets | split srcip ( count ) | print srcip ts | head 7' "$trace" | wc -l >"$T/got"
is "$(cat "$T/got")" 7 'head behind'
is "$(both 'packets | split srcip ( where len > 100000 | group srcip count() ) | print srcip count' "$trace" | wc -l)" 0 'instances that never emit'

# ---- a stream beside a table ----

run 'packets | print srcip dstip srcport dstport flags.syn' "$trace" | awk -F, '$1 != "" && $3 != "" {
		k = $1 "," $2 "," $3 "," $4; if (!(k in n)) { n[k] = 0; rows++ }
		if ($5 == "true") syn++; else { rows++; sum += ++n[k] } }
	END { print rows "," sum "," syn }' >"$T/want"
is "$(both 'set memory 32MB packets | split srcip dstip srcport dstport ( filter flags.syn --then ( group count() as syn ) --else ( count ) ) |
	group count() sum(count) as n sum(syn) as s' "$trace")" "$(cat "$T/want")" 'the records that instances keep take little memory'
run 'packets | print srcip ts len' "$trace" | awk -F, '$1 != "" { if (!($1 in n)) key[++k] = $1; n[$1]++
		i = $3 % 2 ? 2 : 1; if (c[$1, i]++ < 3) r[$1, i] = r[$1, i] $1 "," $2 "," $3 ",\n" }
	END { for (j = 1; j <= k; j++) printf "%s%s%s,,,%d\n", r[key[j], 1], r[key[j], 2], key[j], n[key[j]] }' >"$T/want"
both 'packets | split srcip ( ( where len % 2 = 0 | head 3 | print srcip ts len + where len % 2 = 1 | head 3 | print srcip ts len + group count() as k ) ) | print srcip ts len k' "$trace" >"$T/got"
same "$T/got" "$T/want" 'beside a table records come branch by branch'

# ---- instances of a module that keeps what it made ----

run 'packets | where ipid | mask srcip dstip -k secret | print ts srcip dstip' "$trace" >"$T/want"
both 'set memory 64MB packets | split ipid ( mask srcip dstip -k secret ) | print ts srcip dstip' "$trace" >"$T/got"
same "$T/got" "$T/want" 'pseudonyms of thousands of instances, in little memory'

# ---- a million keys ----

million() { # a raw IPv4 trace of N packets, each from another address
	perl -e 'binmode STDOUT; print pack("VvvlVVV", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101);
		for ($i = 0; $i < $ARGV[0]; $i++) { print pack("VVVV", 1600000000 + $i / 100000, $i % 100000 * 10, 20, 20),
		pack("CCnnnCCnNN", 0x45, 0, 20, 0, 0, 64, 200, 0, 0x0a000000 + $i, 0xc0a80001) }' "$1"
}
million 1000000 >"$T/million.pcap"
is "$(run 'packets | split srcip ( count ) | group count() sum(count) as n max(count) as m' "$T/million.pcap")" \
	'1000000,1000000,1' 'a million instances, in the memory that a query has'
"$WEIR" run 'set memory 100MB packets | split srcip ( group count() ) | group count() as n' "$T/million.pcap" >"$T/got" 2>&1
is $? 1 'at the limit of memory the query fails'
like "$(cat "$T/got")" "memory limit of 100 MiB reached in '[a-z]+' \(raise it with 'set memory'\)" 'and says so'
is "$(run 'set memory 30MB packets | split srcip -n 1000 ( group count() ) | group count() as n' "$T/million.pcap")" 1000000 'a bound keeps it small'
is "$(run 'set memory 30MB packets | split srcip -t 1ms ( group count() ) | group count() as n' "$T/million.pcap")" 1000000 'so does a time'
rm -f "$T/million.pcap"

# ---- in the tree ----

if [ -c /dev/fuse ] && mount_weir "$T/m" "$trace"; then
	echo 'ent: packets | split srcip ( count dstport | last dstport | entropy ) | print srcip entropy' >"$T/m/queries/new"
	query_ended "$T/m" ent
	"$WEIR" run 'packets | split srcip ( count dstport | last dstport | entropy ) | print srcip entropy' "$trace" >"$T/want"
	same "$T/m/queries/ent/out.csv" "$T/want" 'through the mount'
	like "$(cat "$T/m/queries/ent/plan")" '^  [0-9]+ count <- [0-9]+ ' 'its plan shows the stages'
	echo 'lru: packets | split srcip -n 5 ( group count() ) | print srcip count' >"$T/m/queries/new"
	query_ended "$T/m" lru
	like "$(cat "$T/m/queries/lru/status")" "^split.evicted: $(cat "$T/evicted")\$" 'its status counts what was evicted'
else
	skip 'through the mount' 'no /dev/fuse'
fi
finish
