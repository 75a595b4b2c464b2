#!/bin/bash
# SPDX-License-Identifier: MIT
# Sketch modes of modules against awk's exact answers: what they promise never to do, and their bounds.
. "$(dirname "$0")/../lib.sh"
trace=$(sample)

csv() { "$WEIR" run "$1" "$trace" 2>"$T/err" | tail -n +2; }

# within LOST OF P: a share of at most P, and five times its deviation, went wrong
within() { awk -v l="$1" -v n="$2" -v p="$3" 'BEGIN { exit !(l <= p * n + 5 * sqrt(p * n) + 1) }'; }

# ---- uniq ----

csv 'packets where dstport | print srcip dstip dstport' >"$T/all"
awk '!seen[$0]++' "$T/all" >"$T/exact"
total=$(wc -l <"$T/exact")
csv 'packets | uniq srcip dstip dstport | print srcip dstip dstport' >"$T/weir"
same "$T/weir" "$T/exact" 'uniq: as awk'
for options in '-m 16MB' '-m 16KiB' '-e 0.01' '-e 0.00001' '-m 1MB -e 0.001'; do
	for seed in 1 2 3; do
		csv "packets | uniq $options --seed $seed srcip dstip dstport | print srcip dstip dstport error memory" >"$T/rows"
		cut -d, -f1-3 "$T/rows" >"$T/got"
		[ -z "$(diff "$T/exact" "$T/got" | grep '^>')" ] || break
		lost=$((total - $(wc -l <"$T/got")))
		IFS=, read -r _ _ _ error memory < <(tail -1 "$T/rows")
		within $lost "$total" "$error" || break
	done
	result $? "uniq $options: nothing twice, and $lost of $total lost within its error of $error in $memory bytes"
done
like "$(csv 'packets | uniq -m 16KiB srcip dstip dstport | print memory' | sort -u)" '^16384$' 'uniq -m: the memory asked for'
is "$(csv 'packets | uniq -m 16MB --seed 5 srcip dstip dstport' | md5sum)" \
	"$(csv 'packets | uniq -m 16MB --seed 5 srcip dstip dstport' | md5sum)" 'uniq --seed: the same answer again'
"$WEIR" run 'packets | uniq -e .00001 srcip dstip dstport | print error' "$trace" | tail -n +2 |
	awk '$1 > .00001 { bad = 1 } END { exit bad }'
result $? 'uniq -e: no error above the one asked for'
is "$(csv 'packets | uniq -m 64KiB --seed 9 srcport seq ack ipid | print srcport' | wc -l)" \
	"$(csv 'packets | uniq -m 64KiB --seed 9 srcport,seq,ack,ipid | print srcport' | wc -l)" 'uniq -m: a wide key'
# more tuples than 64 KiB of fingerprints: what finds no room passes, however often
csv 'packets | print ts srcip dstip len' | grep -v ,, >"$T/all4"
csv 'packets | uniq -m 64KiB -e 0.001 ts srcip dstip len | print ts srcip dstip len' >"$T/full"
[ "$(sort -u "$T/all4" | wc -l)" -gt 16384 ] && within $(($(wc -l <"$T/all4") - $(wc -l <"$T/full"))) "$(wc -l <"$T/all4")" 0.001
result $? 'uniq -m -e: a full filter lets new tuples pass'
like "$("$WEIR" run 'set memory 1MB packets | uniq -m 2MB srcip' "$trace" 2>&1)" 'memory limit of .* reached in' \
	"uniq -m: counts against the query's memory"

# ---- count ----

awk -F, '{ print $1 "," ++n[$1] }' <(csv 'packets | print srcip') | sed 's/^,.*//' | grep . >"$T/exact"
for memory in 4KiB 64KiB; do
	for seed in 1 2 3; do
		csv "packets | count -m $memory --seed $seed srcip | print srcip count error" >"$T/got"
		[ "$(wc -l <"$T/got")" = "$(wc -l <"$T/exact")" ] || break
		paste -d, "$T/exact" "$T/got" | awk -F, '$1 != $3 || $4 < $2 { bad = 1 } $4 > $2 + $5 { over++ }
			END { exit bad || over > 0.018 * NR + 5 * sqrt(0.018 * NR) }' || break
	done
	result $? "count -m $memory: never too low, seldom above its error"
done
awk -F, '{ print $1 "," (n[$1] += $2) }' <(csv 'packets | print srcip len') | grep -v '^,' >"$T/exact"
csv 'packets | count -b -m 64KiB --seed 1 srcip | print srcip count' | paste -d, "$T/exact" - | awk -F, '$1 != $3 || $4 < $2 { bad = 1 } END { exit bad }'
result $? 'count -b -m: bytes, never too low'
is "$(csv 'packets | count -m 16MB --seed 3 srcip | last srcip | print srcip count')" \
	"$(csv 'packets | count srcip | last srcip | print srcip count')" 'count -m: with room for all it is exact'

