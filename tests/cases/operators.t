#!/bin/bash
# SPDX-License-Identifier: MIT
# head, tail, skip, sample, delta, derivative, intervals, window, mask, pcapwrite … against awk over the rows of
# the same trace, in order and out of order.
. "$(dirname "$0")/../lib.sh"
need mergecap
trace=$(sample)
# ten seconds, then five that begin at the fourth of them: late records
"$GENTRACE" -n 3000 -r 300 -t 1767225600 -w "$T/a.pcap"
"$GENTRACE" -n 1500 -r 300 -t 1767225604 -S 2 -w "$T/b.pcap"
mergecap -a -F pcap -w "$T/mixed.pcap" "$T/a.pcap" "$T/b.pcap"

run() { "$WEIR" run "$1" "${2:-$trace}" 2>"$T/err" || note "$(cat "$T/err")"; }
rows() { run "packets | print $1" "${2:-$trace}" | tail -n +2; }
# against QUERY AWK-PROGRAM FIELDS DESCRIPTION [TRACE]: the query's rows are awk's over the fields
against() {
	run "$1" "${5:-$trace}" | tail -n +2 >"$T/got"
	rows "$3" "${5:-$trace}" | awk -F, "$2" >"$T/want"
	[ -s "$T/want" ] || note 'the oracle is empty'
	same "$T/got" "$T/want" "$4"
}
# integer microseconds of a time
us='function us(t,  p) { split(t, p, "."); return p[1] * 1000000 + p[2] }
    function sec(u) { return sprintf("%d.%06d", int(u / 1000000), u % 1000000) }'

against 'packets | print ts len | head 1500' 'NR <= 1500' 'ts len' 'head, over more than a batch'
against 'packets | print ts len | skip 1500' 'NR > 1500' 'ts len' 'skip'
against 'packets | print ts len | skip 1500 | head 100' 'NR > 1500 && NR <= 1600' 'ts len' 'skip and head'
against 'packets | print ts len | tail 1500' 'NR > 18500' 'ts len' 'tail'
# definitions one behind another are not nested: as many as there may be stages
is "$(run "d :- skip 3
packets$(yes ' | d' | head -n 900 | tr -d '\n') | group count()")" "$(run 'packets | skip 2700 | group count()')" 'a definition 900 times in a row'
is "$(run "d0 :- skip 3
$(for i in 1 2 3 4 5 6 7 8 9; do echo "d$i :- d$((i - 1)) | d$((i - 1))"; done)
packets | d9 | group count()")" "$(run 'packets | skip 1536 | group count()')" 'definitions that each are the one before twice'
is "$(run 'd :- where len > 100 | skip 3
e :- d | d
packets | d | e | d | print ts len')" "$(run 'packets | where len > 100 | skip 12 | print ts len')" 'a definition may stand in a pipe more than once'
against 'packets | where len > 100 | tail 7 | print ts' '$2 > 100 { r[n++] = $1 } END { for (i = n - 7; i < n; i++) print r[i] }' \
	'ts len' 'tail behind where'
against 'packets | sample 7 | print ts' 'NR % 7 == 0 { print $1 }' 'ts' 'sample every Nth'
against 'packets | expr len*8 as bits, len+1 as x | print bits x' '{ print $1 * 8 "," $1 + 1 }' 'len' 'expr'
against 'packets | const 5 as five, lab as net | print five net len' '{ print "5,lab," $1 }' 'len' 'const'
against 'packets | rename len bytes, srcip as client | print client bytes' '{ print $2 "," $1 }' 'len srcip' 'rename'
against 'packets | delta len | print delta' 'NR == 1 { print "" } NR > 1 { print $1 - p } { p = $1 }' 'len' 'delta'
against 'packets | delta len --by srcip | print delta' \
	'$1 == "" { next } { print ($1 in p) ? $2 - p[$1] : ""; p[$1] = $2 }' 'srcip len' 'delta --by'
