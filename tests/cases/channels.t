#!/bin/bash
# SPDX-License-Identifier: MIT
# Modules with several outputs: filter's --then and --else, distribute, tee. The oracle is awk.
. "$(dirname "$0")/../lib.sh"
trace=$(sample)

run() { # run QUERY: rows without the head
	"$WEIR" run "$1" "$trace" 2>"$T/err" | tail -n +2
}

both() { # both QUERY: rows; or which scheduler gives others
	local s
	run "set scheduler depth $1" >"$T/depth"
	for s in breadth 'workers set threads 2' 'workers set threads 8 set tokens 3'; do
		run "set scheduler $s $1" >"$T/other"
		cmp -s "$T/depth" "$T/other" || { echo "$s differs"; return; }
	done
	cat "$T/depth"
}

run 'packets | print ts srcip dstport len' >"$T/all"

# ---- filter ----

awk -F, '{ print $0 "," ($3 == 80 ? "web" : "other") }' "$T/all" >"$T/want"
both 'packets | filter dstport=80 --then ( const -f app web ) --else ( const -f app other ) | print ts srcip dstport len app' >"$T/got"
same "$T/got" "$T/want" 'filter --then --else: both, in the order of the records'
both 'packets | filter dstport=80 -v --then ( const -f app other ) --else ( const -f app web ) | print ts srcip dstport len app' >"$T/got"
same "$T/got" "$T/want" 'with -v the other way round'
awk -F, '$3 == 80 || $2 == "" { print; next } !($2 in seen) { seen[$2]; print }' "$T/all" | awk -F, '$3 == 80 || $2 != ""' >"$T/want"
both 'packets | filter dstport=80 -else ( uniq srcip ) | print ts srcip dstport len' >"$T/got"
same "$T/got" "$T/want" '-else alone: the others pass as before'
awk -F, '$3 == 80 { n++; print n }' "$T/all" | tail -1 >"$T/want"
both 'packets | filter dstport=80 --then ( count ) | tail 1 | print count' >"$T/got"
same "$T/got" "$T/want" '--then alone: the others are dropped as before'
awk -F, '$3 == 80 { n++ } $3 != 80 { b += $4 } END { print n "," b }' "$T/all" >"$T/want"
both 'packets | filter(dstport=80) --then ( group count() as n ) --else ( group sum(len) as b ) | group sum(n) as n sum(b) as b' >"$T/got"
same "$T/got" "$T/want" 'tables behind both'
awk -F, '$3 == 80 { a++; next } $3 == 443 { b++; next } { c++ } END { print a "," b "," c }' "$T/all" >"$T/want"
both 'packets | filter dstport=80 --then ( group count() as a ) --else ( filter dstport=443 --then ( group count() as b ) --else ( group count() as c ) )
	| group sum(a) as a sum(b) as b sum(c) as c' >"$T/got"
same "$T/got" "$T/want" 'one in the other'
awk -F, '$3 == 80 || $3 == 443 || $3 == 53' "$T/all" | wc -l >"$T/want"
both 'packets | filter dstport=80 --else ( where dstport = 443 + where dstport = 53 ) | group count()' >"$T/got"
same "$T/got" "$T/want" 'branches within'
is "$(both 'packets | filter dstport=80 --then ( head 3 ) --else ( head 2 ) | group count()')" 5 'each ends for itself'
awk -F, '$2 != "" { if ($3 == 80) w[$2]++; if (!($2 in n)) k[++m] = $2; n[$2]++ } END { for (i = 1; i <= m; i++) if (w[k[i]]) print k[i] "," w[k[i]] }' "$T/all" >"$T/want"
both 'packets | split srcip ( filter dstport=80 --then ( group count() ) --else ( head 0 | group count() as none ) | where count > 0 ) | print srcip count' >"$T/got"
same "$T/got" "$T/want" 'within a split'
both 'packets | window 1s | filter dstport=80 --then ( group count() ) --else ( head 0 ) | where count | print window count' | sed 's/\.0*,/,/' >"$T/got"
awk -F, '$3 == 80 { w = int($1); if (!(w in n)) k[++m] = w; n[w]++ } END { for (i = 1; i <= m; i++) print k[i] "," n[k[i]] }' "$T/all" >"$T/want"
same "$T/got" "$T/want" 'within a window'