awk '$0 != ",," { if (!seen[$0]++) n++; print n }' <(csv 'packets where dstport | print srcip dstip dstport') >"$T/exact"
for p in 4 10 14 18; do
	csv "packets | count --distinct -p $p --seed 2 -f n srcip dstip dstport | print n error" >"$T/got"
	[ "$(wc -l <"$T/got")" = "$(wc -l <"$T/exact")" ] &&
		paste -d, "$T/exact" "$T/got" | awk -F, '{ d = $2 / $1 - 1; if (d * d > 16 * $3 * $3) bad++ } END { exit bad > 0.02 * NR }'
	result $? "count --distinct -p $p: within four times its standard error"
done
is "$(csv 'packets | count --distinct --seed 1 srcip | tail 1 | print count memory')" "$(csv 'packets where srcip | count --distinct -p 14 --seed 1 srcip | tail 1 | print count memory')" 'count --distinct: 14 if not given'

# ---- group ----

csv 'packets | group srcip distinct(dstip, dstport) as n percentile(len, 50) as m percentile(ttl, 99) as t percentile(len / 7.0, 90) as f' |
	sort >"$T/exact"
for options in '-d -p 4 -e 0.1' '-d -p 12 -e 0.01' '-d -e 0.001'; do
	csv "packets | group $options --seed 4 srcip distinct(dstip, dstport) as n percentile(len, 50) as m percentile(ttl, 99) as t percentile(len / 7.0, 90) as f
		| print srcip n m t f n_error m_error t_error f_error memory" | sort >"$T/got"
	[ "$(wc -l <"$T/got")" = "$(wc -l <"$T/exact")" ] && paste -d, "$T/exact" "$T/got" | awk -F, -v e="${options##* }" '
		function far(got, want, error) { return (got - want) ^ 2 > (error * want) ^ 2 + 1e-18 }
		$1 != $6 || ($3 == "") != ($8 == "") || far($8, $3, $12) || far($9, $4, $13) || far($10, $5, $14) || $12 > e { bad = 1 }
		far($7, $2, 4 * $11) { over++ }
		$15 > 0 { memory++ }
		END { exit bad || over > 0.02 * NR + 1 || memory < NR / 2 }'
	result $? "group $options: percentiles within their error always, distinct within four times its own"
done
is "$(csv 'packets | group --distinct -p 18 --seed 2 distinct(srcip) as s distinct(dstip) as d | print s d')" \
	"$(csv 'packets | group distinct(srcip) as s distinct(dstip) as d')" 'group --distinct: few tuples are counted exactly'
is "$(csv 'packets | window 5s | group -e 0.01 ipprotocol percentile(len, 95) as p | print window ipprotocol p' | wc -l)" \
	"$(csv 'packets | window 5s | group ipprotocol percentile(len, 95)' | wc -l)" 'group -e: in windows'
is "$(csv 'packets | group -e 0.01 percentile(ts, 50) as t')" "$(csv 'packets | group percentile(ts, 50) as t')" 'group -e: times are exact'
is "$(csv 'packets | group -d ipprotocol distinct(srcip) as s | sort s_error | print s_error | head 1')" '0.0001220703125' \
	'group --distinct: the error is a column like others'

# ---- top ----

awk -F, '$0 != "" { if (!n[$0]++) k++; r++; if (n[$0] * k > X * r) print r "," $0 "," n[$0] }' X=5 <(csv 'packets | print srcip') >"$T/exact"
is "$(csv 'packets | top -x 5 srcip | group count()')" "$(wc -l <"$T/exact")" 'top: as awk'
awk -F, '$0 != "" { print $0 "," ++n[$0] }' <(csv 'packets | print srcip') >"$T/counts"
for memory in 16KiB 64KiB 1MB; do
	for seed in 1 2 3; do
		csv "packets where srcip | count -f r | top -m $memory -x 5 --seed $seed srcip | print r srcip count error" >"$T/got"
		# nothing missed, and each count within what its record says
		[ -z "$(join -t, -v1 <(cut -d, -f1 "$T/exact" | sort) <(cut -d, -f1 "$T/got" | sort))" ] || break
		awk -F, 'NR == FNR { src[FNR] = $1; n[FNR] = $2; next } src[$1] != $2 || n[$1] > $3 || n[$1] < $3 - $4 { bad = 1 } END { exit bad }' \
			"$T/counts" "$T/got" || break
	done
	result $? "top -m $memory: misses none, counts within their errors"
