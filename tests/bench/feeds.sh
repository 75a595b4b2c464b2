# SPDX-License-Identifier: MIT
# feeds.sh: parts of tests/bench/run about many queries on one pipe: what a hundred cost that begin
# alike, and a thousand that have nothing to do.

# feed_wait SECONDS COMMAND…: until it succeeds; says so where it does not in that time
feed_wait() {
	local end=$((SECONDS + $1))
	until "${@:2}"; do
		[ $SECONDS -lt $end ] || { fail "not within $1 s: ${*:2}"; return 1; }
		read -rt 0.02 <> <(:)
	done
}
# feed_mount FILE: mounts a FIFO under $MNT; descriptor 7 writes to it, and FILE's header is through
feed_mount() {
	MNT=$(mktemp -d)
	rm -f "$OUT/fifo"
	mkfifo "$OUT/fifo"
	"$WEIR" -f net="$OUT/fifo" "$MNT" -o queries=2000 &
	mounted_pid=$!
	exec 7<>"$OUT/fifo"
	head -c 24 "$1" >&7
	feed_wait 20 test -e "$MNT/queries/new"
}
feed_unmount() {
	exec 7>&-
	unmount_weir
}
feed_cpu() { awk '{ print ($14 + $15) / 100 }' "/proc/$mounted_pid/stat"; }
feed_rests() { # no CPU time for half a second
	local was
	was=$(feed_cpu)
	read -rt 0.5 <> <(:)
	[ "$(feed_cpu)" = "$was" ]
}
feed_pss() { awk '/^Pss:/ { print $2 }' "/proc/$mounted_pid/smaps_rollup"; }
feed_ended() { # all queries named a… have
	local n
	for n in "$MNT"/queries/a*; do
		feed_wait 300 grep -qE '^state: (done|failed)' "$n/status" || return
		grep -q '^state: done' "$n/status" || fail "$(basename "$n") failed"
	done
}

# sharing_cpu N FRONT BEHIND: CPU seconds of N queries, that have @ for their number behind
sharing_cpu() {
	local i before
	feed_mount "$DIR/pipe.pcap"
	for ((i = 1; i <= $1; i++)); do echo "a$i: net | $2 | ${3//@/$i}" >"$MNT/queries/new"; done
	before=$(feed_cpu)
	tail -c +25 "$DIR/pipe.pcap" >&7
	exec 7>&-
	feed_ended
	awk -v a="$before" -v b="$(feed_cpu)" 'BEGIN { print b - a }'
	md5sum <"$MNT/queries/a1/out.csv" >"$OUT/md5.$1"
	feed_unmount
}

sharing_part() {
	local front='filter -b "tcp port 443"' q one many r
	if [ ! -s "$DIR/pipe.pcap" ]; then
		note "making $DIR/pipe.pcap"
		"$GENTRACE" -n 1000000 -w "$DIR/pipe.pcap" || exit 1
	fi
	printf '100 queries on a pipe that begin with %s, against one: CPU time\n' "$front"
	for q in 'group srcip count() as n | where n > @' 'uniq srcip dstip | where srcport > @ | group count()' \
		'where len > 10 * @ | group srcip count() as n'; do
		rm -f "$OUT"/share.*
		for ((r = 0; r < (ROUNDS > 3 ? 3 : ROUNDS); r++)); do
			sharing_cpu 1 "$front" "$q" >>"$OUT/share.1"
			sharing_cpu 100 "$front" "$q" >>"$OUT/share.100"
		done
		cmp -s "$OUT/md5.1" "$OUT/md5.100" || fail "the first of 100 answers otherwise than alone: $q"
		one=$(median 1 "$OUT/share.1") many=$(median 1 "$OUT/share.100")
		printf '  %-54s %6.2f s %7.2f s %6s x\n' "$q" "$one" "$many" "$(ratio "$many" "$one")"
	done
}

idle_part() {
	local i first cpu what
	[ -s "$DIR/part.pcap" ] || "$GENTRACE" -n 20000 -w "$DIR/part.pcap" || exit 1
	printf '1,000 queries on a pipe that is silent, beyond the first\n'
	for what in 'none has had a packet' 'each has had 20,000 packets'; do
		feed_mount "$DIR/part.pcap"
		for ((i = 1; i <= 1001; i++)); do
			echo "a$i: net | where dstport = $i | group srcip count() as n" >"$MNT/queries/new"
			[ $i = 1 ] && feed_wait 20 grep -q '^state: running' "$MNT/queries/a1/status" && first=$(feed_pss)
		done
		if [ "$what" != 'none has had a packet' ]; then
			tail -c +25 "$DIR/part.pcap" >&7
			feed_wait 120 grep -q '^records: 20000' "$MNT/queries/a1001/status"
		fi
		feed_wait 20 feed_rests # then CPU time is counted for a while
		cpu=$(feed_cpu)
		sleep 5
		printf '  %-34s %6.1f MB   %.2f %% of a CPU   %s threads\n' "$what" \
			"$(awk -v a="$first" -v b="$(feed_pss)" 'BEGIN { print (b - a) / 1024 }')" \
			"$(awk -v a="$cpu" -v b="$(feed_cpu)" 'BEGIN { print (b - a) * 20 }')" \
			"$(ls "/proc/$mounted_pid/task" | wc -l)"
		feed_unmount
	done
}