awk -F, '{ print $0 "," ($3 == 80 ? "web" : $3 == 443 ? "tls" : $3 == 53 ? "dns" : "") }' "$T/all" >"$T/want"
both 'packets | filter dstport=80 --then ( const -f app web ) --else ( filter dstport=443 --then ( const -f app tls )
	--else ( filter dstport=53 --then ( const -f app dns ) ) ) | print ts srcip dstport len app' >"$T/got"
grep -v ',$' "$T/want" >"$T/some"
same "$T/got" "$T/some" 'a chain of cases: in the order of the records'
both 'packets | ( ( ( where dstport = 443 | const -f app tls + where dstport = 53 ) + where dstport = 80 ) + head 0
	+ where len > 1e9 + where dstport not in (53, 80, 443) or not dstport )
	| print ts srcip dstport len' >"$T/got"
same "$T/got" "$T/all" 'branches in branches: in the order of the records'
both '( ( packets | where dstport = 443 + packets | where dstport = 53 ) + packets | where dstport = 80 ) | ( ( where true + head 0 ) + where len > 1e9 ) | group count()' >"$T/got"
awk -F, '$3 == 80 || $3 == 443 || $3 == 53' "$T/all" | wc -l >"$T/want"
same "$T/got" "$T/want" 'sources in branches in branches'

# ---- distribute ----

awk '{ print (NR - 1) % 3 + 1 "," $0 }' "$T/all" >"$T/want"
both 'packets | distribute -f part ( where true ) ( where true ) ( where true ) | print part ts srcip dstport len' >"$T/got"
same "$T/got" "$T/want" 'distribute in turn'
both 'packets | distribute -n 3 -f part ( where true ) | print part ts srcip dstport len' >"$T/got"
same "$T/got" "$T/want" '-n: so many instances of the same stages'
awk '(NR - 1) % 2 { if (b++ < 2) print "," $0; next } a++ < 3 { print "x," $0 }' "$T/all" >"$T/want"
both 'packets | distribute ( head 3 | const -f a x ) ( head 2 ) | print a ts srcip dstport len' >"$T/got"
same "$T/got" "$T/want" 'stages of its own for each'
both 'packets | distribute -n 7 -f part srcip ( where true ) | print part srcip' >"$T/got"
is "$(awk -F, 'part[$2] && part[$2] != $1 { bad = 1 } { part[$2] = $1; used[$1] } END { for (p in used) n++; print n, bad + 0 }' "$T/got")" '7 0' 'by hash: a value is always in the same output, all are used'
cut -d, -f2 "$T/got" >"$T/order"
cut -d, -f2 "$T/all" | grep -v '^$' >"$T/want"
same "$T/order" "$T/want" 'by hash: the order of the records'
awk -F, '$2 != "" { print ++n[$2] }' "$T/all" >"$T/want"
both 'packets | distribute -n 16 srcip ( count srcip ) | print count' >"$T/got"
same "$T/got" "$T/want" 'what is counted by the key is counted in one of them'
is "$(run 'packets | distribute -n 16 srcip dstip dstport ( count srcip ) | print count' | md5sum)" \
	"$(run 'packets | distribute -n 16 srcip dstip dstport ( count srcip ) | print count' | md5sum)" 'it does not differ from run to run'

# ---- tee ----

awk -F, '{ n++ } $3 == 53 { d++ } END { print n "," d }' "$T/all" >"$T/want"
{
	both "packets | tee ( where dstport = 53 | pcapwrite $T/dns.pcap ) | group count()"
	"$WEIR" run 'packets | group count()' "$T/dns.pcap" | tail -n +2
} | paste -sd, >"$T/got"
same "$T/got" "$T/want" 'tee: to a file on the side'
both 'packets | tee ( const -f side 1 | head 2 ) | print ts srcip dstport len' >"$T/got"
same "$T/got" "$T/all" 'what its stages leave is not in the answer'
is "$("$WEIR" run 'packets | tee ( const -f side 1 ) | head 1' "$trace" | head -1 | grep -c side)" 0 'nor are their fields'

# ---- plans ----