done
[ "$(wc -l <"$T/got")" -lt $(($(wc -l <"$T/exact") * 11 / 10)) ]
result $? 'top -m 1MB: hardly more than the exact answer'

missed=
cut -d, -f1 "$T/exact" | sort >"$T/want"
for seed in {4..103}; do
	csv "packets where srcip | count -f r | top -m 16KiB -x 5 --seed $seed srcip | print r" | sort >"$T/got"
	[ -z "$(comm -23 "$T/want" "$T/got")" ] || missed="$missed $seed"
done
is "$missed" '' 'top -m 16KiB: misses none with any of a hundred seeds'

# ---- little memory: an error with a name, not less of an answer ----

while IFS= read -r stage; do
	for memory in 64KiB 100KiB 200KiB 400KiB 1MiB; do
		"$WEIR" run "set memory $memory packets | $stage" "$trace" >"$T/got" 2>&1 && continue
		grep -q 'memory limit of .* reached in' "$T/got" || break
	done
	result $? "$stage: within any memory, or out of it by name"
done <<'EOF'
uniq -m 300KB srcip
uniq -e 0.3 srcip dstip ts
uniq -e 0.00001 srcip
count -m 150KB srcip
count --distinct -p 18 srcip ts
group -d -p 16 srcip distinct(dstip, ts)
group -e 0.0001 srcip percentile(len, 50)
top -m 350KB srcip
sample -k 5000 --seed 5
EOF

# ---- sample ----

csv 'packets | print ts srcip dstip' >"$T/all"
csv 'packets | sample -k 500 -s 7 | print ts srcip dstip weight' >"$T/got"
is "$(wc -l <"$T/got") $(cut -d, -f4 "$T/got" | sort -u)" "500 40" 'sample -k: as many as asked for, each for 40'
[ -z "$(cut -d, -f1-3 "$T/got" | diff "$T/all" - | grep '^>')" ]
result $? 'sample -k: records of the input in their order'
is "$(csv 'packets | sample -k 100000 | print ts srcip dstip weight')" "$(sed 's/$/,1/' "$T/all")" 'sample -k: all where there are no more'
awk -F, '{ t += $1 } END { m = t / NR - 1767225600; exit !(m > 8.7 && m < 11.3) }' "$T/got"
result $? 'sample -k: from everywhere in the trace'
csv 'packets | sample 4 --by srcip,dstip -s 3 | print srcip dstip' | sort | uniq -c | sort >"$T/got"
csv 'packets | print srcip dstip' | grep -v '^,' | sort | uniq -c | sort >"$T/exact"
[ -z "$(comm -23 "$T/got" "$T/exact")" ] &&
	awk -v n="$(wc -l <"$T/exact")" 'END { d = NR - n / 4; exit d * d > 25 * n * 3 / 16 }' "$T/got"
result $? 'sample --by: whole flows, a quarter of them'
half=$(csv 'packets | head 9000 | sample 4 --by srcip,dstip -s 3 | print ts srcip dstip'; csv 'packets | skip 9000 | sample 4 --by srcip,dstip -s 3 | print ts srcip dstip')
is "$half" "$(csv 'packets | sample 4 --by srcip,dstip -s 3 | print ts srcip dstip')" 'sample --by: samples of parts are that of the whole'

# ---- everywhere the same ----

while IFS= read -r query; do
	first=$(csv "set scheduler depth $query" | md5sum)
	for how in 'set scheduler breadth' 'set scheduler workers set threads 1' 'set scheduler workers set threads 3' 'set scheduler workers set threads 8'; do
		[ "$(csv "$how $query" | md5sum)" = "$first" ] || break
	done
	result $? "all schedulers: $query"
done <<'EOF'
packets | uniq -m 16KB --seed 3 srcip dstip dstport | count -f spread srcip | last srcip | sort -r spread | print srcip spread
packets | uniq -e 0.01 --seed 3 srcip dstip dstport | print ts srcip error
packets | count -m 4KB --seed 3 srcip | last srcip
packets | group -d -e 0.02 --seed 4 srcip distinct(dstip) as d percentile(len, 95) as p | print srcip d d_error p memory
packets | top -m 16KB -x 4 --seed 3 srcip | print ts srcip count error
packets | count --distinct --seed 2 srcip dstip
packets | sample 3 --by srcip | group srcip count()
packets | sample -k 99 | print ts weight
packets | split srcip ( count --distinct --seed 4 dstip | last srcip | print srcip count )
packets | window 3s | uniq -m 4KB --seed 5 srcip dstip | group srcip count()
EOF

finish
