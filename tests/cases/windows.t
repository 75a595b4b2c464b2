#!/bin/bash
# SPDX-License-Identifier: MIT
# Windows by time against awk over what tshark prints of the same packets: tumbling, sliding, sessions, with packets
# that come late, with a clock that was set back, under every scheduler; which windows lack how many, in the status.
. "$(dirname "$0")/../lib.sh"
need tshark
need_fuse

"$GENTRACE" -n 12000 -r 400 -w "$T/inorder.pcap" # 30 s
reorder=$BUILD/tests/gen/reorder
"$reorder" 3000000 100 1 <"$T/inorder.pcap" >"$T/mixed.pcap"
"$reorder" 500000 1000 2 <"$T/inorder.pcap" >"$T/shuffled.pcap"
"$reorder" 1500000 50 3 7000 -600 <"$T/inorder.pcap" >"$T/setback.pcap"
"$reorder" 0 0 3 5000 86400 <"$T/inorder.pcap" | "$reorder" 0 0 3 5001 -86400 >"$T/glitch.pcap"

# packets FILE: time in microseconds, source address, length, in the order of the file
packets() {
	tshark -n -r "$1" -o tcp.analyze_sequence_numbers:FALSE -T fields -E occurrence=f -E separator=, \
		-e frame.time_epoch -e ip.src -e ipv6.src -e frame.len 2>/dev/null |
		awk -F, '{ split($1, t, "."); print t[1] substr(t[2], 1, 6) "," $2 $3 "," $4 }'
}
for t in inorder mixed shuffled setback glitch; do packets "$T/$t.pcap" >"$T/$t"; done
is "$(cut -d, -f1 "$T/inorder" | sort -c 2>&1)" '' 'a trace whose packets are in order'
for t in mixed shuffled setback glitch; do
	ok "and one whose are not: $t" test "$(cut -d, -f1 "$T/$t" | sort -c 2>&1 | wc -l)" -gt 0
done

# (CONVFMT: mawk writes large numbers in strings as %.6g.)
# By the definition: a window closes when the highest time less LATE reaches its end; sixteen in a row that are more
# than STEP behind are a clock that was set. Rows to standard output, what was late to $T/late.
cat >"$T/time.awk" <<'AWK'
function down(a, b) { return a - (a % b + b) % b }
function sec(u) { return sprintf("%d.%06d", u / 1000000, u % 1000000) }
{
	t = $1
	if (NR == 1 || t >= max) { max = t; behind = 0 }
	else if (t >= max - step) behind = 0
	else if (++behind == 16) { max = t; behind = 0; part++; steps++; from = NR }
	taken = any = 0
	for (s = down(t, slide); s + width > t; s -= slide) {
		any = 1
		if (s + width <= max - late) { late_in[s]++; continue }
		taken = 1
		k = part "," s "," $2
		n[k]++; sum[k] += $3
	}
	if (any && !taken) lost++
}
END {
	for (k in n) { split(k, a, ","); print sec(a[2]) "," a[3] "," n[k] "," sum[k] }
	print "late " lost + 0 >out
	for (s in late_in) print sec(s) " " late_in[s] >out
	print "steps " steps + 0 >out
}
AWK
cat >"$T/session.awk" <<'AWK'
function sec(u) { return sprintf("%d.%06d", u / 1000000, u % 1000000) }
$2 == "" { next }
{
	t = $1; k = $2
	if (!seen++ || t > max) max = t
	if (k in last && (t - last[k] > gap || last[k] + gap < max - late)) { put(k) }
	if (t + gap < max - late && (!(k in last) || t + gap < start[k])) { lost++; next }
	if (!(k in last)) { start[k] = last[k] = t; n[k] = sum[k] = 0 }
	if (t > last[k]) last[k] = t
	n[k]++; sum[k] += $3
}
function put(k) { print sec(start[k]) "," k "," n[k] "," sum[k]; delete last[k] }
END { for (k in last) put(k); print "late " lost + 0 >out }
AWK

# windows TRACE WIDTH SLIDE LATE (ms): weir's rows against awk's, and the rows in order of time
windows() {
	local q="set late $4ms packets | window $2ms slide $3ms | group srcip count() sum(len) | print window srcip count sum_len"
	"$WEIR" run -q "$q" "$T/$1.pcap" 2>"$T/err" | tail -n +2 >"$T/rows"
	LC_ALL=C sort "$T/rows" >"$T/got"
	awk -F, -v CONVFMT=%.0f -v width=$2000 -v slide=$3000 -v late=$4000 -v step=60000000 -v out="$T/late" -f "$T/time.awk" "$T/$1" | LC_ALL=C sort >"$T/want"
	same "$T/got" "$T/want" "$1: window $2 ms slide $3 ms, $4 ms late: $(wc -l <"$T/want") rows, $(head -1 "$T/late")"
}
for t in inorder mixed shuffled; do
	for late in 0 400 2500; do
		windows $t 1000 1000 $late
		windows $t 5000 1000 $late
		windows $t 5000 2000 $late
		windows $t 1000 3000 $late
	done
