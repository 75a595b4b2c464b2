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

finish
