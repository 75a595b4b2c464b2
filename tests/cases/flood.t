#!/bin/bash
# SPDX-License-Identifier: MIT
# Floods at the wire's pace, each for FLOOD_SECONDS (1): fragments, SYNs from ever other addresses, headers that
# are broken. Memory stays within what the queries may have together; the one that needs more fails by itself,
# and says so; all others go on and miss no packet that is not counted as dropped.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../net.sh"
need_fuse
need perl
seconds=${FLOOD_SECONDS:-1}
m=$T/m
perl -e '
	srand 7;
	my ($mac, $n) = ("\2\0\0\0\0\1\2\0\0\0\0\2", 0);
	sub ip { my ($proto, $id, $frag, $rest) = @_;
		pack "CCnnnCCn NN a*", 0x45, 0, 20 + length $rest, $id, $frag, 64, $proto, 0, 0x0a000000 | int rand 1 << 24, 0x0a800000 | int rand 1 << 16, $rest }
	sub tcp { pack "nnNNCCnnn", 1024 + rand 60000, 1 + rand 1000, rand 2 ** 32, 0, 0x50, shift, 1024, 0, 0 }
	sub put { my ($f, $p) = @_; print $f pack("VVVV", 1e9 + $n / 1e6, $n++ % 1e6, length $p, length $p), $p }
	my %f = map { open my $f, ">", "$ARGV[0]/$_.pcap"; binmode $f; print $f pack "VvvVVVV", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1; $_ => $f } qw(fragments syns broken);
	for my $i (1 .. 20000) {
		# offsets, and whether more come, anyhow: overlapping, too far, never the first
		my $v6 = pack "NnCC a16 a16 CCnN a*", 6 << 28, 8 + 24, 44, 64, "\x20\1" . pack("x6 N N", rand 2 ** 32, rand 2 ** 32), "\x20\1" . pack("x13 C", 1), 17, 0, (int(rand 8192) << 3) | rand 2, $i % 50, "x" x 24;
		put $f{fragments}, $i % 3 ? $mac . "\x08\0" . ip(17, $i % 50, (rand(2) > 1 ? 0x2000 : 0) | rand 8192, "y" x (8 * (1 + rand 9))) : $mac . "\x86\xdd$v6";
		put $f{syns}, $mac . "\x08\0" . ip(6, $i, 0, tcp(2));
		my $p = $mac . "\x08\0" . ip($i % 2 ? 6 : 4, $i, 0, tcp(rand 256) . "z" x rand 40);
		substr($p, 12 + rand(length($p) - 12), 1) = chr rand 256 for 1 .. 1 + rand 4;
		put $f{broken}, substr $p, 0, 14 + rand(length($p) - 13);
	}' "$T"
mount_weir "$m" out0 -o ring=8MB || finish
pid=${lib_pids[-1]}
ask() { echo "$1" >"$m/queries/new"; }
ask 'n: packets | group count() as n'
ask 'many: set memory 2MB packets | group srcip srcport count()'
ask 'seen: set memory 16MB packets | uniq -m 1MB srcip dstip | count -m 1MB srcip | top -m 256KB srcip'
ask 'now: set memory 64MB packets | window 1s | group ipprotocol count() as n'
ask 'tunnels: packets | filter inner.srcip | print inner.srcip'
state() { sed -n 's/^state: //p' "$m/queries/$1/status"; }
total=0
for kind in fragments syns broken; do
	send -t -K -l 100000000 --unique-ip --duration="$seconds" "$T/$kind.pcap"
	total=$((total + sent))
	ok "$kind: the mount answers" timeout 5 cat "$m/status" "$m/sources/out0/stats" "$m/queries/n/out.csv"
	note "$sent packets"
done
wait_for 30 counted "$m" out0 "$total"
result $? "$total packets have come"
wait_for 60 settled "$m" out0
records=$(stat_of "$m" out0 records)
had() { [ "$(tail -n 1 "$m/queries/n/out.csv")" = "$records" ]; }
wait_for 10 had
result $? "a query has had the $records that were not dropped"
is "$(state many)" failed 'one with more groups than memory has failed'
like "$(cat "$m/queries/many/status")" 'error: .*memory' 'and says why'
is "$(state n) $(state seen) $(state now) $(state tunnels)" 'running running running running' 'others go on'
for q in many seen now; do
	ok "$q: within its memory" test "$(sed -n 's/^memory_peak: //p' "$m/queries/$q/status")" -le $((64 << 20))
done
kb=$(awk '/^VmHWM:/ { print $2 }' "/proc/$pid/status")
[ "$kb" -lt $(((8 + 16 + 16 + 64 + 96) << 10)) ] || [ -n "${WEIR_SANITIZED:-}" ]
result $? "the process has had $kb KB at most"
finish
