#!/bin/bash
# SPDX-License-Identifier: MIT
# uniq, count, last, top, pdf, entropy, sort, group against sqlite3 and awk over the rows of the same trace.
. "$(dirname "$0")/../lib.sh"
need sqlite3
"$GENTRACE" -n 30000 -w "$T/t.pcap"
trace=$T/t.pcap
db=$T/t.db

run() { timeout 60 "$WEIR" run "$1" "${2:-$trace}" 2>"$T/err" || note "$(cat "$T/err")"; }

# The packets as a table; n is their order. CSV's empty is null.
run 'packets | print srcip dstip srcport dstport ipprotocol seq len' | tail -n +2 | awk '{ print NR "," $0 }' >"$T/rows.csv"
{
	echo 'create table p (n integer, srcip text, dstip text, srcport integer, dstport integer, ipprotocol integer, seq integer, len integer);'
	printf '.mode csv\n.import %s p\n' "$T/rows.csv"
	for c in srcip dstip srcport dstport ipprotocol seq; do echo "update p set $c = null where $c = '';"; done
	echo 'create view u as select min(n) as n, srcip, dstip, dstport from p
		where srcip is not null and dstip is not null and dstport is not null and ipprotocol in (6, 17) group by 2, 3, 4;'
} | sqlite3 "$db"
sql() { sqlite3 -csv -cmd '.nullvalue ""' "$db" "$1" | tr -d '\r'; }
# against QUERY SQL DESCRIPTION: the same rows in the same order
against() {
	run "$1" | tail -n +2 >"$T/got"
	sql "$2" >"$T/want"
	[ -s "$T/want" ] || note 'the oracle is empty'
	same "$T/got" "$T/want" "$3"
}

against 'packets | group count() sum(len) as bytes' 'select count(*), sum(len) from p' 'packets and bytes in all'
against 'packets | group srcip count() sum(len) as bytes | sort -r bytes | head 10' \
	'select srcip, count(*), sum(len) from p group by 1 order by 3 desc, min(n) limit 10' 'by source: the ten largest'
against 'packets | group srcip count() sum(len) as bytes' \
	'select srcip, count(*), sum(len) from p group by 1 order by min(n)' 'by source, in order of first appearance'
against 'packets | where ipprotocol in (6, 17) | uniq srcip dstip dstport | count -f spread srcip | last srcip | sort -r spread | head 10 | print srcip spread' \
	'select srcip, count(*) from u group by 1 order by 2 desc, min(n) limit 10' 'port-scan spread'
against 'packets | group srcip dstip srcport dstport ipprotocol count() sum(len) as bytes | sort -r bytes | head 10' \
	'select srcip, dstip, srcport, dstport, ipprotocol, count(*), sum(len) from p group by 1, 2, 3, 4, 5 order by 7 desc, min(n) limit 10' \
	'flow table: the ten largest'
against 'packets | group srcip dstip srcport dstport ipprotocol count() sum(len) as bytes' \
	'select srcip, dstip, srcport, dstport, ipprotocol, count(*), sum(len) from p group by 1, 2, 3, 4, 5 order by min(n)' 'the whole flow table'

run "pcapfile $trace | uniq seq srcip dstip srcport dstport | count seq | last seq | pdf | print seq probability" | tail -n +2 >"$T/got"
sql 'with d as (select min(n) as n, seq from p where seq is not null and srcip is not null and srcport is not null group by seq, srcip, dstip, srcport, dstport),
	c as (select seq, count(*) as k, min(n) as n from d group by seq)
	select seq, k * 1.0 / (select sum(k) from c) from c order by n' >"$T/want"
ok 'shares of sequence numbers' awk -F, 'NR == FNR { s[NR] = $1; p[NR] = $2; n = NR; next }
	{ d = p[FNR] - $2; if (s[FNR] != $1 || d > 1e-12 || d < -1e-12) { print FNR, $0; bad = 1; exit } } END { exit bad || FNR != n || n < 100 }' \
	"$T/want" "$T/got"

# the same of records that are looked at twice: those of a table that is asked for two times, kept by
# nobody; some lack the field
run 'packets | last srcip | pdf srcport | print srcip srcport probability' | tail -n +2 >"$T/got"
sql 'with l as (select srcip, max(n) as n, min(n) as f from p where srcip is not null group by srcip),
	k as (select p.srcip, p.srcport as k, f from l join p on p.n = l.n where p.srcport is not null)
	select srcip, k, k * 1.0 / (select sum(k) from k) from k order by f' >"$T/want"
ok 'shares of a table whose records may lack the number' awk -F, 'NR == FNR { s[NR] = $1 "," $2; p[NR] = $3; n = NR; next }
	{ d = p[FNR] - $3; if (s[FNR] != $1 "," $2 || d > 1e-12 || d < -1e-12) { print FNR, $0; bad = 1; exit } } END { exit bad || FNR != n || n < 100 }' \
	"$T/want" "$T/got"
# a total of 0 has no shares, of records that are kept and of those that are looked at twice
for q in '' 'last srcip | '; do
	run "packets | ${q}expr len - len as none | pdf none | print none probability" | sort | uniq -c | awk '{ print $2, ($1 > 100) }' >"$T/got"
	printf '%s\n' '0, 1' 'none,probability 0' >"$T/want"
	same "$T/got" "$T/want" "shares of nothing: ${q:-all packets}"
done
for q in 'group dstport count() percentile(len, 50) as half | pdf half' 'last srcip | pdf srcport' 'count dstport | last dstport | pdf'; do
	run "packets | $q" >"$T/got"
	for s in depth breadth; do
		run "set scheduler $s packets | $q" >"$T/want"
		same "$T/got" "$T/want" "$q: $s-first"
	done
done