# last takes over what count has looked up where their tuples are the same, in whatever order, and only there
for keys in 'srcip dstip' 'dstip srcip' 'srcip dstip srcip' srcip 'srcip srcip' dstip; do
	k=${keys//srcip/\$1}
	k=${k//dstip/\$2}
	against "packets | count srcip dstip | last $keys | print srcip dstip count" \
		'$1 == "" { next } { c = ++n[$1 FS $2]; k = '"${k// / FS }"'; if (!(k in l)) o[m++] = k; l[k] = $1 "," $2 "," c } END { for (i = 0; i < m; i++) print l[o[i]] }' \
		'srcip dstip' "count srcip dstip and last $keys"
done
against 'packets | intervals srcip dstip | print interval' \
	"$us"' $2 == "" { next } { k = $2 FS $3; print (k in p) ? sec(us($1) - p[k]) : ""; p[k] = us($1) }' \
	'ts srcip dstip' 'intervals'
run 'packets | derivative len | print derivative' >"$T/got"
rows 'ts len' | awk -F, "$us"' NR == 1 { print "" } NR > 1 { print us($1) == t ? "" : ($2 - p) / ((us($1) - t) / 1e6) } { p = $2; t = us($1) }' >"$T/want"
ok 'derivative' awk 'NR == FNR { if (FNR > 1) a[FNR - 1] = $1; next } { d = a[FNR] - $1; s = $1 < 0 ? -$1 : $1
	if (d > s * 1e-4 + 1e-4 || -d > s * 1e-4 + 1e-4) { print FNR, a[FNR], $1; exit 1 } }' "$T/got" "$T/want"

n=$(run 'packets | sample -p .25 -s 3 | print ts' | tail -n +2 | wc -l)
ok "sample -p takes about a quarter ($n)" test "$n" -gt 4700 -a "$n" -lt 5300
is "$(run 'packets | sample -p .25 -s 3 | print ts' | cksum)" "$(run 'packets | sample -p .25 -s 3 | print ts' | cksum)" 'and the same again'
run 'packets | sample 4 --by srcip | print srcip ts' | tail -n +2 >"$T/got"
cut -d, -f1 "$T/got" | sort -u >"$T/in"
ok 'sample --by takes some of the addresses' test "$(wc -l <"$T/in")" -gt 10
rows 'srcip ts' | awk -F, 'NR == FNR { in_[$1]; next } $1 in in_' "$T/in" - >"$T/want"
same "$T/got" "$T/want" 'and all of their packets'

# ---- windows ----
against 'packets | window 5s | print window ts' "$us"' { u = us($1); print sec(u - u % 5000000) "," $1 }' 'ts' 'tumbling windows'
against 'packets | window 700 records | print window ts' '(NR - 1) % 700 == 0 { s = $1 } { print s "," $1 }' 'ts' 'counted windows'
run 'packets | window 4s slide 1s | print window ts' | tail -n +2 | sort >"$T/got"
rows ts | awk -F, "$us"' { u = us($1); u -= u % 1000000; for (i = 0; i < 4; i++) print sec(u - i * 1000000) "," $1 }' | sort >"$T/want"
same "$T/got" "$T/want" 'sliding windows'
run 'packets | window 5s slide 2s | print window ts' | tail -n +2 | sort >"$T/got"
rows ts | awk -F, "$us"' { u = us($1); for (s = u - u % 2000000; s + 5000000 > u; s -= 2000000) print sec(s) "," $1 }' | sort >"$T/want"
same "$T/got" "$T/want" 'sliding windows whose width is no multiple of the slide'
run 'packets | window 2s slide 5s | print window ts' | tail -n +2 >"$T/got"
rows ts | awk -F, "$us"' { u = us($1); s = u - u % 5000000; if (u < s + 2000000) print sec(s) "," $1 }' >"$T/want"
same "$T/got" "$T/want" 'windows with gaps between them'
run 'packets | window session 300ms by srcip | print window ts srcip' | tail -n +2 | sort >"$T/got"
rows 'ts srcip' | awk -F, "$us"' $2 == "" { next }
	{ u = us($1); if (!($2 in l) || u - l[$2] > 300000) s[$2] = $1; l[$2] = u; print s[$2] "," $1 "," $2 }' | sort >"$T/want"
same "$T/got" "$T/want" 'sessions'
run 'packets | window session 4ms | print window ts' | tail -n +2 >"$T/got"
rows 'ts' | awk -F, "$us"' { u = us($1); if (NR == 1 || u - l > 4000) s = $1; l = u; print s "," $1 }' >"$T/want"
same "$T/got" "$T/want" 'sessions without a key'
run 'packets | window 3s | tail 1 | print window ts' | tail -n +2 >"$T/got"
rows ts | awk -F, "$us"' { u = us($1); w = u - u % 3000000; if (NR > 1 && w != p) print sec(p) "," t; p = w; t = $1 } END { print sec(p) "," t }' >"$T/want"
same "$T/got" "$T/want" 'a table in each window, which is renewed'
is "$(run 'packets | window 3s | head 2 | print ts' | wc -l)" "$(($(wc -l <"$T/want") * 2 + 1))" 'head in each window'
for late in 0 1 3; do
	run "packets | window 1s --late ${late}s | print window ts" "$T/mixed.pcap" | tail -n +2 | sort >"$T/got"
	rows ts "$T/mixed.pcap" | awk -F, -v late=$late "$us"' { u = us($1); if (NR == 1 || u > h) h = u
		w = u - u % 1000000; if (w + 1000000 > h - late * 1000000) print sec(w) "," $1; else n++ }
		END { if (!n) print "no late record in the trace" }' | sort >"$T/want"
	same "$T/got" "$T/want" "late records, ${late} s allowed"
