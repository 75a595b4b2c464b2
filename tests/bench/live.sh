# SPDX-License-Identifier: MIT
# live.sh: the parts of tests/bench/run that capture: a pair of interfaces in a network namespace of its
# own, `blast` sends into one as fast as it can, on the first CPU; who captures from the other has the
# other CPUs. What the kernel does for a packet until it lies in the ring, the sender's CPU does.
LIVE_SECONDS=${LIVE_SECONDS:-5}
LIVE_ROUNDS=${LIVE_ROUNDS:-3}
LAG_RATE=${LAG_RATE:-1000}
BLAST=$BUILD/tests/bench/blast
LAG=$BUILD/tests/bench/lag

group_by=('srcip' 'srcip dstip srcport dstport ipprotocol' 'dstport' 'srcip dstip'
	'dstip' 'srcport' 'ipprotocol' 'ttl' 'len' 'ipversion vlan')

# apart PART: the part again in a network namespace of its own
apart() {
	if ! unshare -n true 2>/dev/null; then
		echo "$1: left out, network namespaces cannot be made here (not root?)"
		return
	fi
	WEIR_NETNS=1 unshare -n "$0" "$1" || failed=1
}

pair() {
	local i
	ip link add in0 type veth peer name out0 2>"$OUT/err" || { fail "no veth pair: $(head -1 "$OUT/err")"; return 1; }
	for i in in0 out0; do
		echo 1 2>/dev/null >"/proc/sys/net/ipv6/conf/$i/disable_ipv6"
		ip link set "$i" mtu 9000 arp off up
	done
	ip link set lo up
	CAPTURE=(taskset -c "$([ "$(nproc)" -gt 1 ] && echo "1-$(($(nproc) - 1))" || echo 0)")
}

blast() { taskset -c 0 "$BLAST" in0 "${TRACES[0]}" "$@" >"$OUT/sent" || fail 'blast'; sent=$(cut -d' ' -f1 "$OUT/sent"); }

# cpu_of PID: seconds in user space and in the kernel so far
cpu_of() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print $12 / hz, $13 / hz }' "/proc/$1/stat"; }

# soon COMMAND…: until it succeeds
soon() {
	local end=$((SECONDS + 20))
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		read -rt 0.02 <> <(:)
	done
	return 0
}

# idle PID: it has had nothing to do for half a second: what it will take, it has
idle() {
	local was
	was=$(cpu_of "$1")
	read -rt 0.5 <> <(:)
	[ "$was" = "$(cpu_of "$1")" ]
}

# taken NAME PACKETS CPU_BEFORE CPU_AFTER: adds a line to NAME.t: the share of what was sent that was taken,
# packets of that a second, and ns of CPU for each: in user space, in the kernel, both
taken() {
	echo "$2 $3 $4 $(<"$OUT/sent")" | awk '{ n = $1 > 0 ? $1 : 1; u = ($4 - $2) / n * 1e9; k = ($5 - $3) / n * 1e9
		printf "%.4f %.0f %.0f %.0f %.0f\n", $1 / $6, $1 / $8, u, k, u + k }' >>"$OUT/$1.t"
}

# other NAME COMMAND…: a program that captures, and what it says that it has taken (told_NAME)
other() {
	local name=$1 before after pid
	shift
	"${CAPTURE[@]}" "$@" >"$OUT/$name.log" 2>&1 &
	pid=$!
	if ! soon grep -q ' 0003 ' /proc/net/packet; then
		fail "$name does not listen: $(head -1 "$OUT/$name.log")"
		kill $pid
		return 1
	fi
	soon idle $pid
	before=$(cpu_of $pid)
	blast "$LIVE_SECONDS"
	soon idle $pid
	after=$(cpu_of $pid)
	"told_$name" $pid >"$OUT/told"
	taken "$name" "$(<"$OUT/told")" "$before" "$after"
}

told_tcpdump() {
	kill -INT "$1" && wait "$1"
	awk '/packets captured/ { print $1 }' "$OUT/tcpdump.log"
}

told_softflowd() {
	softflowctl -c "$OUT/softflowd.ctl" statistics | awk '/received by libpcap/ { n = $NF } /dropped by libpcap/ { n -= $NF } END { print n }'
	softflowctl -c "$OUT/softflowd.ctl" shutdown >/dev/null
	wait "$1"
}