done
windows inorder 20000 500 0
windows setback 1000 1000 200
is "$(grep steps "$T/late")" 'steps 1' 'a clock that is set back once'
windows setback 6000 1000 200
windows glitch 6000 1000 0
is "$(grep steps "$T/late")" 'steps 1' 'one packet of the next day: time begins anew behind it'
is "$(cat "$T/err")" "weir: window: $(awk '/late/ { print $2 }' "$T/late") records came late" 'and what was lost is said'

# In the order of the records a window's rows stand as they first appeared, however it is made.
for shape in '5s slide 1s' '7s slide 2s' '30s slide 1s'; do
	"$WEIR" run -q "packets | window $shape | group srcip dstport count() sum(len) min(ttl) max(ts) | print window srcip dstport count sum_len min_ttl max_ts" "$T/inorder.pcap" >"$T/got"
	"$WEIR" run -q "packets | window $shape | group srcip dstport count() sum(len) min(ttl) max(ts) first(len) | print window srcip dstport count sum_len min_ttl max_ts" "$T/inorder.pcap" >"$T/want"
	same "$T/got" "$T/want" "$shape: panes answer as copies do, in the same order"
	"$WEIR" run -q "packets | window $shape | where len > 100 | group count() sum(len) max(len) | print window count sum_len max_len" "$T/mixed.pcap" 2>/dev/null >"$T/got"
	"$WEIR" run -q "packets | window $shape | where len > 100 | group count() sum(len) max(len) mean(len) | print window count sum_len max_len" "$T/mixed.pcap" 2>/dev/null >"$T/want"
	same "$T/got" "$T/want" "$shape: so they do without a key, behind a filter, with late packets"
	kept='distinct(dstip) as d distinct(dstip, dstport) as pairs percentile(len, 95) as p mean(len) as m stddev(len) as s'
	rough='distinct(dstip) as d percentile(len, 95) as p --distinct -p 10 -e 0.01 --seed 5'
	for key in '' srcip; do
		for t in inorder mixed; do
			"$WEIR" run -q "packets | window $shape | group $key $kept | print window $key d pairs p m s" "$T/$t.pcap" 2>/dev/null >"$T/got"
			"$WEIR" run -q "packets | window $shape | group $key $kept first(len) | print window $key d pairs p m s" "$T/$t.pcap" 2>/dev/null >"$T/want"
			[ "$key$t" = srcipmixed ] && LC_ALL=C sort -o "$T/got" "$T/got" && LC_ALL=C sort -o "$T/want" "$T/want"
			same "$T/got" "$T/want" "$shape, by '$key', $t: and with figures that keep something of each record"
		done
		"$WEIR" run -q "packets | window $shape | group $key $rough | print window $key d d_error p p_error" "$T/inorder.pcap" >"$T/got"
		"$WEIR" run -q "packets | window $shape | group $key first(len) $rough | print window $key d d_error p p_error" "$T/inorder.pcap" >"$T/want"
		same "$T/got" "$T/want" "$shape, by '$key': and estimated ones"
	done
done

# The same figures by awk: each packet once for each window that it is in, sorted by length within its group.
"$WEIR" run -q "packets | window 5s slide 1s | group srcip distinct(len) as d percentile(len, 50) as p mean(len) as m stddev(len) as s | print window srcip d p m s" "$T/inorder.pcap" |
	awk -F, 'NR > 1 { printf "%d,%s,%d,%d,%.6f,%.4f\n", $1, $2, $3, $4, $5, $6 }' | LC_ALL=C sort >"$T/got"
awk -F, -v CONVFMT=%.0f '{ s = $1 - $1 % 1e6; for (i = 0; i < 5; i++) printf "%d,%s,%d\n", s / 1e6 - i, $2, $3 }' "$T/inorder" |
	LC_ALL=C sort -t, -k1,1n -k2,2 -k3,3n | awk -F, '
	function out(  i, d, v, m, q) {
		for (i = 1; i <= n; i++) { m += v[i] = len[i]; d += i == 1 || len[i] != len[i - 1] }
		m /= n
		for (i = 1; i <= n; i++) q += (v[i] - m) ^ 2
		printf "%s,%d,%d,%.6f,%.4f\n", key, d, len[int((n + 1) / 2)], m, (n > 1 ? sqrt(q / (n - 1)) : 0)
	}
	{ k = $1 "," $2 }
	k != key { if (n) out(); n = 0; key = k }
	{ len[++n] = $3 }
	END { out() }' | LC_ALL=C sort >"$T/want"
same "$T/got" "$T/want" "distinct, percentile, mean and stddev of panes are those of awk: $(wc -l <"$T/want") rows"

