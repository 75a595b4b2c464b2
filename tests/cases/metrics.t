#!/bin/bash
# SPDX-License-Identifier: MIT
# metrics: OpenMetrics text by its grammar, with hostile names and texts in it; its numbers are those of
# status, stats and of what the test did.
. "$(dirname "$0")/../lib.sh"
need python3
need_fuse
trace=$(realpath "$(sample)")
m=$T/m
grammar() { python3 tests/cases/metrics.py "$@"; }
# value SAMPLE: of the sample with exactly this name and these labels
value() { awk -v want="$1" 'index($0, want " ") == 1 { print substr($0, length(want) + 2) }' "$T/metrics"; }
look() { cat "$m/metrics" >"$T/metrics"; }
shows() { look && [ "$(value "$1")" = "$2" ]; } # a text lives a second

# a file name that holds whatever a name can
odd=$T/$'we"ird\\n\n,=}\xff\xc3\xa9.pcap'
ln -s "$trace" "$odd"
mount_weir "$m" "s=$odd" -o cache=0 || exit 1
look
is "$(grammar "$T/metrics")" '' 'without a query it is as the grammar has it'
is "$(stat -c %s "$m/metrics")" "$(wc -c <"$m/metrics")" 'it has its size'
cat >"$m/queries/new" <<'END'
t: packets | where len > 3 and srcip != "10.0.0.1"	# "quoted", back\slash {braces} é
	| group srcip count() as n | sort -r n
END
echo 'l: s | print ts len' >"$m/queries/new"
mkdir "$m/queries/empty"
query_ended "$m" t
query_ended "$m" l
rows=$(tail -n +2 "$m/queries/t/out.csv" | wc -l)
wait_for 10 shows 'weir_query_records_total{query="l"}' 20000
is "$(grammar "$T/metrics")" '' 'with hostile names and texts too'
is "$(grammar --bites "$T/metrics")" '' 'and the grammar bites'
like "$(grep '^weir_source_info' "$T/metrics")" 'we\\"ird\\\\n\\n,=}�é\.pcap"} 1$' 'a file name is escaped, what is not UTF-8 replaced'
like "$(grep '^weir_query_info{query="t"' "$T/metrics")" '\\"10\.0\.0\.1\\".*# \\"quoted\\", back\\\\slash \{braces\} é\\n' 'so is the text of a query'
is "$(value 'weir_query_records_total{query="l"}')" 20000 'records of a query'
is "$(value 'weir_query_rows{query="l"}')" 20000 'rows of a log'
is "$(value 'weir_query_rows{query="t"}')" "$rows" 'rows of a table'
is "$(value 'weir_source_records_total{source="s"}')" "$(sed -n 's/^records: //p' "$m/sources/s/stats")" 'records of a source'
is "$(value 'weir_source_bytes_total{source="s"}')" "$(sed -n 's/^bytes: //p' "$m/sources/s/stats")" 'bytes of a source'
is "$(value 'weir_query_state{query="t",state="done"}')" 1 'the state'
is "$(value 'weir_query_state{query="empty",state="empty"}')" 1 'a query without a text'
is "$(value 'weir_query_memory_bytes{query="l"}')" "$(sed -n 's/^memory: //p' "$m/queries/l/status")" 'memory of a query'
node() { sed -n "s/^weir_node_$1_total{query=\"$2\",node=\"[0-9]*\",module=\"$3\",.*} //p" "$T/metrics"; }
is "$(node records_out t where)" "$(node records_in t group)" 'what a stage passes on the next one gets'
is "$(node records_in l print)" 20000 'records of a stage'
status_ms() { sed -n "s/^node: *$2 .* ms \([0-9.]*\).*/\1/p" "$m/queries/$1/status"; }
is "$(node work_seconds l print | awk '{ printf "%.3f", $1 * 1000 }')" "$(status_ms l print)" 'its time is that of status'
is "$(value weir_queries)" 3 'how many queries'

# requests by kind, counted by doing them
opens=$(value 'weir_fs_requests_total{kind="open"}') dirs=$(value 'weir_fs_requests_total{kind="mkdir"}')
for i in {1..10}; do mkdir "$m/queries/d$i"; done
for i in {1..20}; do cat "$m/queries/l/log" >/dev/null; done
wait_for 10 shows 'weir_fs_requests_total{kind="mkdir"}' $((dirs + 10))
result $? 'requests of one kind'
[ $(($(value 'weir_fs_requests_total{kind="open"}') - opens)) -ge 20 ]
result $? 'and of another'
exec 5<"$m/streams/l" 6<"$m/streams/t"
wait_for 10 shows weir_stream_readers 2
result $? 'readers of streams'
exec 5<&- 6<&-
[ "$(value process_resident_memory_bytes)" -gt 1000000 ]
result $? 'memory of the process'
if command -v promtool >/dev/null; then
	promtool check metrics <"$T/metrics" >"$T/prom" 2>&1
	[ $? != 1 ] # 3: advice about names
	result $? 'promtool reads it'
else
	skip 'promtool reads it' 'promtool is not installed'
fi
finish
