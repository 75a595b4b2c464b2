#!/bin/bash
# SPDX-License-Identifier: MIT
# A folder of captures that others write (spool:): each file once, in time order, when it is closed or moved
# in; what is renamed, overwritten, removed, cut, or more than can be known; and all of it across restarts.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../growing.sh"
need tcpdump gzip perl
need_fuse
trace=$(realpath "$(sample)")
m=$T/m
d=$T/cap
rows='packets | print ts len srcip'
"$WEIR" run "$rows" "$trace" | sed 1d | cut -d, -f2- >"$T/all"

again() { # a new folder
	rm -rf "$d"
	mkdir "$d"
}
got() { sed 1d "$m/queries/a/out.csv" | cut -d, -f2-; }

# the trace in ten files of 2000 packets: p0 … p9
perl -e 'open F, shift; binmode F; read F, $head, 24; for $i (0 .. 9) { open O, ">", "$ARGV[0]/p$i"; print O $head;
	for (1 .. 2000) { read F, $h, 16; read F, $p, unpack "x8V", $h; print O $h, $p } }' "$trace" "$T"
is_weir() { [ "$(readlink "/proc/$p/exe")" = "$(readlink -f "$WEIR")" ] && ls -l "/proc/$p/fd" | grep -q inotify; }
quiet() { [ "$(awk '/^rchar/ { print $2 }' "/proc/$p/io")" = "$io" ] || { io=$(awk '/^rchar/ { print $2 }' "/proc/$p/io"); false; }; }
part() { sed -n "$(($1 * 2000 + 1)),$(($1 * 2000 + 2000))p" "$T/all"; } # the rows of p$1
parts() { local i; for i; do part "$i"; done; }

# those that are there go by time, not by name; the rest as they are closed and moved in
again
cp "$T/p2" "$d/a.pcap"
cp "$T/p0" "$d/z.pcap"
gzip -c "$T/p1" >"$d/gz.pcap"
cp "$T/p9" "$d/other"
cp "$T/p9" "$d/.hidden.pcap"
mkdir "$d/folder.pcap"
mount_weir "$m" "spool:$d/*.pcap"
result $? 'a spool is mounted'
is "$(ls "$m/sources")" cap 'it is called after its folder'
ask a 'cap | print ts len srcip'
wait_for 10 has "$m/queries/a/out.csv" 6000
is "$? $(got | cksum)" "0 $(parts 0 1 2 | cksum)" 'the files that are there, by time'
cp "$T/p3" "$d/b.pcap"
wait_for 10 has "$m/queries/a/out.csv" 8000
result $? 'one that is written and closed'
mv "$T/p4" "$d/c.pcap" && cp "$d/c.pcap" "$T/p4"
wait_for 10 has "$m/queries/a/out.csv" 10000
result $? 'one that is moved in'
cp "$T/p5" "$T/linked"
ln "$T/linked" "$d/d.pcap"
wait_for 10 has "$m/queries/a/out.csv" 12000
result $? 'one that is linked'
exec 8>"$d/slow.pcap"
cat "$T/p6" >&8
cp "$T/p7" "$d/e.pcap"
wait_for 10 has "$m/queries/a/out.csv" 14000
is "$? $(got | tail -2000 | cksum)" "0 $(part 7 | cksum)" 'one that is open still waits'
exec 8>&-
wait_for 10 has "$m/queries/a/out.csv" 16000
is "$? $(got | cksum)" "0 $(parts 0 1 2 3 4 5 7 6 | cksum)" 'until it is closed'

# each once
mv "$d/a.pcap" "$d/renamed.pcap"
ln "$d/b.pcap" "$d/b2.pcap"
touch "$d/c.pcap"
: >>"$d/z.pcap"
mv "$d/d.pcap" "$d/d.away" && mv "$d/d.away" "$d/d.pcap"
cp "$T/p8" "$d/f.pcap"
wait_for 10 has "$m/queries/a/out.csv" 18000
is "$? $(got | tail -2000 | cksum)" "0 $(part 8 | cksum)" \
	'renamed, linked again, touched, moved out and in: none is read again'
wait_for 10 stat_is cap taken 9
is "$(stat_of cap taken) $(stat_of cap faults) $(stat_of cap vanished)" '9 0 0' 'nine files, no fault'