many='group srcip dstip srcport dstport distinct(ttl) as d percentile(len, 50) as p'
"$WEIR" run -q "packets | window 20s slide 10s | $many | print window srcip dstip srcport dstport d p" "$T/inorder.pcap" >"$T/got"
"$WEIR" run -q "packets | window 20s slide 10s | $many first(len) | print window srcip dstip srcport dstport d p" "$T/inorder.pcap" >"$T/want"
same "$T/got" "$T/want" "so they do with many groups: $(wc -l <"$T/want") rows"

for late in 0 1500; do
	for gap in 50 700; do
		for t in inorder mixed shuffled; do
			"$WEIR" run -q "packets | window session ${gap}ms by srcip --late ${late}ms | group srcip count() sum(len) | print window srcip count sum_len" "$T/$t.pcap" 2>"$T/err" | tail -n +2 | LC_ALL=C sort >"$T/got"
			awk -F, -v CONVFMT=%.0f -v gap=${gap}000 -v late=${late}000 -v out="$T/late" -f "$T/session.awk" "$T/$t" | LC_ALL=C sort >"$T/want"
			same "$T/got" "$T/want" "$t: sessions of $gap ms, $late ms late: $(wc -l <"$T/want"), $(cat "$T/late")"
			n=$(awk '{ print $2 }' "$T/late")
			is "$(cat "$T/err")" "$([ "$n" = 0 ] || echo "weir: window: $n records came late")" 'and as many late packets'
		done
	done
done

# ---- every scheduler ----
for q in 'window 2s' 'window 5s slide 1s' 'window session 300ms by srcip'; do
	q="packets | $q --late 100ms | group srcip count() sum(len) | where count > 1 | print window srcip count sum_len"
	want=$("$WEIR" run -q "$q" "$T/mixed.pcap" 2>&1 | cksum)
	for set in 'scheduler breadth' 'scheduler workers set threads 1' 'scheduler workers set threads 2' \
		'scheduler workers set threads 3' 'scheduler workers set threads 8'; do
		is "$("$WEIR" run -q "set $set $q" "$T/mixed.pcap" 2>&1 | cksum)" "$want" "the same bytes: $set: ${q:0:40}"
	done
done

# ---- which windows lack them ----
mount_weir "$T/mnt" "t=$T/mixed.pcap" || exit 1
Q=$T/mnt/queries
for set in 'scheduler depth' 'scheduler workers set threads 3'; do
	for shape in '1000 1000' '5000 1000'; do
		read -r width slide <<<"$shape"
		echo "l: set $set packets | window ${width}ms slide ${slide}ms | group count()" >"$Q/new"
		query_ended "$T/mnt" l
		sed -nE 's/^window\.late: /late /p; s/^window\.late\[(.*)\]: /\1 /p' "$Q/l/status" | sort >"$T/got"
		awk -F, -v CONVFMT=%.0f -v width=${width}000 -v slide=${slide}000 -v late=0 -v step=60000000 -v out="$T/late" -f "$T/time.awk" "$T/mixed" >"$T/rows"
		grep -vE "steps|^late 0$" "$T/late" | sort >"$T/want"
		same "$T/got" "$T/want" "window $shape: $(($(wc -l <"$T/want") - 1)) windows lack packets, $set"
		rmdir "$Q/l"
	done
done
echo 'many: packets | window 20ms | group count()' >"$Q/new"
query_ended "$T/mnt" many
is "$(grep -c 'late\[' "$Q/many/status")" 256 'as many windows as are told apart'
is "$(awk -F': ' '/^window.late\[/ { n += $2 } END { print n }' "$Q/many/status")" "$(awk '/^window.late: / { print $2 }' "$Q/many/status")" 'and none is lost with the others'
like "$(grep 'late\[' "$Q/many/status" | head -1)" 'late\[before\]' 'the older ones are told together'

plan() { "$WEIR" check -v "packets | $1" "$T/mixed.pcap" | grep window; }
like "$(plan 'window 60s slide 1s | group srcip count() sum(len)')" 'panes of 1s added up' 'plan: windows share panes'
like "$(plan 'window 60s slide 7s | where len > 60 | group count() max(len) | sort count')" 'panes of 1s added up' 'plan: behind a filter, without a key'
like "$(plan 'window 60s slide 1s | group srcip distinct(dstip) percentile(len, 95) mean(len)')" 'panes of 1s added up' 'plan: figures that keep something of each record'
like "$(plan 'window 60s slide 1s | group srcip first(len)')" 'a copy for each window' 'plan: what cannot be added up'
like "$(plan 'window 60s slide 1s | group window srcip count()')" 'a copy for each window' 'plan: what asks for the window'
like "$(plan 'window 60s slide 1s | uniq srcip | group count()')" 'a copy for each window' 'plan: behind what keeps something'
is "$(plan 'window 60s | group srcip count()' | grep -cE 'panes|copy')" 0 'plan: one window after the other'
finish