"$WEIR" check 'packets | filter dstport=80 --else ( uniq srcip ) | head' >"$T/got" 2>&1
is "$(cat "$T/got")" '' 'it is checked'
if [ -c /dev/fuse ] && mount_weir "$T/m" "$trace"; then
	echo 'c: packets | filter dstport=80 --then ( count ) --else ( distribute -n 2 ( uniq srcip ) ) | group count() as n' >"$T/m/queries/new"
	query_ended "$T/m" c
	like "$(cat "$T/m/queries/c/plan")" '^2 count <- 1:then ' 'the plan says which output: by name'
	like "$(cat "$T/m/queries/c/plan")" '^5 uniq <- 3:2 ' 'by number'
	like "$(cat "$T/m/queries/c/graph.dot")" 'n1 -> n3 \[label="else"\];' 'so does the graph'
	"$WEIR" run 'packets | filter dstport=80 --then ( count ) --else ( distribute -n 2 ( uniq srcip ) ) | group count() as n' "$trace" >"$T/want"
	same "$T/m/queries/c/out.csv" "$T/want" 'through the mount'
else
	skip 'plans' 'no /dev/fuse'
fi
# ---- whatever parts a stream and unites it again, its records stay in order ----

orders() { # of each line: its records, and whether they are in order under all schedulers
	local q
	while IFS= read -r q; do
		both "packets | $q | print ts" >"$T/got"
		sort -c -n "$T/got" 2>"$T/err" && [ "$(wc -l <"$T/got")" -gt 1000 ] || note "$q: $(wc -l <"$T/got") $(head -n 1 "$T/err")"
	done
}
is "$(orders <<'END'
split srcport ( split dstport ( where true ) )
split srcport ( ( where len > 100 + where len <= 100 ) )
split srcport ( filter len > 100 --then ( const 1 ) --else ( const 2 ) )
split srcport ( distribute -n 3 ( where true ) )
distribute -n 2 ( split srcport ( where true ) )
( split srcport ( where len > 1000 ) + where len <= 1000 )
( ( where len > 1000 + where len <= 100 ) | where true + where len > 100 and len <= 1000 )
filter len > 100 --else ( filter len > 80 --else ( const 1 ) | where true )
( where true + where true ) | ( where len > 100 + where len <= 100 )
split srcport ( split dstport ( split len ( where true + where true + where len > 99 ) ) )
split srcport ( where true + where true ) | split dstport ( where true + where true )
head 5000 | sort ts | ( where len < 100 + where len >= 100 )
sort len | sort ts | ( ( where len < 100 + where len > 500 ) | where true + where len >= 100 and len <= 500 )
group ts srcip count() first(len) as len | ( where len < 100 + where len >= 100 )
sort ts | split srcport ( where len < 100 + where len >= 100 )
tail 9000 | ( where len < 100 + where len >= 100 )
END
)" '' 'blocks in blocks, and behind tables'
n=$(wc -l <"$T/all")
is "$(both 'packets | split srcip ( filter dstport=80 --then ( const -f app web ) --else ( const -f app other ) ) | window 10ms | group count() | print count' | awk '{ n += $1 } END { print n }')" \
	"$n" 'so windows behind them lose nothing'

# ---- a branch that wants no more ends for itself, once ----

is "$(both 'packets | tee ( head 3 | head 2 ) | group count()')" "$n" 'two heads in a row'
is "$(both 'packets | ( group count() as n + head 5 | head 3 | print len ) | where n | print n')" "$n" 'beside a table'
is "$(both 'packets | filter dstport=80 --then ( head 5 | print srcip | head 5 ) --else ( group count() as others ) | where others | print others')" \
	"$(awk -F, '$3 != 80' "$T/all" | wc -l)" 'in a branch of a filter'
is "$(both 'packets | split dstport ( ( head 3 | head 3 + group count() as n ) ) | where n | group sum(n)')" \
	"$(awk -F, '$3 != ""' "$T/all" | wc -l)" 'in each instance of a split'

# ---- what is known of a field holds for all branches ----

"$WEIR" run 'packets | print len vlan' "$trace" 2>"$T/err" | tail -n +2 >"$T/lv"
for q in 'where len > 1000 | expr len as n + where len <= 1000 | expr vlan as n' 'where len <= 1000 | expr vlan as n + where len > 1000 | expr len as n'; do
	both "packets | ( $q ) | sort n | group count() count(n) min(n)"
done | sort -u >"$T/got"
awk -F, '{ v = $1 > 1000 ? $1 : $2; n++; if (v != "") { c++; if (m == "" || v + 0 < m) m = v + 0 } } END { print n "," c "," m }' "$T/lv" >"$T/want"
same "$T/got" "$T/want" 'one branch has it always, another not'
is "$(both 'packets | head 1 | ( expr 5s as t + expr 1.5ms as t ) | print t' | tr '\n' ' ')" '5.0000 0.0015 ' 'digits enough for all'

finish
