#!/bin/bash
# SPDX-License-Identifier: MIT
# render.t: the five formats as other programs read them: sqlite3 the CSV, awk the TSV and the aligned
# text, jq the JSON, tcpdump the pcap; and a mounted log and table against `weir run`.
. "$(dirname "$0")/../lib.sh"
need sqlite3 jq tcpdump
"$GENTRACE" -n 5000 -s 200 -w "$T/t.pcap"
run() { "$WEIR" run "$@"; }
Q='packets | const "a,\"b\"\n\tc" as odd | print ts srcip dstip srcport dstport len odd'

for f in csv tsv txt json; do
	run -F $f "$Q" "$T/t.pcap" >"$T/out.$f"
done

# what tcpdump says of the same trace
packets=$(tcpdump -nnr "$T/t.pcap" 2>/dev/null | wc -l)
bytes=$(tcpdump -nner "$T/t.pcap" 2>/dev/null | sed -E "s/^[^)]*\), length ([0-9]+):.*/\1/" | awk "{ n += \$1 } END { print n }")

# CSV: RFC 4180 by sqlite3
sql() { sqlite3 ':memory:' '.mode csv' ".import '$T/out.csv' t" '.mode list' "$1"; }
is "$(sql 'select count(*) from t')" "$packets" 'sqlite3 reads a row for each packet from the CSV'
is "$(sql 'select sum(len) from t')" "$bytes" 'and their lengths'
is "$(sql "select count(*) from t where odd = 'a,\"b\"' || char(10) || char(9) || 'c'")" "$packets" \
	'a text with comma, quotes, newline and tab is the same text again'
sql "select ts || '|' || srcip || '|' || dstip || '|' || srcport || '|' || dstport || '|' || len from t" >"$T/csv.rows"

# TSV: a line is a row, whatever stands in it
is "$(wc -l <"$T/out.tsv")" $((packets + 1)) 'TSV has a line for each row'
awk -F'\t' 'NR > 1 { print $1 "|" $2 "|" $3 "|" $4 "|" $5 "|" $6 }' "$T/out.tsv" >"$T/tsv.rows"
same "$T/tsv.rows" "$T/csv.rows" 'TSV by awk has the rows of the CSV'
is "$(awk -F'\t' 'NR > 1 { print $7 }' "$T/out.tsv" | sort -u)" 'a,"b"\n\tc' 'with the text escaped'

# aligned text: columns start where the heading ends them
is "$(wc -l <"$T/out.txt")" $((packets + 1)) 'aligned text has a line for each row'
is "$(awk '{ print substr($0, 1, 17) }' "$T/out.txt" | tail -n +2 | sort -n | head -1 | tr -d ' ')" \
	"$(cut -d'|' -f1 "$T/csv.rows" | head -1)" 'times stand in the first 17 columns'
is "$(awk '{ print $NF }' "$T/out.txt" | tail -n +2 | sort -u)" 'a,"b"\n\tc' 'control characters are made visible'

# JSON Lines
is "$(jq -c . "$T/out.json" | wc -l)" "$packets" 'jq reads an object for each packet'
is "$(jq -s 'map(.len) | add' "$T/out.json")" "$bytes" 'with the lengths as numbers'
jq -r '[.srcip, .dstip, .srcport // "", .dstport // "", .len] | map(tostring) | join("|")' "$T/out.json" >"$T/json.rows"
cut -d'|' -f2- "$T/csv.rows" >"$T/csv.rest"
same "$T/json.rows" "$T/csv.rest" 'and the rows of the CSV'
is "$(jq -r .odd "$T/out.json" | head -2)" $'a,"b"\n\tc' 'the text is the same text again'
is "$(grep -o '"ts":[0-9.]*' "$T/out.json" | cut -d: -f2 | cmp - <(cut -d'|' -f1 "$T/csv.rows") && echo same)" same \
	'times are bare with all their digits'
is "$(run -F json 'packets | head 1 | print srcport | const 18446744073709551615 as big' "$T/t.pcap" | grep -o '"big":[0-9]*')" \
	'"big":18446744073709551615' 'and 64 bits too'

# pcap: the same packets, not the same file
run -F pcap packets "$T/t.pcap" >"$T/out.pcap"
tcpdump -tt -nn -e -x -r "$T/t.pcap" >"$T/a" 2>/dev/null
tcpdump -tt -nn -e -x -r "$T/out.pcap" >"$T/b" 2>/dev/null
same "$T/b" "$T/a" 'tcpdump reads the same packets from the pcap'
"$GENTRACE" -n 100 -N -w "$T/ns.pcap"
run -F pcap packets "$T/ns.pcap" >"$T/out.pcap"
same "$T/out.pcap" "$T/ns.pcap" 'nanoseconds stay nanoseconds: the same file'
run -F pcap 'packets | where len > 100000' "$T/t.pcap" >"$T/none.pcap"
ok 'a pcap without packets is one' tcpdump -nr "$T/none.pcap"

# what is not there
is "$(run 'packets | where not srcport | head 1 | print len srcport' "$T/t.pcap" | tail -1 | tr -d 0-9)" , \
	'a field that is not there is nothing in CSV'
is "$(run -F json 'packets | where not srcport | head 1 | print len srcport' "$T/t.pcap" | jq -c keys)" '["len"]' \
	'and left out in JSON'

# the mount says the same
need_fuse
mount_weir "$T/m" t="$T/t.pcap" || { result 1 mount; finish; }
printf '%s\n' "log: ${Q}" >"$T/m/queries/new"
echo 'table: packets | count -f n srcip | last srcip | print srcip n' >"$T/m/queries/new"
echo 'all: packets' >"$T/m/queries/new"
for q in log table all; do
	query_ended "$T/m" $q
done
for f in csv tsv txt json; do
	same "$T/m/queries/log/out.$f" "$T/out.$f" "a log's out.$f is what weir run prints"
done
for f in csv tsv json; do
	run -F $f 'packets | count -f n srcip | last srcip | print srcip n' "$T/t.pcap" >"$T/table.$f"
	same "$T/m/queries/table/out.$f" "$T/table.$f" "a table's out.$f is what weir run prints"
	is "$(stat -c %s "$T/m/queries/table/out.$f")" "$(stat -c %s "$T/table.$f")" 'and as long'
done
tcpdump -tt -nn -e -x -r "$T/m/queries/all/out.pcap" >"$T/b" 2>/dev/null
same "$T/b" "$T/a" "tcpdump reads the same packets from a log's out.pcap"
finish
