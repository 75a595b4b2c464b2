#!/bin/bash
# SPDX-License-Identifier: MIT
# Every tool that reads files reads a log and a table of the tree whole, at once and byte for byte.
. "$(dirname "$0")/../lib.sh"
need_fuse
need vim rsync busybox tar
WAYS=$BUILD/tests/gen/readways
trace=$(sample)
m=$T/m
mount_weir "$m" "s=$trace" || exit 1

# the same rows by another program: tcpdump counts them, weir run prints them
rows=$(tcpdump -nr "$trace" 2>/dev/null | wc -l)
spec='packets | print ts srcip dstip srcport dstport len'
"$WEIR" run -q -F csv "$spec" "$trace" >"$T/want.log"
is "$(($(wc -l <"$T/want.log") - 1))" "$rows" 'weir run prints as many rows as tcpdump'

printf 'log: %s\n' "$spec" >"$m/queries/new"
printf 'table: packets | tail 3000 | print ts srcip dstip len\n' >"$m/queries/new"
query_ended "$m" log
result $? 'the streaming query ends'
query_ended "$m" table
result $? 'the blocking query ends'
{ echo ts,srcip,dstip,len; tail -n 3000 "$T/want.log" | cut -d, -f1,2,3,6; } >"$T/want.table"

matrix() { # matrix FILE WANTED NAME
	local f=$1 want=$2 n=$3 way
	cat "$f" >"$T/got"; same "$T/got" "$want" "$n: cat"
	grep '' "$f" >"$T/got"; same "$T/got" "$want" "$n: grep"
	sort "$f" >"$T/got"; sort "$want" >"$T/sorted"; same "$T/got" "$T/sorted" "$n: sort"
	awk '{print}' "$f" >"$T/got"; same "$T/got" "$want" "$n: awk"
	sed -n p "$f" >"$T/got"; same "$T/got" "$want" "$n: sed"
	dd if="$f" of="$T/got" bs=777 status=none; same "$T/got" "$want" "$n: dd"
	cp "$f" "$T/got"; same "$T/got" "$want" "$n: cp"
	cp --sparse=always "$f" "$T/got"; same "$T/got" "$want" "$n: cp --sparse=always"
	busybox cp "$f" "$T/got"; same "$T/got" "$want" "$n: busybox cp"
	is "$(head -n 20 "$f" | cksum)" "$(head -n 20 "$want" | cksum)" "$n: head"
	is "$(head -n -20 "$f" | cksum)" "$(head -n -20 "$want" | cksum)" "$n: head -n -20"
	is "$(head -c 5001 "$f" | cksum)" "$(head -c 5001 "$want" | cksum)" "$n: head -c"
	is "$(tail -n 20 "$f" | cksum)" "$(tail -n 20 "$want" | cksum)" "$n: tail"
	is "$(tail -c 5001 "$f" | cksum)" "$(tail -c 5001 "$want" | cksum)" "$n: tail -c"
	is "$(busybox tail -n 20 "$f" | cksum)" "$(tail -n 20 "$want" | cksum)" "$n: busybox tail"
	is "$(tac "$f" | cksum)" "$(tac "$want" | cksum)" "$n: tac"
	is "$(less "$f" </dev/null | cksum)" "$(cksum <"$want")" "$n: less"
	is "$(wc <"$f")" "$(wc <"$want")" "$n: wc"
	is "$(wc -c "$f" | cut -d' ' -f1)" "$(wc -c <"$want")" "$n: wc -c"
	is "$(stat -c %s "$f")" "$(wc -c <"$want")" "$n: stat's size"
	is "$(stat -c %b "$f")" "$((($(wc -c <"$want") + 511) / 512))" "$n: stat's blocks are full"
	cmp -s "$f" "$want"; result $? "$n: cmp"
	diff -q "$f" "$want" >/dev/null; result $? "$n: diff"
	vim -u NONE -es -c "w! $T/got" -c q "$f" </dev/null >/dev/null 2>&1
	same "$T/got" "$want" "$n: vim"
	ok "$n: tar" tar -C "$(dirname "$f")" -cf "$T/got.tar" "$(basename "$f")"
	tar -xOf "$T/got.tar" >"$T/got"; same "$T/got" "$want" "$n: what tar kept"
	rm -f "$T/got"
	ok "$n: rsync" rsync -a "$f" "$T/got"
	same "$T/got" "$want" "$n: what rsync kept"
	for way in mmap sendfile splice pread readv; do
		"$WAYS" $way "$f" >"$T/got"; same "$T/got" "$want" "$n: $way"
	done
	cat - <"$f" >"$T/got"; same "$T/got" "$want" "$n: standard input"
	is "$(gzip -c "$f" | gzip -dc | cksum)" "$(cksum <"$want")" "$n: gzip"
	is "$(sha256sum <"$f")" "$(sha256sum <"$want")" "$n: sha256sum"
}
matrix "$m/queries/log/out.csv" "$T/want.log" log
matrix "$m/queries/table/out.csv" "$T/want.table" table

# the other formats say the same
q=$m/queries/log
tr , '\t' <"$T/want.log" >"$T/want.tsv"
same "$q/out.tsv" "$T/want.tsv" 'out.tsv has the same cells'
is "$(wc -l <"$q/out.json")" "$rows" 'out.json has a line for each row'
is "$(wc -l <"$q/out.txt")" "$((rows + 1))" 'out.txt has a line for each row and a heading'
ok 'out.json is JSON' python3 -c 'import json,sys
for l in open(sys.argv[1]): json.loads(l)' "$q/out.json"
# a query may read the tree that it stands in
echo 'raw: packets' >"$m/queries/new"
query_ended "$m" raw
is "$(tcpdump -nr "$m/queries/raw/out.pcap" 2>/dev/null | cksum)" "$(tcpdump -nr "$trace" 2>/dev/null | cksum)" \
	'tcpdump reads the same from out.pcap'
echo "self: pcapfile $m/queries/raw/out.pcap | print ts srcip dstip srcport dstport len" >"$m/queries/new"
query_ended "$m" self
same "$m/queries/self/out.csv" "$T/want.log" "a query over another query's out.pcap"

# a copy of the whole query is a copy
ok 'cp -r of a query' cp -r "$q" "$T/copy"
same "$T/copy/out.csv" "$T/want.log" 'cp -r copies out.csv'
same "$T/copy/spec" "$q/spec" 'cp -r copies spec'
ok 'tar of a query' tar -C "$m/queries" -cf "$T/q.tar" --exclude records log
# one inode number for all versions
is "$(stat -c %i "$m/queries/table/out.csv")" "$(stat -c %i "$m/queries/table/out.csv")" 'st_ino stays'
is "$(stat -c %i "$m/queries/table/out.csv")" "$(python3 -c '
import os,sys
f=os.open(sys.argv[1],os.O_RDONLY); print(os.fstat(f).st_ino)' "$m/queries/table/out.csv")" 'fstat agrees with stat'
finish
