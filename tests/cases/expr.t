#!/bin/bash
# SPDX-License-Identifier: MIT
# Random expressions, evaluated by weir and by sqlite3 on the same packets. What a comparison with
# null is in SQL (null) is false here, so each is wrapped in ifnull(…, 0).
. "$(dirname "$0")/../lib.sh"
need python3 sqlite3
trace=$(realpath "$(sample)")
for seed in 1 2 3 4 5 6; do
	ok "120 random expressions as sqlite3 has them, seed $seed" \
		python3 "$(dirname "$0")/expr.py" "$WEIR" "$trace" "$seed" 120
done

# floating-point results that do not fit have no value, and what is worked out of them has none either
one() { "$WEIR" run "packets | $1" "$trace" | sed 1d; }
while IFS='~' read -r op what; do
	one "expr $op as x | print len x" >"$T/got"
	one 'print len' | python3 -c "import sys, math
for line in sys.stdin:
    len = int(line)
    try: x = $op
    except ArithmeticError: x = math.nan
    print(line.strip(), repr(x) if math.isfinite(x) else '', sep=',')" >"$T/want"
	ok "$what" python3 -c 'import sys
num = lambda path: [[float(x) if x else None for x in l.strip().split(",")] for l in open(path)]
got, want = num(sys.argv[1]), num(sys.argv[2])
sys.exit(got != want or len(want) < 1000 or all(x is not None for _, x in want))' "$T/got" "$T/want"
done <<'END'
1e306 * len~products
1.7e308 + 1e305 * len~sums
-1.7e308 - 1e305 * len~differences
1e308 / (len / 200.0 - 1)~quotients
1e308 * len * 0 - 1e308 * len~several
END
is "$(one 'expr 1e308 * 10 as x | head 1 | print x')" '' 'a constant product'
is "$(one 'expr 1e305 * len as x | group sum(x) mean(x) stddev(x) count(x) as n | print sum_x mean_x stddev_x')" ,, 'figures of numbers whose sum does not fit'
is "$(one 'expr 1e305 * len as x | group sum(x) as s | where s > 0 or s <= 0 | print s')" '' 'no comparison with them holds'
is "$(one 'expr 1e308 * len as x | group stddev(x) max(x) | print stddev_x max_x')" , 'figures of nothing'
is "$(one 'expr if(len % 2 = 0, 17e307, -17e307) as x | delta x | derivative x | expr x as y | group y min(delta) max(delta) min(derivative) max(derivative) | sort y | print min_delta max_delta min_derivative max_derivative')" \
	$'0,0,0,0\n0,0,0,0' 'differences that do not fit'

# address and time literals against tcpdump's own filters
need tcpdump
count() { "$WEIR" run "packets | where $1 | print len" "$trace" | sed 1d | wc -l; }
# tcpdump looks behind VLAN tags only where it is told
dump() { tcpdump -nr "$trace" "($1) or (vlan and (($1) or (vlan and ($1))))" --count 2>/dev/null | cut -d" " -f1; }
while IFS='~' read -r mine theirs; do
	is "$(count "$mine")" "$(dump "$theirs")" "$mine"
done <<'END'
srcip in 10.0.0.0/8~src net 10.0.0.0/8
srcip = 10.0.0.0/9 or dstip = 10.0.0.0/9~net 10.0.0.0/9
srcip in (10.0.0.0/10, 10.128.0.0/10, fd00::/16)~src net 10.0.0.0/10 or src net 10.128.0.0/10 or src net fd00::/16
srcip in 2000::/3~src net 2000::/3
dstport in (80, 443, 8080)~dst port 80 or dst port 443 or dst port 8080
ipprotocol = tcp and flags.syn and not flags.ack~(tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn) or (ip6 proto 6 and ip6[53] & 18 == 2)
not (ipprotocol = tcp or ipprotocol = udp)~(ip or ip6 or arp) and not tcp and not udp
len > 1000 and srcport < 1024~greater 1001 and src portrange 0-1023
len > 100.5~greater 101
END
finish