# more of one that was read; another one under a name
tail -c +25 "$T/p9" >>"$d/f.pcap"
wait_for 10 has "$m/queries/a/out.csv" 20000
is "$? $(got | tail -2000 | cksum)" "0 $(part 9 | cksum)" 'what a file has grown by is read, when it is closed'
cp "$T/p0" "$d/f.pcap"
wait_for 10 has "$m/queries/a/out.csv" 22000
result $? 'one that is overwritten in place after it was read is a new one'
cp "$T/p1" "$T/new" && mv "$T/new" "$d/f.pcap"
wait_for 10 has "$m/queries/a/out.csv" 24000
result $? 'so is one that another one is moved over'

# faults
head -c 5000 "$T/p2" >"$d/g.pcap"
wait_for 10 grep -q 'fault: .*/g.pcap at byte [0-9]*: the file ends within a packet' "$m/sources/cap/info"
result $? 'a file that is cut is a fault'
n=$(lines "$m/queries/a/out.csv")
tail -c +5001 "$T/p2" >>"$d/g.pcap"
wait_for 10 has "$m/queries/a/out.csv" 26000
is "$? $(got | tail -2000 | cksum)" "0 $(part 2 | cksum)" 'when the rest comes, it goes on within that packet'
echo 'no capture' >"$d/h.pcap"
wait_for 10 grep -q 'fault: .*/h.pcap at byte 0: no capture file: neither pcap nor pcapng' "$m/sources/cap/info"
result $? 'something else is a fault'
wait_for 10 grep -q '^fault: .*/h.pcap' "$m/queries/a/status"
result $? 'queries hear of it while nothing else comes'
truncate -s 3000 "$d/g.pcap"
wait_for 10 grep -q 'fault: .*/g.pcap at byte [0-9]*: shorter than what was read of it' "$m/sources/cap/info"
result $? 'a file that shrinks is a fault'
: >"$d/empty.pcap"
head -c 24 "$T/p3" >"$d/head.pcap"
mkfifo "$d/fifo.pcap"
ln -s /none "$d/none.pcap"
cp "$T/p3" "$d/i.pcap"
wait_for 10 has "$m/queries/a/out.csv" 28000
result $? 'an empty one, one without packets, a FIFO and a dead link are nothing'
wait_for 10 stat_is cap shrunk 1
is "$(stat_of cap unreadable) $(stat_of cap shrunk) $(stat_of cap faults)" '1 1 3' 'stats count them'
wait_for 10 grep -q '^fault: .*/h.pcap' "$m/queries/a/status"
result $? "a query's status has them"

# files that wait while the only query is paused are gone, or others, when their turn comes
echo pause >"$m/queries/a/ctl"
paused() { grep -q '^state: paused' "$m/queries/$1/status"; }
wait_for 10 paused a
cp "$T/p4" "$d/j.pcap"
cp "$T/p5" "$d/k.pcap"
cp "$T/p6" "$d/l.pcap"
rm "$d/k.pcap"
mv "$d/l.pcap" "$d/l2.pcap"
echo resume >"$m/queries/a/ctl"
wait_for 10 has "$m/queries/a/out.csv" 32000
result $? 'a paused spool: what is there is read then'
unmount

# gone or overwritten before their turn: they wait as long as no query has come
again
for i in 0 1 2 3; do cp "$T/p$i" "$d/$i.pcap"; done
mount_weir "$m" "s=spool:$d"
stat_is s waiting 4
result $? 'a folder without a pattern; files wait as long as nobody asks'
rm "$d/1.pcap"
cp "$T/p9" "$d/2.pcap"
ask a 's | print ts len srcip'
wait_for 10 has "$m/queries/a/out.csv" 6000
is "$? $(got | cksum)" "0 $(parts 0 3 9 | cksum)" 'what is left is read'
wait_for 10 stat_is s vanished 1
is "$(stat_of s vanished) $(stat_of s replaced)" '1 1' 'one is gone, one was overwritten'
like "$(cat "$m/sources/s/info")" '^fault: .*/1.pcap at byte 0: gone before it was read$' 'the one is a fault'
like "$(cat "$m/sources/s/info")" '^fault: .*/2.pcap at byte 0: overwritten or truncated before it was read' 'so is the other'