against 'packets | uniq srcip | print srcip' 'select srcip from p where srcip is not null group by 1 order by min(n)' 'uniq'
against 'packets | count | print count' 'select n from p' 'count of all'
against 'packets | count -b | print count' 'select sum(len) over (order by n) from p' 'count -b'
against 'packets | count srcport -f k | print srcport k' \
	'select srcport, row_number() over (partition by srcport order by n) from p where srcport is not null order by n' 'count by port'
against 'packets | last | print srcip dstip len' 'select srcip, dstip, len from p order by n desc limit 1' 'last of all'
against 'packets | last dstport | print dstport srcip len' \
	'select dstport, srcip, len from p join (select min(n) as first, max(n) as last from p where dstport is not null group by dstport) on n = last order by first' \
	'last by port'
against 'packets | sort len dstport | print len dstport srcip' 'select len, dstport, srcip from p order by len, dstport nulls last, n' 'sort by two fields'
against 'packets | sort -r dstport | print dstport len' 'select dstport, len from p order by dstport desc nulls last, n' 'sort -r, missing values last'
for n in 1 5 64 1000 20000 40000; do
	against "packets | sort -r dstport len | head $n | print dstport len srcip" \
		"select dstport, len, srcip from p order by dstport desc nulls last, len desc, n limit $n" "the first $n of a sort"
	against "packets | sort len | head $n | print len srcip" "select len, srcip from p order by len, n limit $n" "the smallest $n"
done
against 'packets | where ipprotocol | group ipprotocol count() count(seq) min(len) max(len) distinct(srcip, dstport) first(srcip) last(srcip) sum(seq)' \
	"select ipprotocol, count(*), count(seq), min(len), max(len), count(distinct iif(srcip is null or dstport is null, null, srcip || ' ' || dstport)),
	(select srcip from p q where q.ipprotocol = p.ipprotocol order by n limit 1), (select srcip from p q where q.ipprotocol = p.ipprotocol order by n desc limit 1),
	sum(seq) from p where ipprotocol is not null group by 1 order by min(n)" 'figures by protocol'
against 'packets | group distinct(srcip) distinct(srcip, dstip) count(srcport)' \
	"select count(distinct srcip), count(distinct srcip || ' ' || dstip), count(srcport) from p" 'figures over all'
against 'packets | group ipprotocol sum(len * 2 + 1) as x' 'select ipprotocol, sum(len * 2 + 1) from p group by 1 order by min(n)' 'a sum of an expression'
for q in 0 1 50 95 99.9 100; do
	against "packets | group srcip percentile(len, $q) as x" \
		"with o as (select srcip, n, len, row_number() over (partition by srcip order by len) as r, count(*) over (partition by srcip) as k from p)
		select srcip, min(iif(r >= max(1, ceil(k * $q / 100.0)), len, null)) from o group by 1 order by min(n)" "percentile $q"
done
run 'packets | group ipprotocol mean(len) stddev(len)' | tail -n +2 >"$T/got"
sql 'select ipprotocol, avg(len), sqrt((sum(len * len) - sum(len) * 1.0 * sum(len) / count(*)) / (count(*) - 1)) from p group by 1 order by min(n)' >"$T/want"
ok 'mean and standard deviation' awk -F, 'function near(a, b) { return (a - b) ^ 2 < 1e-12 + b * b * 1e-16 } NR == FNR { p[NR] = $1; m[NR] = $2; s[NR] = $3; n = NR; next }
	$1 != p[FNR] || !near($2, m[FNR]) || !near($3, s[FNR]) { print; bad = 1 } END { exit bad || n != FNR }' "$T/want" "$T/got"

against 'packets | where len > 99999 | group count() sum(len) max(len) percentile(len, 5)' 'select 0, null, null, null' 'one row where there are no records'
against 'packets | where len > 99999 | group srcip count() | group count()' 'select 0' 'no groups where there are no records'
run 'packets | entropy dstport' | tail -1 >"$T/got"
sql 'select dstport from p where dstport is not null' | sort | uniq -c |
	awk '{ n += $1; s += $1 * log($1) / log(2) } END { printf "%.9f\n", log(n) / log(2) - s / n }' >"$T/want"
is "$(printf %.9f "$(cat "$T/got")")" "$(cat "$T/want")" 'entropy'
is "$(run 'packets | count dstport | last dstport | entropy' | tail -1)" "$(cat "$T/got")" 'entropy of counts'
run 'packets | top srcip -x 3 | print srcip len' | tail -n +2 >"$T/got"
awk -F, '$2 == "" { next } { n++; if (!c[$2]++) t++; if (c[$2] * t > 3 * n) print $2 "," $8 }' "$T/rows.csv" >"$T/want"
same "$T/got" "$T/want" 'top'

# text as a key, and kept
against 'packets | print srcip.str as who | group who count()' 'select srcip, count(*) from p group by 1 order by min(n)' 'text as a key'
against 'packets | print srcip.str as who len | last who' \
	'select srcip, len from p join (select min(n) as f, max(n) as l from p where srcip is not null group by srcip) on n = l order by f' 'text in last'
against 'packets | print len srcip.str as who | sort -r len | head 100' 'select len, srcip from p order by len desc, n limit 100' 'text in sort and head'

# at the limit: what to do is said
"$GENTRACE" -n 400000 -s 64 -w "$T/large.pcap"
for q in 'uniq ts' 'count ts' 'last ts' 'sort ts' 'group ts count()' 'group percentile(len, 5)' 'group distinct(ts)' 'print ts len as count | pdf'; do
	timeout 60 "$WEIR" run "set memory 4MB packets | $q" "$T/large.pcap" >"$T/got" 2>"$T/err"
	like "$(cat "$T/err")" 'memory limit of .* reached' "$q at its limit"
done
finish
