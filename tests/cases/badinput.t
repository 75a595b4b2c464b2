#!/bin/bash
# SPDX-License-Identifier: MIT
# badinput.t: traces that are cut, corrupt, empty or lie, and queries that want too much: the packets
# before the fault count, `info` and `status` say what was wrong and where, the mount goes on.
. "$(dirname "$0")/../lib.sh"
need perl gzip
need_fuse
"$GENTRACE" -n 1000 -s 96 -w "$T/good.pcap"
size=$(stat -c %s "$T/good.pcap")

head -c $((size - 10)) "$T/good.pcap" >"$T/cut.pcap"
head -c 24 "$T/good.pcap" >"$T/none.pcap"
# a record header whose captured length is 4 GiB - 1, behind the 1000 packets
{ cat "$T/good.pcap"; printf '\0\0\0\0\0\0\0\0\377\377\377\377\0\0\0\0'; } >"$T/lie.pcap"
gzip -c "$T/good.pcap" | head -c 20000 >"$T/half.gz"

mount_weir "$T/m" good="$T/good.pcap" cut="$T/cut.pcap" none="$T/none.pcap" lie="$T/lie.pcap" half="$T/half.gz" || { result 1 mount; finish; }
m=$T/m
count() { # count SOURCE: asks and reads
	echo "n_$1: $1 | group count()" >"$m/queries/new" && query_ended "$m" "n_$1" && tail -n +2 "$m/queries/n_$1/out.csv"
}
is "$(count good)" 1000 'a good trace has its 1000 packets'
is "$(count cut)" 999 'a trace that is cut short has all packets before'
like "$(cat "$m/queries/n_cut/status")" '^fault: .*cut\.pcap at byte [0-9]+: ' 'the query says where'
like "$(cat "$m/sources/cut/info")" '^fault: .*cut\.pcap at byte [0-9]+: ' 'the source says where'
is "$(count lie)" 1000 'a record of 4 GiB ends the trace before it'
like "$(cat "$m/queries/n_lie/status")" "^fault: .*at byte $((size + 8)): " 'with the place of the length that lies'
is "$(count none)" 0 'a trace without packets has none'
half=$(count half)
ok 'a gzip file that is cut has packets before the cut' [ "$half" -gt 0 ]
like "$(cat "$m/queries/n_half/status")" '^fault: ' 'and says so'

"$WEIR" run 'packets | group count()' "$T/cut.pcap" >"$T/out" 2>"$T/err"
is "$?:$(tail -n 1 "$T/out")" '1:999' 'weir run answers for what is there, and fails'
like "$(cat "$T/err")" '^weir: fault: .*cut\.pcap at byte [0-9]+: ' 'and says where the trace is cut'

# memory: a limit that the answer does not fit in
"$GENTRACE" -n 200000 -s 96 -w "$T/large.pcap"
mount_weir "$T/n" large="$T/large.pcap" || { result 1 mount; finish; }
n=$T/n
echo 'ok: packets | group count()' >"$n/queries/new"
echo 'big: set memory 2MB packets | group srcip dstip srcport dstport seq count()' >"$n/queries/new"
wait_for 30 grep -q '^state: failed' "$n/queries/big/status"
like "$(cat "$n/queries/big/status")" "^error: memory limit of 2 MiB reached in '.*' \(raise it with 'set memory'\)" 'a query at its memory limit says so and what to do'
ok 'its answer so far is readable' [ "$(wc -l <"$n/queries/big/out.csv")" -gt 100 ]
query_ended "$n" ok
is "$(tail -n +2 "$n/queries/ok/out.csv")" 200000 'another query goes on'

# specs at their limits
deep=$(head -c 100000 /dev/zero | tr '\0' '(')
like "$( (printf 'packets | where %s\n' "$deep" >"$n/queries/new") 2>&1)" 'Invalid argument' '100,000 parentheses are refused'
head -c 1048577 /dev/zero | tr '\0' ' ' >"$T/long"
like "$(cp "$T/long" "$n/queries/new" 2>&1)" 'File too large' 'a spec of 1 MiB and one byte is too large'
{ echo -n 'full: packets | group count() '; head -c 1048576 /dev/zero | tr '\0' ' '; } | head -c 1048576 >"$T/full"
ok 'a spec of 1 MiB is not' cp "$T/full" "$n/queries/new"
query_ended "$n" full
is "$(tail -n +2 "$n/queries/full/out.csv")" 200000 'and is answered'
like "$( (printf 'a/b: packets | head 1\n' >"$n/queries/new") 2>&1)" 'Invalid argument' 'a name with a slash is refused'
like "$( (printf 'full: packets | head 1\n' >"$n/queries/new") 2>&1)" 'File exists' 'a name that is taken is refused'
like "$( (printf 'packets | where "\377\376"\n' >"$n/queries/new") 2>&1)" 'Invalid argument' 'text that is not UTF-8 is refused'
like "$(cat "$n/queries/errors")" 'not UTF-8' 'queries/errors says why'
ok 'the mount goes on' test -e "$n/status"