# the folder itself
mv "$d" "$d.away"
wait_for 10 grep -q 'fault: .* the folder is gone' "$m/sources/s/info"
result $? 'a folder that is gone is a fault'
mkdir "$d"
cp "$T/p5" "$d/5.pcap"
wait_for 10 has "$m/queries/a/out.csv" 8000
result $? 'one that takes its place is used'
cp "$T/p6" "$d/6.pcap"
wait_for 10 has "$m/queries/a/out.csv" 10000
result $? 'and watched'
unmount

# across restarts
again
run() { "$WEIR" run -q -o end -o "state=$T/state" "$rows" "spool:$d/*.pcap" 2>"$T/err" | sed 1d | cut -d, -f2-; }
cp "$T/p0" "$d/0.pcap"
cp "$T/p1" "$d/1.pcap"
is "$(run | cksum)" "$(parts 0 1 | cksum)" 'run -o end -o state='
is "$(run | wc -l)" 0 'again: nothing'
cp "$T/p2" "$d/2.pcap"
mv "$d/0.pcap" "$d/zero.pcap"
is "$(run | cksum)" "$(part 2 | cksum)" 'again: what is new'
rm "$d/1.pcap"
cp "$T/p3" "$d/1.pcap"
is "$(run | cksum)" "$(part 3 | cksum)" 'another file under the name of one that was read'
tail -c +25 "$T/p4" >>"$d/2.pcap"
is "$(run | cksum)" "$(part 4 | cksum)" 'what a file has grown by meanwhile'
cp "$T/p5" "$d/5.pcap"
"$WEIR" run -q -o end -o "state=$T/state" "packets | head 1500" "spool:$d/*.pcap" >"$T/got.csv"
n=$(run | wc -l)
[ "$n" -gt 0 ] && [ "$n" -le 500 ]
result $? "a query that wants no more leaves the rest: $n of 2000"
cp "$T/p6" "$d/6.pcap"
mount_weir "$m" -o "state=$T/state" "spool:$d/*.pcap"
ask a 'set memory 64KB cap | group ts srcip dstip count() as n'
wait_for 10 grep -q '^state: failed' "$m/queries/a/status"
had=$(sed 1d "$m/queries/a/out.csv" | awk -F, '{ n += $NF } END { print n + 0 }')
unmount
n=$(run | wc -l)
[ $((had + n)) -ge 2000 ] && [ "$had" -gt 0 ] && [ "$n" -lt 2000 ]
result $? "a query that fails leaves what its answer does not have: $had are in it, $n are read again"
like "$("$WEIR" run -o "state=$T/state" "$rows" "spool:$T" 2>&1)" 'is the state of another source' \
	'the state of another folder is refused'
is "$(awk '$1 == "file"' "$T/state" | wc -l)" "$(ls "$d" | wc -l)" 'the state has the files that are there'

# kill -9 within: read again is only what came after the last state
again
rm "$T/state"
for i in 0 1 2; do cp "$T/p$i" "$d/$i.pcap"; done
mount_weir "$m" -o "state=$T/state" "spool:$d/*.pcap"
ask a 'set threads 2 cap | print ts len srcip'
wait_for 10 has "$m/queries/a/out.csv" 6000
is "$(sed -n 's/^scheduler: //p' "$m/queries/a/status")" depth 'a batch that is said to be taken is in no thread'
done_is() { [ "$(awk '$1 == "file" && $7 > 0' "$T/state" | wc -l)" = "$1" ]; }
wait_for 10 done_is 3
result $? 'the state comes up with the queries while nothing happens'
kill -KILL "${lib_pids[-1]}"
wait "${lib_pids[-1]}" 2>/dev/null
fusermount3 -uz "$m"
cp "$T/p3" "$d/3.pcap"
is "$(run | cksum)" "$(part 3 | cksum)" 'after kill -9 it goes on behind that'

