#!/bin/bash
# SPDX-License-Identifier: MIT
# streams/<query>: reads that block, poll, O_NONBLOCK, interrupts, many readers, slow ones, ends.
# The source is a pipe, so that what has come and what has not is known.
. "$(dirname "$0")/../lib.sh"
need python3 perl
need_fuse
trace=$(realpath "$(sample)")
m=$T/m
seen() { python3 "$PWD/tests/cases/streams.py" "$@"; }
# where packet N, from 1, begins in the trace, for those asked for; N one behind the last: its end
offsets() { perl -e 'open F, shift; binmode F; read F, $h, 24; $at = 24; $i = 1; for $n (@ARGV) {
	while ($i < $n) { read F, $h, 16; $c = unpack "x8V", $h; seek F, $c, 1; $at += 16 + $c; $i++ } print "$at " }' "$trace" "$@"; }
read -r -a at <<<"$(offsets 1 11 21 31 41 51 61 71 81 91 20001)"
sent=0
send() { # the next ten packets; `rest`: all others
	local to=$((sent + 1))
	[ "${1-}" = rest ] && to=$((${#at[@]} - 1))
	dd if="$trace" iflag=skip_bytes,count_bytes skip="${at[sent]}" count=$((at[to] - at[sent])) bs=64K status=none >&7
	sent=$to
}
gone() { [ ! -d "/proc/$1" ]; }
lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }
live() { # live [OPTION…]: a mount whose source is the pipe behind 7
	sent=0
	rm -f "$T/pipe"
	mkfifo "$T/pipe"
	mkdir -p "$m"
	lib_mounts+=("$m")
	"$WEIR" -f lab=- "$m" "$@" <"$T/pipe" 7>&- &
	weir=$!
	lib_pids+=($weir)
	exec 7>"$T/pipe"
	head -c 24 "$trace" >&7
	wait_for 20 test -e "$m/queries/new"
}
ended() { # the pipe ends, and with it the query
	exec 7>&-
	query_ended "$m" "$1"
}
begin() { # begin NAME COMMAND…: in the background, its output in $T/NAME
	"${@:2}" 7>&- >"$T/$1" 2>"$T/$1.err" &
	pid=$!
	lib_pids+=($pid)
}
"$WEIR" run 'packets | print ts srcip len' "$trace" >"$T/all"
live
echo 'a: lab | print ts srcip len' >"$m/queries/new"

# a blocking read
is "$(ls "$m/streams")" a 'streams/ has the query'
like "$(stat -c '%A %s %F' "$m/streams/a")" '^-r--r--r-- 0 ' 'as a file without a size'
is "$(timeout 20 grep -rl nothing_like_it "$m/queries" "$m/sources"; echo $?)" 1 'grep -r below queries/ ends'
begin first cat "$m/streams/a"
wait_for 10 lines "$T/first" 1
is "$(cat "$T/first")" 'ts,srcip,len' 'a reader gets the heading at once'
send
wait_for 10 lines "$T/first" 11
same "$T/first" <(head -n 11 "$T/all") 'and rows when they come'
begin late cat "$m/streams/a"
wait_for 10 lines "$T/late" 1
send
wait_for 10 lines "$T/late" 11
same "$T/late" <(sed -n '1p;12,21p' "$T/all") 'another has all from its open on'
wait_for 10 lines "$T/first" 21
same "$T/first" <(head -n 21 "$T/all") 'the first goes on'
is "$(timeout 10 head -n 1 "$m/streams/a")" 'ts,srcip,len' 'head -1 ends'
is "$(dd if="$m/streams/a" bs=1 count=5 status=none)" ts,sr 'a byte at a time'
exec 5<"$m/streams/a"
is "$(head -c 3 <&5; head -c 4 <&5; head -n 1 <&5)" 'ts,srcip,len' 'what a program has not taken is there for the next'
exec 5<&-
like "$(dd if="$m/streams/a" bs=1 skip=99 count=1 2>&1 >/dev/null)" 'Illegal seek' 'but there are no other offsets'
like "$(cat "$m/streams/b" 2>&1)" 'No such file' 'no stream without a query'

# O_NONBLOCK, poll, signals: the program says when the next packets may come
begin nonblock seen nonblock "$m/streams/a"
wait_for 10 grep -q ready "$T/nonblock"
send
wait $pid
is "$(xargs <"$T/nonblock")" 'heading ts,srcip,len EAGAIN ready rows 10' 'O_NONBLOCK gives EAGAIN, and can be switched off'
begin interrupt seen interrupt "$m/streams/a"
wait_for 10 grep -q ready "$T/interrupt"
send
wait $pid
is "$(xargs <"$T/interrupt")" 'EINTR ready rows 10' 'a signal gives EINTR, twenty times, and no row is lost'
for sig in INT TERM KILL; do
	begin "victim.$sig" env --default-signal=INT cat "$m/streams/a"
	wait_for 10 lines "$T/victim.$sig" 1
	disown $pid
	kill -s $sig $pid
	wait_for 5 gone $pid
	result $? "SIG$sig ends a reader that waits"
done
begin poll seen poll "$m/streams/a"
wait_for 10 grep -q ready "$T/poll"
is "$(xargs <"$T/poll")" 'heading True 1 1 none [] [] [] ready' 'poll, epoll and select: ready with the heading, then not'
send
wait_for 10 eval "[ \$(grep -c ready '$T/poll') = 2 ]"
send
wait_for 10 eval "[ \$(grep -c ready '$T/poll') = 3 ]"
is "$(tail -n +4 "$T/poll" | xargs)" 'poll True True rows 10 ready epoll 1 rows 10 ready' 'poll and epoll wake up when rows come'
is "$(seen many "$m/streams/a" 0)" "$((1024 - 3)) ENFILE
again" 'the 1025th reader is refused, until another goes' # cat, cat, poll

# hundreds: as processes that block, and in one that polls
readers=()
for i in {1..300}; do
	cat "$m/streams/a" 7>&- >"$T/of.$i" &
	readers+=($!)
done
wait_for 30 eval '[ $(cat "$T"/of.* | wc -l) = 300 ]'
result $? '300 readers wait'
begin each seen each "$m/streams/a" 300
wait_for 20 grep -q ready "$T/each"
like "$(timeout 5 cat "$m/status")" '^version' 'the mount answers'
ok 'and takes a query' timeout 5 sh -c "echo 'n: lab | group count() as n' >'$m/queries/new'"
disown "${readers[@]:0:20}" # the shell says nothing of their end then
kill -9 "${readers[@]:0:20}"
send rest
ended a
result $? 'the query ends'
wait "${readers[@]:20}" $pid
is $? 0 'and with it all that read'
(sed -n 1p "$T/all" && tail -n +62 "$T/all") >"$T/want"
bad=0
for i in {21..300}; do
	cmp -s "$T/of.$i" "$T/want" || bad=$((bad + 1))
done
is $bad 0 'each of 280 has every row from its open on, once'
is "$(tail -n 1 "$T/each")" "1 300 $(wc -l <"$T/want")" 'so has each of 300 that poll'
is "$(tail -n 2 "$T/poll" | xargs)" 'ready end 1 19940' 'the end wakes up who polls'
wait_for 10 lines "$T/first" 20001
same "$T/first" "$T/all" 'the first reader has every row of all'
is "$(timeout 10 cat "$m/streams/a")" 'ts,srcip,len' 'a stream of a query that has ended is a heading'
umount "$m" 2>/dev/null || fusermount3 -u "$m"
wait $weir

# a slow reader loses what the log drops, and is told how much; the engine does not wait for it
live
echo 'slow: set retain 16KB lab | print ts srcip len' >"$m/queries/new"
echo 'n: lab | group count() as n' >"$m/queries/new"
begin fast cat "$m/streams/n"
exec 5<"$m/streams/slow" 6<"$m/streams/slow"
head -n 1 <&5 >"$T/slow"
send
dd bs=200 count=1 status=none <&6 >"$T/cut" # a heading
dd bs=200 count=1 status=none <&6 >>"$T/cut"  # and some rows, the last in part
send rest
ended slow
result $? 'a query with a reader that sleeps ends'
cat <&5 >>"$T/slow"
cat <&6 >>"$T/cut"
exec 5<&- 6<&-
for f in slow cut; do
	lost=$(sed -n 's/^# \([0-9]*\) rows lost$/\1/p' "$T/$f")
	like "$lost" '^[0-9]{3,}$' "$f: one line says how many rows were lost"
	is "$((lost + $(grep -vc '^#' "$T/$f")))" 20001 'these, the rows and the heading are all'
	line=$(grep -n '^#' "$T/$f" | cut -d: -f1)
	(head -n $((line - 1)) "$T/all" && echo "# $lost rows lost" && tail -n +$((line + lost)) "$T/all") >"$T/want"
	same "$T/$f" "$T/want" 'it stands at the end of the gap'
done
wait $pid
is "$(tail -n 2 "$T/fast")" 20000 'the stream of a table ends with its last version'
umount "$m" 2>/dev/null || fusermount3 -u "$m"
wait $weir

# tables: whole versions
live -o refresh=50ms
echo 't: lab | group srcip count() as n' >"$m/queries/new"
begin table cat "$m/streams/t"
exec 5<"$m/streams/t"
sum_is() { awk -v want="$1" -F, 'BEGIN { RS = "" } { n = split($0, l, "\n"); s = 0; for (i = 3; i <= n; i++) { split(l[i], f, ","); s += f[2] } } END { exit s != want }' "$T/table"; }
for i in 1 2 3 4; do
	send
	wait_for 10 sum_is $((i * 10))
done
result $? 'a reader sees new versions while nobody else looks'
send rest
ended t
wait $pid
tail -n +2 "$m/queries/t/out.csv" >"$T/last"
# a reader that had no time for a version is told so
is "$(awk '/^# [0-9]+ versions lost$/ { lost = $2 } /^# version / { if (lost && $3 != last + lost + 1) print; last = $3; lost = 0 }' "$T/table")" '' \
	'versions that it missed are counted'
sed -i '/^# [0-9]* versions lost$/d' "$T/table"
awk 'BEGIN { RS = "" } END { print }' "$T/table" | tail -n +3 | cmp -s - "$T/last"
result $? 'the last version is that of out.csv'
is "$(awk 'BEGIN { RS = "" } {
	n = split($0, l, "\n"); split(l[1], w, " ")
	if (l[1] !~ /^# version [0-9]+ at [0-9-]+T[0-9:.]+Z, [0-9]+ rows$/ || l[2] != "srcip,n" || w[6] != n - 2 || w[3] <= last) print l[1]
	last = w[3] }' "$T/table")" '' 'each has its heading, its number, and as many rows as it says'
cat <&5 >"$T/slow"
is "$(grep -v '^#' "$T/slow" | tail -n +2 | head -n -1 | diff - "$T/last" | wc -l)" 0 'one that slept gets the last'
exec 5<&-
umount "$m" 2>/dev/null || fusermount3 -u "$m"
wait $weir

# queries that go, mounts that go
live
echo 'x: lab | print len' >"$m/queries/new"
echo 'y: lab | print len' >"$m/queries/new"
begin x cat "$m/streams/x"
px=$pid
begin y cat "$m/streams/y"
py=$pid
wait_for 10 lines "$T/x" 1
wait_for 10 lines "$T/y" 1
rmdir "$m/queries/x"
wait_for 10 gone $px
result $? 'a removed query ends its readers'
[ ! -e "$m/streams/x" ]
result $? 'and its stream'
echo 'lab | print ts' >"$m/queries/y/spec"
wait_for 10 gone $py
result $? 'so does a new text'
mkdir "$m/queries/z"
[ ! -e "$m/streams/z" ]
result $? 'a query without a text has no stream'
readers=()
for i in {1..30}; do
	cat "$m/streams/y" 7>&- >"$T/of.$i" 2>&1 &
	readers+=($!)
done
wait_for 10 eval '[ $(cat "$T"/of.{1..30} | wc -l) = 30 ]'
fusermount3 -u "$m" 2>/dev/null
mountpoint -q "$m"
result $? 'a mount with readers is busy'
kill -TERM $weir
wait_for 10 gone $weir
result $? 'SIGTERM ends a mount with readers that wait'
wait $weir
is $? 0 'with status 0'
wait "${readers[@]}"
is $? 0 'they read the end'
is "$(cat "$T"/of.{1..30} | sort -u)" ts 'and nothing else'
exec 7>&-
if [ "$(id -u)" = 0 ]; then
	live
	echo 'x: lab | print len' >"$m/queries/new"
	begin x cat "$m/streams/x"
	wait_for 10 lines "$T/x" 1
	umount -l "$m"
	send
	wait_for 10 lines "$T/x" 11
	result $? 'after umount -l a reader reads on'
	kill $pid
	wait_for 10 gone $weir
	result $? 'and the mount ends with it'
	exec 7>&-
else
	skip 'umount -l' 'needs root'
fi
finish
