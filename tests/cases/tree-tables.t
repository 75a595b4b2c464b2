#!/bin/bash
# SPDX-License-Identifier: MIT
# Tables: every version is whole and immutable, however slow the reader; look-ups wait for a fresh
# one and never freeze the mount; what is looked at is all that is made.
. "$(dirname "$0")/../lib.sh"
need_fuse
need python3
trace=$(sample) # 20 seconds of the trace's own time
m=$T/m
q=$m/queries
mount_weir "$m" "s=$trace" -o speed=2,refresh=200ms || exit 1

# row k of the table is row k of the trace: the count of packets so far tells the version
"$WEIR" run -q -F csv 'packets | count -f n | print n ts len' "$trace" | tail -n +2 >"$T/all"
echo 't: packets | count -f n | tail 1500 | print n ts len' >"$q/new"
f=$q/t/out.csv
whole() { # whole FILE: the rows of one version, one behind the other
	local n
	n=$(sed -n 2p "$1" | cut -d, -f1)
	[ -z "$n" ] || cmp -s <(tail -n +2 "$1") <(tail -n +"$n" "$T/all" | head -n $(($(wc -l <"$1") - 1)))
}
version() { sed -n '$s/,.*//p' "$1"; }

cat "$f" >"$T/v"
[ "$(version "$T/v")" -gt 0 ]
result $? 'the first look-up waits for a version'
exec 4<"$f"                      # a slow reader
fsize=$(stat -L -c %s /dev/fd/4) # its size
head -c 100 <&4 >"$T/slow" # a mebibyte may be read at once: the rest comes from the page cache
python3 - "$f" >"$T/mapped" <<'END' &
import mmap, os, sys, time
f = os.open(sys.argv[1], os.O_RDONLY)
m = mmap.mmap(f, 0, prot=mmap.PROT_READ)
time.sleep(3)
sys.stdout.write(m[:].decode())
END
mapper=$!
bad=0 seen=() inos=() mtimes=()
while ! grep -q '^state: done' "$q/t/status"; do
	before=$(stat -c '%Y.%y' "$q/t")
	cat "$f" >"$T/v"
	whole "$T/v" || bad=$((bad + 1))
	seen+=("$(version "$T/v")")
	inos+=("$(stat -c %i "$f")")
	mtimes+=("$before")
	nap 0.3
done
is $bad 0 "each of ${#seen[@]} reads is one whole version"
is "$(printf '%s\n' "${seen[@]}" | sort -nc && echo sorted)" sorted 'and they go on'
[ "$(printf '%s\n' "${seen[@]}" | sort -u | wc -l)" -ge 10 ]
result $? 'at least ten different ones'
is "$(printf '%s\n' "${inos[@]}" | sort -u | wc -l)" 1 'all under one inode number'
[ "$(printf '%s\n' "${mtimes[@]}" | sort -u | wc -l)" -ge 3 ]
result $? "the query's folder's time moves with them"
cat <&4 >>"$T/slow"
is "$(wc -c <"$T/slow")" "$fsize" 'a slow reader gets the size that it saw'
whole "$T/slow"
result $? 'and one whole version'
wait $mapper
whole "$T/mapped" && [ -s "$T/mapped" ]
result $? 'a mapping shows one whole version'
tail -n 1500 "$T/all" | cmp -s - <(tail -n +2 "$f")
result $? 'the last version is the answer for all packets'
is "$(stat -c %Y "$f")" "$(stat -c %Y "$q/t/out.tsv")" 'the formats of one version have one time'
before=$(stat -c '%i %s %y' "$f" "$q/t/plan" "$q/t/out.json")
is "$(stat -c '%i %s %y' "$f" "$q/t/plan" "$q/t/out.json")" "$before" 'nothing moves once it is done'

# a table that nobody reads is not renewed
echo 'idle: packets | count -f n | tail 10 | print n' >"$q/new"
wait_for 5 grep -qE '^records: [1-9][0-9]{3}' "$q/idle/status"
result $? 'it runs'
is "$(sed -n 's/^version: //p' "$q/idle/status")" 0 'no reader, no version'
rmdir "$q/idle"

# forty waiting look-ups: the mount goes on
for i in {1..40}; do echo "w$i: packets | tail 1" >"$q/new"; done
for i in {1..40}; do cat "$q/w$i/out.csv" >/dev/null & pids[i]=$!; done
start=${EPOCHREALTIME/./}
cat "$m/README" "$m/status" >/dev/null
took=$((${EPOCHREALTIME/./} - start))
[ $took -lt 900000 ]
result $? "other files answer while 40 look-ups wait ($took µs)"
start=${EPOCHREALTIME/./}
wait "${pids[@]}"
[ $((${EPOCHREALTIME/./} - start)) -lt 5000000 ]
result $? 'a look-up waits for about a second at most'
for i in {1..40}; do rmdir "$q/w$i"; done