# files that cost nothing and give nothing: they are named in a query at once, and that can be stopped
gzip -c </dev/null >"$T/zeros.gz"
if truncate -s 4T "$T/zeros.gz" 2>/dev/null; then
	perl -e 'for (0 .. 999) { seek STDOUT, $_ * 4294967296, 0; print pack "VV", 0x184d2a50, 4294967288 }' >"$T/skipped.zst"
	truncate -s 4T "$T/skipped.zst"
	# a section, then 400 times 64 MiB of blocks that are no packets, each 16 MiB
	perl -e 'print pack "V3v2Q<V", 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0, 2 ** 64 - 1, 28' | gzip -c >"$T/blocks.gz"
	perl -e '$n = 16 << 20; $b = pack("VV", 0xbad, $n) . "\0" x ($n - 12) . pack "V", $n; print $b for 1 .. 4' | gzip -1c >"$T/part"
	for i in {1..400}; do cat "$T/part"; done >>"$T/blocks.gz"
	mount_weir "$T/k" good="$T/good.pcap" || { result 1 mount; finish; }
	k=$T/k
	weir=${lib_pids[-1]}
	for i in zeros.gz skipped.zst blocks.gz; do
		timeout 5 bash -c "echo '${i%.*}: pcapfile $T/$i | group count()' >'$k/queries/new'"
		result $? "$i in a query: it is there at once"
	done
	query_ended "$k" zeros
	like "$(cat "$k/queries/zeros/status")" '^fault: .*zeros.gz at byte 0: more than 1 MiB of zeros behind the compressed data' \
		'a hole behind the compressed data is a fault'
	for i in skipped blocks; do
		ok "$i: is read" wait_for 5 grep -q '^state: running' "$k/queries/$i/status"
		echo stop >"$k/queries/$i/ctl"
		ok "$i: stop" wait_for 5 grep -q '^state: stopped' "$k/queries/$i/status"
		echo restart >"$k/queries/$i/ctl"
		wait_for 5 grep -q '^state: running' "$k/queries/$i/status"
	done
	ok 'rmdir' timeout 5 rmdir "$k/queries/skipped"
	timeout 5 bash -c "echo 'several: pcapfile $T/skipped.zst $T/blocks.gz | group count()' >'$k/queries/new'"
	result $? 'several of them'
	mkdir "$T/spool"
	ln "$T/skipped.zst" "$T/blocks.gz" "$T/spool"
	timeout 5 bash -c "echo 'spool: spool $T/spool | group count()' >'$k/queries/new'"
	result $? 'in a spool'
	mkdir "$T/many"
	perl -e 'for (10 .. 74) { open F, ">", "$ARGV[0]/$_.zst"; print F pack "VV", 0x184d2a50, (16 << 20) - 8; truncate F, 16 << 20 }' "$T/many"
	like "$( (echo "pcapfile '$T/many/*.zst' | group count()" >"$k/queries/new") 2>&1)" 'Invalid argument|Argument list too long' '65 of them are refused'
	like "$(tail -4 "$k/queries/errors")" 'more than 64 of the files begin with megabytes without a packet' 'with the reason'
	echo "many: spool --end $T/many | group count()" >"$k/queries/new"
	query_ended "$k" many
	is "$(tail -n +2 "$k/queries/many/out.csv")" 0 'a spool has them all'
	rm "$T/many/10.zst"
	echo "fewer: pcapfile '$T/many/*.zst' | group count()" >"$k/queries/new"
	query_ended "$k" fewer
	is "$(tail -n +2 "$k/queries/fewer/out.csv")" 0 '64 are read'
	kill -TERM "$weir"
	ok 'SIGTERM ends a mount that reads such' wait_for 5 test ! -d "/proc/$weir"
else
	skip 'files of terabytes' 'they cannot be made here'
fi
finish
