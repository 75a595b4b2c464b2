#!/bin/bash
# SPDX-License-Identifier: MIT
# `set keep N`: the last versions of a table as folders, immutable, in all formats. The source is a pipe and
# tables are refreshed by ctl, so that which version holds what is known.
. "$(dirname "$0")/../lib.sh"
need perl rsync
need_fuse
trace=$(realpath "$(sample)")
m=$T/m
read -r -a at <<<"$(perl -e 'open F, shift; binmode F; read F, $h, 24; $at = 24; for (1 .. 401) {
	print "$at " if $_ % 10 == 1; read F, $h, 16; $c = unpack "x8V", $h; seek F, $c, 1; $at += 16 + $c }' "$trace")"
sent=0
mkfifo "$T/pipe"
mkdir "$m"
lib_mounts+=("$m")
"$WEIR" -f lab=- "$m" <"$T/pipe" 7>&- &
lib_pids+=($!)
exec 7>"$T/pipe"
head -c 24 "$trace" >&7
wait_for 20 test -e "$m/queries/new"
# records NAME N: the query has had so many
records() { grep -qx "records: $2" "$m/queries/$1/status"; }
kept() { sed -n 's/^kept: //p' "$m/queries/$1/status"; }
version() { sed -n 's/^version: //p' "$m/queries/$1/status"; }
send() { # ten packets
	dd if="$trace" iflag=skip_bytes,count_bytes skip="${at[sent]}" count=$((at[sent + 1] - at[sent])) bs=64K status=none >&7
	sent=$((sent + 1))
}
is_version() { [ "$(version "$1")" = "$2" ]; }
step() { # of query t: ten packets more, and a version of its own
	local n
	send
	wait_for 10 records t $((sent * 10))
	n=$(($(version t) + 1))
	echo refresh >"$m/queries/t/ctl"
	wait_for 10 is_version t $n
}
sums() { for d in "$m/queries/t/versions"/*/; do awk -F, 'NR > 1 { s += $NF } END { print s }' "$d/out.csv"; done | xargs; }
echo 't: set keep 3 set refresh 1h lab | group srcip count() as n' >"$m/queries/new"
echo 'plain: lab | group srcip count() as n' >"$m/queries/new"
[ ! -e "$m/queries/plain/versions" ]
result $? 'without set keep there is no versions/'
is "$(ls "$m/queries/t/versions")" '' 'before the first version it is empty'
for i in 1 2; do step; done
is "$(sums)" '10 20' 'each version is a folder'
for i in 3 4 5; do step; done
is "$(sums)" '30 40 50' 'the last three are kept'
is "$(kept t)" 3 'status says how many'
v=$m/queries/t/versions
read -r -a names <<<"$(ls "$v" | xargs)"
is "$(printf '%s\n' "${names[@]}" | sort | xargs)" "${names[*]}" 'their names sort by time'
for f in csv tsv txt json; do
	cmp -s "$v/${names[2]}/out.$f" "$m/queries/t/out.$f" || note "out.$f"
done | grep -q .
is $? 1 'the newest is what out.* shows, in each format'
is "$(ls "$v/${names[0]}" | xargs)" 'out.csv out.json out.tsv out.txt' 'out.pcap only of packets'
is "$(date -u -r "$v/${names[0]}/out.csv" +%Y-%m-%dT%H:%M:%S.%3NZ)" "${names[0]}" 'a version has the time of its name'
is "$(stat -c %s "$v/${names[1]}/out.csv")" "$(wc -c <"$v/${names[1]}/out.csv")" 'and its size'
is "$(find "$v" -type f -printf '%i\n' | sort -u | wc -l)" 12 'each file has a number of its own'
! cmp -s "$v/${names[0]}/out.csv" "$v/${names[1]}/out.csv"
result $? 'two versions are not the same file'
ok 'cp -a copies them' cp -a "$v" "$T/copy"
is "$(diff -r "$v" "$T/copy" | wc -l)" 0 'as they are'
ok 'rsync too' rsync -rt "$v/" "$T/rsync"
is "$(tar -C "$v" -cf - . 2>"$T/err" | tar tf - | grep -c 'out\.') $(wc -l <"$T/err")" '12 0' 'and tar, without a word'
[ ! -s "$T/err" ] || note "$(cat "$T/err")"
# status and plan of a running query move all the time; that is nothing new in versions/
times() { stat --cached=never -c '%y %z' "$v"; }
moved() { [ "$(stat -c %y "$m/queries/t")" != "$before" ]; }
before=$(stat -c %y "$m/queries/t") && was=$(times)
ok 'the time of its folder moves with its status' wait_for 10 moved
is "$(times)" "$was" 'that of versions/ with its versions'
for bad in "${names[0]%Z}" "${names[0]/T/ }" 2026-13-01T00:00:00.000Z x 1; do
	[ -e "$v/$bad" ] && note "$bad"
done | grep -q .
is $? 1 'there are no other names'

# who reads one keeps it, whatever comes
exec 5<"$v/${names[0]}/out.csv"
cd "$v/${names[1]}" || exit 1
for i in 6 7 8; do step; done
is "$(sums)" '60 70 80' 'old ones go'
is "$(cat <&5)" "$(cat "$T/copy/${names[0]}/out.csv")" 'one that is open stays readable'
exec 5<&-
like "$(cat "$v/${names[0]}/out.csv" 2>&1)" 'No such file' 'by name it is gone'
cd - >/dev/null || exit 1

# a new run starts with none
echo restart >"$m/queries/t/ctl"
empty() { [ -z "$(ls "$v")" ]; }
wait_for 10 empty
result $? 'a new run begins without versions'

# nor has the one of a text that keeps none, from its first moment on
step
is "$(ls "$v" | wc -l)" 1 'they come again'
cd "$v" || exit 1
echo 'lab | group srcip count() as n' >"$m/queries/t/spec"
[ ! -e "$v" ]
result $? 'without set keep versions/ is gone at once'
like "$(stat --cached=never . 2>&1)" 'Stale' 'also for who stands in it'
cd - >/dev/null || exit 1

# versions come while nobody looks
echo 'w: set keep 4 set refresh 10ms lab | group count() as n' >"$m/queries/new"
for i in 1 2 3 4 5; do
	send
	wait_for 10 grep -qE "^version: ($i|[0-9]{2,}|[$i-9])\$" "$m/queries/w/status"
done
is "$(kept w)" 4 'a query that keeps versions makes them while nobody looks'
is "$(tail -n 1 "$(ls -d "$m"/queries/w/versions/* | tail -n 1)/out.csv")" 50 'the last has all'

# no more than fit into the retention
echo 's: set keep 1000 set retain 4KB set refresh 1h lab | print srcip len ts | sort ts' >"$m/queries/new"
send
wait_for 10 records s 10
for i in {1..12}; do
	send
	wait_for 10 records s $((i * 10 + 10))
	echo refresh >"$m/queries/s/ctl"
	wait_for 10 is_version s $i
done
n=$(kept s)
[ "$n" -ge 1 ] && [ "$n" -le 6 ]
result $? "set retain limits them by bytes ($n of 12)"
is "$(ls "$m/queries/s/versions" | wc -l)" "$n" 'as many are shown'
echo 'l: set keep 2 lab | print ts' 2>/dev/null >"$m/queries/new"
like "$(cat "$m/queries/errors")" "'set keep' is for tables" 'a log has no versions'
exec 7>&-
query_ended "$m" w
is "$(tail -n 1 "$(ls -d "$m"/queries/w/versions/* | tail -n 1)/out.csv")" "$((sent * 10 - 90))" 'the end is a version too'
rmdir "$m/queries/w"
[ ! -e "$m/queries/w/versions" ]
result $? 'they go with the query'
finish