# commands
echo 'c: packets | tail 5 | print ts' >"$q/new"
echo pause >"$q/c/ctl"
wait_for 5 grep -q '^state: paused' "$q/c/status"
result $? 'pause'
echo resume >"$q/c/ctl"
wait_for 5 grep -q '^state: running' "$q/c/status"
result $? 'resume'
exec 5<"$q/c/out.csv"
echo stop >"$q/c/ctl"
wait_for 5 grep -q '^state: stopped' "$q/c/status"
result $? 'stop'
cat "$q/c/out.csv" >/dev/null
result $? 'what there is stays readable'
echo restart >"$q/c/ctl"
like "$(cat "$q/c/status")" '^state: running' 'restart'
cat <&5 >/dev/null
result $? "a version of the run before is readable while it is open"
exec 5<&-
rmdir "$q/c"

# memory of old versions goes back: a thousand of them
echo 'many: packets | count -f n | tail 2000' >"$q/new"
ok 'watching a table' timeout 20 bash -c "for i in {1..60}; do cat '$q/many/out.csv' >/dev/null || exit 1; done"

# a table that the module behind it looks at first is counted once
wait_for 30 grep -q '^state: done' "$q/many/status"
echo 'looked: packets | last srcip | pdf srcport | print srcip probability' >"$q/new"
query_ended "$m" looked 60
"$WEIR" run -q 'packets | print srcip srcport' "$trace" | awk -F, 'NR > 1 && $1 != "" { p[$1] = $2 } END {
	for (s in p) { n++; missing += p[s] == "" }
	print "node: last out", n; print "node: pdf in", n, "out", n - missing, "missing", missing }' >"$T/want"
sed -n 's/^\(node: last\) in [0-9]* \(out [0-9]*\) .*/\1 \2/p; s/^\(node: pdf in [0-9]* out [0-9]*\) .* \(missing [0-9]*\)/\1 \2/p' "$q/looked/status" >"$T/got"
same "$T/got" "$T/want" 'records that are emitted twice within are counted once'

# who looks does not cost a query its memory: what nobody has open any more gives way
p=$T/p
mount_pipe "$p" "$trace" -o memory=2MB || exit 1
echo 'g: set refresh 1h net | group srcip srcport dstip dstport count() as n sum(len) as s' >"$p/queries/new"
g=$p/queries/g
at_version() { grep -qx "version: $1" "$g/status"; }
at_records() { grep -qx "records: $1" "$g/status"; }
looks() { # looks N: at so many versions that have no row in common
	local i
	for ((i = 1; i <= $1; i++)); do
		timeout 20 tail -c +25 "$trace" >&7 || return 1
		wait_for 20 at_records $((i * 20000)) || return 1
		echo refresh >"$g/ctl"
		wait_for 20 at_version "$i" || return 1
		ls -l "$g/out.csv" "$g/records" && head -n 3 "$g/out.json" || return 1
	done
}
ok 'twenty versions that were looked at do not fill the memory of a query' looks 20
like "$(cat "$g/status")" '^state: running' 'which runs on'
exec 7>&-

# what was looked at is kept for who looks again, but never more than 256 MiB of it
l=$T/large
mount_weir "$l" "s=$trace" || exit 1
for i in {1..40}; do
	echo "t$i: packets | group ts srcip dstip srcport dstport ipprotocol len ttl count() as n$i" >"$l/queries/new"
done
bytes=0
for i in {1..40}; do
	for s in $(stat -c %s "$l/queries/t$i"/out.{csv,tsv,txt,json}); do bytes=$((bytes + s)); done
done
kept() { sed -n 's/^weir_fs_version_bytes //p' "$l/metrics"; }
many() { [ "$(kept)" -gt $((200 << 20)) ]; }
[ $bytes -gt $((300 << 20)) ]
result $? 'texts of more than 300 MiB are looked at'
ok 'most of it is kept' wait_for 4 many
[ "$(kept)" -le $((256 << 20)) ]
result $? 'but no more than 256 MiB'
is "$(tail -n +2 "$l/queries/t1/out.csv" | wc -l)" "$(wc -l <"$T/all")" 'and are made again'
finish