# argus counts bytes, not packets: as if it had lost none
told_argus() {
	kill -INT "$1" && wait "$1"
	echo "$sent"
}

told_suricata() {
	kill -INT "$1" && wait "$1"
	awk -F'|' '/capture.kernel_packets/ { n = $NF } /capture.kernel_drops/ { d = $NF } END { print n - d }' "$OUT/stats.log"
}

# weir_takes NAME QUERY…: a mount with these queries; what each has counted must be what stats says
weir_takes() {
	local name=$1 before after i q=()
	shift
	mount_live || return
	for ((i = 1; i <= $#; i++)); do
		q[i]=q$i
		echo "q$i: ${!i}" >"$MNT/queries/new" || fail "$name: not accepted: ${!i}"
	done
	soon idle "$mounted_pid"
	before=$(cpu_of "$mounted_pid")
	blast "$LIVE_SECONDS"
	soon settled
	soon idle "$mounted_pid"
	after=$(cpu_of "$mounted_pid")
	taken "$name" "$(stat_of records)" "$before" "$after"
	for i in "${q[@]}"; do
		echo stop >"$MNT/queries/$i/ctl"
		soon grep -q '^state: stopped' "$MNT/queries/$i/status"
		[ "$(counted "$MNT/queries/$i/out.csv")" = "$(stat_of records)" ] || fail "$name: $i has counted $(counted "$MNT/queries/$i/out.csv"), not $(stat_of records)"
	done
	unmount_weir
}

stat_of() { awk -v k="$1:" '$1 == k { print $2 }' "$MNT/sources/out0/stats"; }
settled() { [ "$(($(stat_of records) + $(stat_of kernel_drops) + $(stat_of own_drops)))" = "$(stat_of packets)" ]; }
# the sum of the column "count"
counted() { awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "count") c = i } NR > 1 { n += $c } END { print n + 0 }' "$1"; }

mount_live() {
	local end=$((SECONDS + 20))
	MNT=$(mktemp -d)
	"${CAPTURE[@]}" "$WEIR" -f out0 "$MNT" &
	mounted_pid=$!
	until [ -e "$MNT/queries/new" ]; do
		[ $SECONDS -lt $end ] && kill -0 $mounted_pid 2>/dev/null || { fail 'weir did not mount'; return 1; }
		read -rt 0.02 <> <(:)
	done
	return 0
}

# live_row LABEL NAME
live_row() {
	[ -s "$OUT/$2.t" ] || return
	printf '  %-30s %6.2f %% of %7.0f a second   %6.0f ns of CPU a packet (%.0f in the kernel)\n' "$1" \
		"$(median 1 "$OUT/$2.t" | awk '{ print 100 * $1 }')" \
		"$(awk '{ print $2 / ($1 ? $1 : 1) }' "$OUT/$2.t" >"$OUT/rates"; median 1 "$OUT/rates")" \
		"$(median 5 "$OUT/$2.t")" "$(median 4 "$OUT/$2.t")"
}

# versus WHAT COLUMN A B TARGET
versus() {
	[ -s "$OUT/$3.t" ] && [ -s "$OUT/$4.t" ] && printf '  %s: %s (%s)\n' "$1" "$(paired "$2" "$OUT/$3.t" "$OUT/$4.t")" "$5"
}

live_part() {
	local i g ten=() four=() s
	[ -n "${WEIR_NETNS:-}" ] || { apart live; return; }
	pair || return
	for g in "${group_by[@]}"; do
		ten+=("packets | group $g count() sum(len)")
	done
	four=("${ten[@]:0:4}")
	printf '%s, sent again and again for %s s: what is taken, and what it costs\n' "$(basename "${TRACES[0]}")" "$LIVE_SECONDS"
	for ((i = 0; i < LIVE_ROUNDS; i++)); do
		other tcpdump tcpdump -i out0 -B 65536 -w /dev/null
		weir_takes count 'packets | group count()'
		weir_takes four "${four[@]}"
		weir_takes ten "${ten[@]}"
		command -v softflowd >/dev/null && other softflowd softflowd -d -i out0 -c "$OUT/softflowd.ctl" -p "$OUT/softflowd.pid"
		command -v suricata >/dev/null && other suricata suricata -l "$OUT" --af-packet=out0
		command -v argus >/dev/null && other argus argus -X -i out0 -w /dev/null
	done
	live_row 'weir, a count query' count
	live_row 'weir, four grouping queries' four
	live_row 'weir, ten grouping queries' ten
	for s in tcpdump softflowd suricata argus; do
		live_row "$s" $s
	done
	versus 'packets taken, a count query over tcpdump' 2 count tcpdump 'at least 1'
	versus 'packets taken, ten grouping queries over tcpdump' 2 ten tcpdump 'at least 0.5'
	versus 'CPU a packet, four grouping queries over softflowd' 5 four softflowd 'at most 0.33'
	versus 'CPU a packet, four grouping queries over suricata' 5 four suricata 'at most 0.2'
	versus 'CPU a packet, four grouping queries over argus' 5 four argus 'at most 0.2'
}

# From a packet's time stamp until its row has been read, at light load.
# The same of a pipe, whose packets bear the time at which they were written.
pipe_latency() {
	local f pid writer n=200 end=$((SECONDS + 20))
	command -v python3 >/dev/null || { note 'latency: python3 is not installed'; return; }
	rm -f "$OUT/pipe" "$OUT/go"
	mkfifo "$OUT/pipe"
	MNT=$(mktemp -d)
	"$WEIR" -f lab=- "$MNT" <"$OUT/pipe" &
	mounted_pid=$!
	python3 tests/bench/trickle.py "$OUT/pipe" "$OUT/go" $n &
	writer=$!
	until [ -e "$MNT/queries/new" ]; do
		[ $SECONDS -lt $end ] || { fail 'weir did not mount a pipe'; kill $writer; return; }
		read -rt 0.02 <> <(:)
	done
	echo 'lag: packets | print ts srcip len' >"$MNT/queries/new"
	cat "$MNT/queries/lag/out.csv" >/dev/null # as below
	printf 'a pipe, 50 packets a second, ms from when they were written: median, 99 %%, largest, rows\n'
	pid=()
	for f in queries/lag/out.csv streams/lag; do
		"$LAG" "$MNT/$f" 7 >"$OUT/${f%%/*}.lag" &
		pid+=($!)
	done
	until [ "$(sed -n 's/^weir_stream_readers //p' "$MNT/metrics")" = 1 ] || [ $SECONDS -gt $end ]; do read -rt 0.1 <> <(:); done
	touch "$OUT/go"
	wait "${pid[@]}" || fail 'a pipe: no rows'
	wait $writer
	unmount_weir
	for f in queries/lag/out.csv streams/lag; do
		read -r -a pid <"$OUT/${f%%/*}.lag"
		printf '  %-22s %s\n' "$f" "${pid[*]}"
		[ "${pid[3]}" = $n ] || fail "$f: ${pid[3]} rows of $n packets"
		awk -v m="${pid[0]}" 'BEGIN { exit !(m < 20) }' || fail "$f: the median is not below 20 ms"
	done
}

latency_part() {
	local f pid
	[ -n "${WEIR_NETNS:-}" ] || { pipe_latency; apart latency; return; }
	pair || return
	mount_live || return
	echo 'lag: packets | print ts srcip len' >"$MNT/queries/new"
	cat "$MNT/queries/lag/out.csv" >/dev/null # who looks at a new query first waits for a second
	printf '%s packets a second, ms from the time stamp until the row has been read: median, 99 %%, largest, rows\n' "$LAG_RATE"
	for f in queries/lag/out.csv streams/lag; do
		"$LAG" "$MNT/$f" "$((LIVE_SECONDS + 1))" >"$OUT/lag" &
		pid=$!
		read -rt 0.3 <> <(:)
		blast "$LIVE_SECONDS" "$LAG_RATE"
		wait $pid || fail "$f: no rows"
		[ "$(cut -d' ' -f4 "$OUT/lag")" = "$sent" ] || fail "$f: $(cut -d' ' -f4 "$OUT/lag") rows of $sent packets"
		printf '  %-22s %s\n' "$f" "$(<"$OUT/lag")"
	done
	unmount_weir
}