# limits
again
for i in 0 1 2 3 4; do cp "$T/p$i" "$d/$i.pcap"; done
mount_weir "$m" -o files=3 "spool:$d"
ask a 'cap | print ts len srcip'
wait_for 10 has "$m/queries/a/out.csv" 6000
result $? 'no more files are known than files= says'
wait_for 10 grep -q "fault: $d at byte 0: more files than 'files' allows" "$m/sources/cap/info"
result $? 'that is a fault'
is "$(stat_of cap beyond)" 2 'and counted'
rm "$d"/*
for i in 5 6 7; do cp "$T/p$i" "$d/$i.pcap"; done
wait_for 10 has "$m/queries/a/out.csv" 12000
result $? 'where others have been removed there is room again'
unmount
like "$("$WEIR" run -o files=0 "$rows" "spool:$d" 2>&1)" "'0' for '--files' is out of range \(1 to 1000000\)" 'files=0'
like "$("$WEIR" run "$rows" "spool:$T/none/*.pcap" 2>&1)" "cannot open '$T/none': No such file" 'a folder that is not there'
like "$("$WEIR" run "$rows" "spool:$T/*/x.pcap" 2>&1)" "only names of files may be patterns" 'a pattern of folders'
mkdir -p "$T/$(printf 'l%.0s' {1..200})"
long=$T
while [ ${#long} -lt 3880 ]; do long=$long/$(printf 'l%.0s' {1..200}); done
(
	cd "$T" || exit
	for ((i = 0; i < 30; i++)); do
		mkdir -p "$(printf 'l%.0s' {1..200})" && cd "$(printf 'l%.0s' {1..200})" 2>/dev/null || break
	done
) 2>/dev/null
like "$("$WEIR" run "$rows" "spool:$long" 2>&1)" 'File name too long' 'a path that leaves no room for names'
like "$("$WEIR" run "$rows" "spool:$(printf 'l%.0s' {1..300})/x" 2>&1)" 'File name too long' 'a name that is too long'
again
cp "$T/p0" "$d/$(printf 'n%.0s' {1..250}).pcap"
is "$(rm -f "$T/state"; run | wc -l)" 2000 'the longest name of a file'

# more events than the kernel keeps: a scan finds what was missed
if [ -w /proc/sys/fs/inotify/max_queued_events ]; then
	again
	was=$(cat /proc/sys/fs/inotify/max_queued_events)
	echo 4 >/proc/sys/fs/inotify/max_queued_events
	mount_weir "$m" "spool:$d/*.pcap"
	echo "$was" >/proc/sys/fs/inotify/max_queued_events
	for i in 0 1 2 3 4 5; do cp "$T/p$i" "$d/$i.pcap"; done
	ask a 'cap | print ts len srcip'
	wait_for 10 has "$m/queries/a/out.csv" 12000
	is "$? $(got | sort | cksum)" "0 $(parts 0 1 2 3 4 5 | sort | cksum)" 'with lost events: every file once'
	wait_for 10 stat_is cap overflows 1
	result $? 'the overflow is counted'
	unmount
else
	skip 'lost events' 'the queue cannot be made smaller'
fi
if unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_inotify_watches' 2>/dev/null; then
	again
	cp "$T/p0" "$d/0.pcap"
	unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_inotify_watches; exec "$@"' - \
		"$WEIR" run "$rows" "spool:$d/*.pcap" >"$T/got.csv" 2>"$T/err" &
	p=$!
	lib_pids+=($p)
	wait_for 10 has "$T/got.csv" 2000
	cp "$T/p1" "$d/1.pcap"
	wait_for 10 has "$T/got.csv" 4000
	result $? 'without watches the folder is looked at'
	kill -TERM $p
	wait_for 10 gone $p
else
	skip 'without watches the folder is looked at' 'no user namespaces'
fi

# in a query
again
cp "$T/p0" "$d/0.pcap"
mount_weir "$m" "$trace"
ask a "spool '$d/*.pcap' | print ts len srcip"
wait_for 10 has "$m/queries/a/out.csv" 2000
cp "$T/p1" "$d/1.pcap"
wait_for 10 has "$m/queries/a/out.csv" 4000
result $? 'a spool in a query'
ask b "spool --end '$d' | group count() as n"
query_ended "$m" b
is "$(sed 1d "$m/queries/b/out.csv")" 4000 'spool --end'
unmount

# overwritten while it is read, where no other file may be known: the rows of the first, then those of the second
again
for i in {1..10}; do [ "$i" = 1 ] && cat "$trace" || tail -c +25 "$trace"; done >"$d/one.pcap"
mkfifo "$T/rows"
MALLOC_PERTURB_=165 "$WEIR" run -o files=1 "$rows" "spool:$d" >"$T/rows" 2>"$T/err" &
p=$!
lib_pids+=($p)
exec 9<"$T/rows"
read -r _ <&9
io=
wait_for 10 quiet # it waits for the reader
cp "$T/p5" "$d/one.pcap"
cat <&9 >"$T/got.csv" &
lib_pids+=($!)
ends_with_p5() { [ "$(tail -n 2000 "$T/got.csv" | cut -d, -f2- | cksum)" = "$(part 5 | cksum)" ]; }
wait_for 10 ends_with_p5
result $? 'with files=1, one that is overwritten while it is read is a new one'
kill -TERM $p
wait_for 10 gone $p
like "$(cat "$T/err")" 'one.pcap at byte [0-9]+: overwritten or truncated before it was read' 'and what was lost is said'
exec 9<&-

# the oldest of as many as are remembered when they are gone, back under the name of another one
again
cp "$T/p0" "$d/0.pcap"
cp "$T/p1" "$d/1.pcap"
perl -e 'open F, shift; read F, $h, 24; for (1 .. 1023) { open O, ">", "$ARGV[0]/n$_.pcap"; print O $h }' "$trace" "$d"
MALLOC_PERTURB_=165 mount_weir "$m" "spool:$d"
ask a 'cap | print ts len srcip'
wait_for 10 stat_is cap taken 1025
mv "$d/0.pcap" "$T/0.pcap"
rm "$d"/n*.pcap
mv "$T/0.pcap" "$d/1.pcap"
cp "$T/p2" "$d/2.pcap"
wait_for 10 has "$m/queries/a/out.csv" 6000
is "$? $(got | cksum)" "0 $(parts 0 1 2 | cksum)" 'one that comes back when 1024 are gone is known'
unmount

# readable only after it was closed
if setpriv --reuid=65534 --regid=65534 --clear-groups true 2>/dev/null; then
	again
	chmod 755 "$T" "$d"
	setpriv --reuid=65534 --regid=65534 --clear-groups "$WEIR" run "$rows" "spool:$d" >"$T/got.csv" 2>"$T/err" &
	p=$!
	lib_pids+=($p)
	wait_for 10 is_weir
	chmod 600 "$T/p0"
	chmod 644 "$T/p1"
	touch -d '1 hour ago' "$T/p0" "$T/p1"
	mv "$T/p0" "$d/0.pcap"
	mv "$T/p1" "$d/1.pcap"
	wait_for 10 has "$T/got.csv" 2000
	chmod 644 "$d/0.pcap"
	wait_for 10 has "$T/got.csv" 4000
	result $? 'a file is read when it may be'
	kill -TERM $p
	wait_for 10 gone $p
	like "$(cat "$T/err")" "0.pcap': Permission denied" 'before that it is a fault'
else
	skip 'a file that may be read later' 'no other user can be had'
fi

# rings: tcpdump -C -W overwrites its files in turn
again
"$WEIR" run 'packets | group count() as n' "spool:$d/ring*" >"$T/got.csv" 2>"$T/err" &
p=$!
lib_pids+=($p)
wait_for 10 is_weir
tcpdump -nnr "$trace" -w "$d/ring" -C 1 -W 3 -Z root 2>/dev/null
n=0
for f in "$d"/ring*; do n=$((n + $(tcpdump -nnr "$f" 2>/dev/null | wc -l))); done
note "$(ls -l "$d")"
io=
wait_for 10 quiet
kill -TERM $p
wait_for 10 gone $p
k=$(sed 1d "$T/got.csv")
[ "$k" -ge "$n" ] && [ "$k" -le 20000 ]
result $? "a ring that is overwritten at full speed: $k packets of 20000, $n of them there at the end"
# what was overwritten before the first look at it nobody can know of; that the rest is said is tested above
is "$(grep -vc 'overwritten or truncated\|gone before' "$T/err")" 0 'nothing else is said'
finish
