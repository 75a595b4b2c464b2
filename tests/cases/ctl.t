#!/bin/bash
# SPDX-License-Identifier: MIT
# What ctl does to queries on a live source: refresh, flush, reset, stop, cancel, pause; and that a table
# that nobody looks at is not made anew.
. "$(dirname "$0")/../lib.sh"
need mkfifo tcpdump
need_fuse
m=$T/m
q=$m/queries
"$GENTRACE" -n 6000 -S 3 >"$T/t.pcap"
# part FROM TO: packets FROM … TO of the trace, from 1, without the header
ends=$(perl -e 'open F, shift; binmode F; read F, $h, 24; $at = 24; while (read F, $h, 16) {
	$c = unpack "x8V", $h; seek F, $c, 1; $at += 16 + $c; print "$at\n" }' "$T/t.pcap")
end_of() { [ "$1" = 0 ] && echo 24 || sed -n "${1}p" <<<"$ends"; }
part() { dd if="$T/t.pcap" iflag=skip_bytes,count_bytes skip="$(end_of $(($1 - 1)))" \
	count=$(($(end_of "$2") - $(end_of $(($1 - 1))))) bs=64K status=none; }
field() { sed -n "s/^$2: //p" "$q/$1/status"; }
is_field() { [ "$(field "$1" "$2")" = "$3" ]; }
has_seen() { wait_for 20 is_field "$1" records "$2"; } # QUERY RECORDS
table() { sed 1d "$q/$1/out.csv"; }
# fresh QUERY COMMAND: gives the command, and waits until it was done
fresh() {
	local v
	v=$(field "$1" version)
	echo "$2" >"$q/$1/ctl"
	wait_for 20 eval "[ \"\$(field $1 version)\" != '$v' ]"
}
mount_pipe "$m" "$T/t.pcap"
result $? 'weir mounts a FIFO'
echo "roll: net | group count() as n" >"$q/new"
# these roll only when they are told to
for n in flush reset stop cancel; do echo "$n: set refresh 1h net | group count() as n" >"$q/new"; done
echo "log: net | window 1000 records | group count() as n | print n" >"$q/new"
echo "keep: net | pcapwrite $T/out.pcap" >"$q/new"
# the same with worker threads: keys in one lane, or added up, or dealt to lanes, and a log
spec_sums='group srcip count() as n sum(len) | sort -r n srcip'
spec_keys='uniq srcip dstip | count srcip | last srcip | print srcip count'
spec_log='uniq srcip dstip | window 100 records | group count() as n | print n'
for k in sums keys log; do
	for t in 1 2 5; do
		set="set threads $t set scheduler $([ $t = 1 ] && echo depth || echo workers)" spec=spec_$k
		echo "$k$t: set refresh 1h $set net | ${!spec}" >"$q/new"
	done
done
threaded='sums1 sums2 sums5 keys1 keys2 keys5 log1 log2 log5'
rows() { table "$1" | wc -l; }
# all_do COMMAND: all of these do it, and have the same rows with any number of threads
all_do() {
	local n k t
	declare -A before
	for n in $threaded; do
		[[ $n = log* ]] && before[$n]=$(rows "$n") || before[$n]=$(field "$n" version)
	done
	for n in $threaded; do echo "$1" >"$q/$n/ctl"; done
	for n in $threaded; do
		if [[ $n != log* ]]; then
			wait_for 20 eval "[ \"\$(field $n version)\" != '${before[$n]}' ]"
		elif [ "$1" = flush ]; then
			wait_for 20 eval "[ \$(rows $n) -gt ${before[$n]} ]"
		fi
	done
	for k in sums keys log; do
		for t in 2 5; do
			cmp "$q/${k}1/out.csv" "$q/$k$t/out.csv"
			result $? "$1, $k, $t threads: the same $(rows "${k}1") rows as with one"
		done
	done
}

part 1 1500 >&7
for n in roll flush reset stop cancel log keep $threaded; do has_seen $n 1500; done
result $? 'all have 1,500 packets'

# nobody has looked at a table: there is none yet; who looks gets one
is "$(field roll version)" 0 'a table that nobody looks at is not made'
is "$(table roll)" 1500 'who looks has it at once'
fresh stop refresh
is "$(table stop)" 1500 'refresh makes one'
fresh flush flush
is "$(table flush)" 1500 'flush answers'
fresh reset reset
is "$(table reset)" 0 'reset forgets'
all_do flush
echo flush >"$q/log/ctl"
wait_for 20 eval "[ \"\$(sed 1d $q/log/out.csv | wc -l)\" = 2 ]"
is "$(sed 1d "$q/log/out.csv" | sed 's/,.*//' | xargs)" '1000 500' 'flush closes the open window'
echo flush >"$q/keep/ctl"
part 1501 2200 >&7
for n in roll flush reset log keep $threaded; do has_seen $n 2200; done
all_do reset
fresh flush refresh
is "$(table flush)" 700 'behind a flush it has begun anew'
fresh reset refresh
is "$(table reset)" 700 'and behind a reset'
echo reset >"$q/log/ctl"
wait_for 20 grep -q ' reset$' "$q/log/log"
part 2201 3300 >&7
for n in roll flush reset log keep stop cancel $threaded; do has_seen $n 3300; done
all_do flush
wait_for 20 eval "[ \"\$(sed 1d $q/log/out.csv | wc -l)\" = 3 ]"
is "$(sed 1d "$q/log/out.csv" | sed 's/,.*//' | xargs)" '1000 500 1000' \
	'a log keeps its rows; 700 records of a window were forgotten'

# stop and cancel
fresh stop refresh
fresh cancel refresh
is "$(table stop) $(table cancel)" '3300 3300' 'two tables of 3,300'
part 3301 3400 >&7
has_seen stop 3400 && has_seen cancel 3400
echo stop >"$q/stop/ctl"
echo cancel >"$q/cancel/ctl"
wait_for 20 is_field stop state stopped && wait_for 20 is_field cancel state stopped
result $? 'both end'
is "$(table stop)" 3400 'stop answers once more'
is "$(table cancel)" 3300 'cancel does not'

# a table that was looked at rolls, as set refresh says
echo 'fast: set refresh 50ms net | group count() as n' >"$q/new"
table fast >/dev/null
part 3401 3500 >&7
has_seen fast 100
wait_for 10 eval '[ "$(sed 1d '"$q"'/fast/out.csv)" = 100 ]'
result $? 'a table that is looked at rolls'
(echo flsh >"$q/fast/ctl") 2>/dev/null
like "$(cat "$q/errors")" "did you mean 'flush'" 'a wrong word is refused with a hint'
# it goes on while it still answers what it was asked for while it was paused
echo 'big: net | group srcip dstip srcport dstport ts count() as n' >"$q/new"
part 3501 5000 >&7
has_seen big 1500
echo pause >"$q/big/ctl"
wait_for 20 is_field big state paused
printf 'flush\nresume\n' >"$q/big/ctl"
wait_for 20 is_field big state running
part 5001 6000 >&7
has_seen big 2500
result $? 'one that goes on just when it answers gets what comes'
exec 7>&-
query_ended "$m" roll
query_ended "$m" keep
is "$(table roll)" 6000 'one that was left alone has all'
is "$(tcpdump -nr "$T/out.pcap" 2>/dev/null | wc -l)" 6000 'a file that is written goes on through a flush'
finish
