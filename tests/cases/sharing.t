#!/bin/bash
# SPDX-License-Identifier: MIT
# Queries on one pipe that begin with equal stages run those once: each answers byte by byte what it
# answers alone, and counts what it counts alone.
. "$(dirname "$0")/../lib.sh"
need mkfifo
need_fuse
m=$T/m
"$GENTRACE" -n 30000 -S 7 >"$T/t.pcap"

all() { # sends the packets, and ends
	tail -c +25 "$T/t.pcap" >&7
	exec 7>&-
}
unmount() {
	fusermount3 -u "$m"
	wait "${lib_pids[-1]}"
}

specs=(
	'filter -b tcp | where srcport < 20000 | group srcip count() as n sum(len) as bytes'
	'filter -b tcp | where  srcport<20000 | uniq srcip dstip | print srcip dstip'
	'filter -b tcp | where srcport < 20000 | mask srcip | count -f n srcip | where n = 2 | print srcip n'
	'filter -b tcp | where srcport < 20001 | print ts srcip len | tail 50'
	'filter -b udp | head 20 | print ts srcport'
	'filter -b udp | sort -r len | head 5 | print len srcip'
	'where flags.syn | print ts srcip'
)
mount_pipe "$m" "$T/t.pcap"
result $? 'weir mounts a FIFO'
for i in "${!specs[@]}"; do echo "a$i: net | ${specs[i]}" >"$m/queries/new"; done
like "$(cat "$m/sources/net/info")" '^shared: 4 queries: filter ' 'the source says what is shared'
like "$(cat "$m/sources/net/info")" '^shared: 3 queries: filter .* \| where srcport<20000$' 'and how deep, blanks or not'
like "$(cat "$m/sources/net/info")" '^shared: 2 queries: filter .*udp' 'and another'
all
for i in "${!specs[@]}"; do query_ended "$m" a"$i"; done
for i in "${!specs[@]}"; do cp "$m/queries/a$i/out.csv" "$T/$i.csv"; sed -n 's/ batches.*//p' "$m/queries/a$i/plan" >"$T/$i.plan"; done
like "$(cat "$m/queries/a1/plan")" 'filter <- 0 .* shared by 4\}$' 'plan shows a stage that four shared'
like "$(cat "$m/queries/a1/plan")" 'where <- 1 .* shared by 3\}$' 'and one that three did'
is "$(grep -c 'shared by' "$m/queries/a6/plan")" 0 'one with nobody shares nothing'
unmount
for i in "${!specs[@]}"; do
	mount_pipe "$m" "$T/t.pcap"
	echo "a$i: net | ${specs[i]}" >"$m/queries/new"
	echo 'rest: net | tail 1' >"$m/queries/new" # reads to the end
	all
	query_ended "$m" a"$i"
	same "$T/$i.csv" "$m/queries/a$i/out.csv" "the same alone: ${specs[i]}"
	[ "$(wc -l <"$T/$i.csv")" -gt 1 ]
	result $? 'which is something'
	# head stops early, and then nobody counts what comes behind
	[ "$i" = 4 ] || is "$(cat "$T/$i.plan")" "$(sed -n 's/ batches.*//p' "$m/queries/a$i/plan")" 'and the same counters'
	unmount
done
finish