done
is "$(run 'set late 1s packets | window 1s | print ts' "$T/mixed.pcap" | cksum)" \
	"$(run 'packets | window 1s --late 1s | print ts' "$T/mixed.pcap" | cksum)" "'set late' is --late"

# ---- mask, pcapwrite ----
is "$(run 'packets | mask srcip dstip | print srcip dstip' | tail -n +2 | tr , '\n' | grep -F . | grep -cv '\.0$')" 0 'mask zeroes the last octet'
is "$(run 'packets | mask srcip --v4 32 --v6 128 | print srcip' | cksum)" "$(run 'packets | print srcip' | cksum)" 'mask of no bits'
rows 'srcip' | paste -d, - <(run 'packets | mask srcip -k secret | print srcip' | tail -n +2) | sort -u | grep -F . >"$T/map"
is "$(cut -d, -f1 "$T/map" | sort -u | wc -l)" "$(cut -d, -f2 "$T/map" | sort -u | wc -l)" 'pseudonyms are one to one'
is "$(sed -E 's/\.[0-9]+\.[0-9]+,/,/; s/\.[0-9]+\.[0-9]+$//' "$T/map" | sort -u | wc -l)" \
	"$(cut -d. -f1,2 "$T/map" | sort -u | wc -l)" 'and keep prefixes'
is "$(run 'packets | mask srcip | print packet payload' | tail -n +2 | tr -d ,'\n' | wc -c)" 0 'no octets behind mask'
run "packets | where len > 200 | pcapwrite $T/out.pcap | head 0" >/dev/null
is "$(run 'packets | print ts len payload' "$T/out.pcap" | cksum)" "$(run 'packets | where len > 200 | print ts len payload' | cksum)" 'pcapwrite'
"$GENTRACE" -n 500 -N -w "$T/ns.pcap"
run "packets | pcapwrite $T/out.pcap" "$T/ns.pcap" >/dev/null
same "$T/out.pcap" "$T/ns.pcap" 'pcapwrite of a whole trace with nanoseconds is that trace'
like "$(cd "$T" && "$WEIR" run 'packets | pcapwrite /nonexistent/x' "$T/ns.pcap" 2>&1)" "cannot open '/nonexistent/x'" 'pcapwrite where nothing can be written'
finish
