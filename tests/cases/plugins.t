#!/bin/bash
# SPDX-License-Identifier: MIT
# Modules outside the source: the two plug-ins of examples/plugins and the two examples of weir-module(3),
# built by a weir.pc that was installed, loaded by commands and by a mount. Oracles: python's ipaddress,
# tshark's initial_rtt. Plug-ins that cannot be loaded, and one that fails.
. "$(dirname "$0")/../lib.sh"
need cc pkg-config python3
trace=$(realpath "$(sample)")
unset MAKEFLAGS MAKELEVEL

# ---- built outside the tree ----

if [ -n "${WEIR_SANITIZED:-}" ]; then # only the headers: what make would link is another build
	mkdir -p "$T/usr/include" "$T/usr/lib/pkgconfig"
	cp -r include/weir "$T/usr/include/"
	sed "s,@prefix@,$T/usr,; s,@\(include\|lib\)dir@,$T/usr/\1,; s,@version@,0," weir.pc.in >"$T/usr/lib/pkgconfig/weir.pc"
else
	ok 'make install' make -s install prefix="$T/usr" BUILD="$BUILD"
	WEIR=$T/usr/bin/weir
fi
export PKG_CONFIG_PATH=$T/usr/lib/pkgconfig
cp -r examples/plugins "$T/src"
chmod -R go-w "$T/src"
to=$(pkg-config --variable=moduledir weir)
is "$to" "$T/usr/lib/weir" 'weir.pc says where plug-ins go'
ok 'the plug-ins build' make -s -C "$T/src" CFLAGS='-O2 -Wall -Wextra -Werror'
ok 'and are installed' make -s -C "$T/src" install
ok 'there they are' test -x "$to/bogon.so" -a -x "$to/handshake.so"

# ---- seen like any other ----

like "$("$WEIR" modules -M "$to")" '^bogon +name addresses' 'weir modules lists them'
like "$("$WEIR" modules -M "$to" handshake)" "^From the plug-in $to/handshake.so" 'a page says where it is from'
is "$("$WEIR" modules | grep -c -e '^bogon' -e '^handshake')" 0 'without the option they are not there'
out=$("$WEIR" check -M "$to" 'packets | handshak' 2>&1)
like "$out" "unknown module 'handshak' \(did you mean 'handshake'\?\)" 'did you mean'
out=$("$WEIR" check --modules "$to" 'packets | bogon len' 2>&1)
like "$out" "'bogon' needs an address, but len is a number" 'errors of a plug-in stand in the text'
cd "$T" && cp "$trace" trace.pcap || exit 1
for m in bogon handshake; do
	example=$("$WEIR" modules -M "$to" $m | sed -n '/^example:$/,$p' | sed '1d;s/^  //')
	ok "$m: example: $example" "$WEIR" run -M "$to" "$example" trace.pcap
done
cd - >/dev/null || exit 1
complete() { # complete WORD…: what the completion offers for the last one
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
	compopt() { :; }
	_weir
	printf '%s\n' "${COMPREPLY[@]}"
}
. completion/weir
is "$(complete "$WEIR" modules -M "$to" bog)" bogon 'completion sees plug-ins'
like "$(complete "$WEIR" -o mod)" '^modules=$' 'and the mount option'
like "$(complete "$WEIR" run --mod)" '^--modules$' 'and the option of the commands'

# ---- bogon ----

"$WEIR" run -M "$to" 'packets | bogon dstip | print dstip bogon' "$trace" >"$T/got"
python3 - "$T/got" >"$T/want" <<-'END'
	import ipaddress, sys
	nets = [(ipaddress.ip_network(n), name) for n, name in [
	    ("0.0.0.0/8", "this-network"), ("10.0.0.0/8", "private"), ("172.16.0.0/12", "private"),
	    ("192.168.0.0/16", "private"), ("100.64.0.0/10", "shared"), ("127.0.0.0/8", "loopback"),
	    ("169.254.0.0/16", "link-local"), ("198.18.0.0/15", "benchmark"), ("192.0.0.0/24", "protocol"),
	    ("192.0.2.0/24", "documentation"), ("198.51.100.0/24", "documentation"), ("203.0.113.0/24", "documentation"),
	    ("224.0.0.0/4", "multicast"), ("255.255.255.255/32", "broadcast"), ("240.0.0.0/4", "reserved"),
	    ("2001:db8::/32", "documentation"), ("3fff::/20", "documentation"), ("fc00::/7", "private"),
	    ("fe80::/10", "link-local"), ("ff00::/8", "multicast"), ("::1/128", "loopback"), ("::/128", "unspecified"),
	    ("::ffff:0:0/96", "mapped"), ("64:ff9b:1::/48", "translation"), ("100::/64", "discard"), ("2001:2::/48", "benchmark")]]
	for line in open(sys.argv[1]):
	    ip = line.strip().split(",")[0]
	    if ip == "dstip":
	        print(line.strip())
	        continue
	    a = ipaddress.ip_address(ip) if ip else None
	    print(ip + "," + next((n for net, n in nets if a and a in net), ""))
END
same "$T/got" "$T/want" 'bogon names what ipaddress finds'
is "$("$WEIR" run -M "$to" 'packets | bogon dstip -m only | print dstip bogon' "$trace" | wc -l)" \
	"$(awk -F, '$2 != ""' "$T/want" | wc -l)" 'bogon -m only'
is "$("$WEIR" run -M "$to" 'packets | bogon dstip -m drop | print dstip bogon' "$trace" | tail -n +2 | wc -l)" \
	"$(tail -n +2 "$T/want" | awk -F, '$2 == ""' | wc -l)" 'bogon -m drop'

# ---- handshake, one loop for each connection ----

query='packets | where ipprotocol = 6 | split flowid ( handshake ) |
	print client clientport server serverport outcome retries answer rtt'
"$WEIR" run -M "$to" "$query" "$trace" | tail -n +2 | sort >"$T/handshakes"
for n in 2 3; do
	"$WEIR" run -t $n -M "$to" "set scheduler workers
		$query" "$trace" | tail -n +2 | sort >"$T/got"
	same "$T/got" "$T/handshakes" "the same with $n threads"
	is "$("$WEIR" run -t $n -M "$to" 'set scheduler workers
		packets | bogon srcip | group bogon count()' "$trace" | md5sum)" \
		"$("$WEIR" run -M "$to" 'packets | bogon srcip | group bogon count()' "$trace" | md5sum)" "bogon too"
done
if command -v tshark >/dev/null; then
	tshark -r "$trace" -Y 'tcp.flags.syn==1 && tcp.flags.ack==0' -T fields -e tcp.stream -e ip.src -e ipv6.src -e tcp.srcport \
		-e ip.dst -e ipv6.dst -e tcp.dstport 2>/dev/null | sort -u -k1,1n >"$T/syn"
	tshark -r "$trace" -Y tcp.analysis.initial_rtt -T fields -e tcp.stream -e tcp.analysis.initial_rtt 2>/dev/null |
		sort -u -k1,1n >"$T/irtt"
	awk -F'\t' 'NR == FNR { rtt[$1] = $2; next }
		$1 in rtt { printf "%s%s,%s,%s%s,%s,%.6f\n", $2, $3, $4, $5, $6, $7, rtt[$1] }' "$T/irtt" "$T/syn" | sort >"$T/want"
	# of a refused one tshark's is that to the reset
	awk -F, -vOFS=, '$5 == "established" { print $1, $2, $3, $4, $8 } $5 == "refused" { print $1, $2, $3, $4, $7 }' \
		"$T/handshakes" | sort >"$T/got"
	same "$T/got" "$T/want" "handshake: $(wc -l <"$T/want") round trips as tshark has them"
	is "$(wc -l <"$T/handshakes")" "$(wc -l <"$T/syn")" 'and every connection that was asked for'
else
	skip 'handshake against tshark' 'tshark is not installed'
fi

# ---- the examples of the manual page ----

awk '/^\.Sh EXAMPLES/ { on = 1 } on && /^\.Ed/ { block = 0 } block { print > (dir "/" n ".c") }
	on && /^\.Bd/ { block = 1; n++ }' dir="$T/src" man/weir-module.3
{
	sed '/^static int process/,/^}$/d; /^WEIR_MODULE/,$d; /^struct state/,/^};/d' "$T/src/1.c"
	sed '/^WEIR_MODULE/,$d' "$T/src/2.c"
	sed -n '/^WEIR_MODULE/,$p' "$T/src/1.c" | sed '/state_size/d; s/\.process = process/.run = run/'
} >"$T/src/changes.c"
for kind in loop callbacks; do
	[ $kind = loop ] || cp "$T/src/1.c" "$T/src/changes.c"
	mkdir "$T/$kind"
	ok "the manual page's module builds ($kind)" cc -shared -fPIC -O2 -Wall -Werror $(pkg-config --cflags weir) \
		-o "$T/$kind/changes.so" "$T/src/changes.c"
	is "$("$WEIR" run -M "$T/$kind" 'packets | changes dstport | print dstport' "$trace" | md5sum)" \
		"$("$WEIR" run 'packets | print dstport' "$trace" | awk 'NR == 1 || ($1 != "" && $1 != last) { print; last = $1 }' | md5sum)" \
		"and is right ($kind)"
done

# ---- what cannot be loaded ----

bad=$T/bad
mkdir "$bad"
head -c 4096 /dev/urandom >"$bad/garbage.so"
module() { # module NAME FIELD…: a plug-in that passes everything on, with these members of the descriptor changed
	{
		printf '#include <weir/module.h>\n'
		printf 'static int pass(struct weir_node *n, uint32_t i, struct weir_batch *b) {\n'
		printf '\tconst struct weir_col *c = weir_batch_col(b, (uint32_t)weir_schema_find(b->schema, "len", 3)); (void)i;\n'
		printf '\tif (FAILS) for (uint32_t k = 0; k < weir_batch_count(b); k++)\n'
		printf '\t\tif (weir_col_u64(c)[weir_batch_row(b, k)] > 1400) return FAILS;\n'
		printf '\treturn weir_emit(n, 0, weir_batch_ref(b)); }\n'
		printf 'static inline int mute(struct weir_bind *b, struct weir_err *e) { (void)b, (void)e; return -22; }\n'
		printf 'static const struct weir_option rows[] = {WEIR_OPTIONS_END};\n'
		printf 'WEIR_MODULE(%s) = {.abi = WEIR_ABI, .name = "%s", .summary = "s", .doc = "d", .example = "packets",\n' \
			"$1" "${NAME:-$1}"
		printf '\t.options = rows, .process = pass, %s};\n' "${*:2}"
	} >"$T/src/$1.c"
	cc -shared -fPIC -O1 -DFAILS="${FAILS:-0}" $(pkg-config --cflags weir) -o "$bad/$1.so" "$T/src/$1.c"
}
module good
module future '.abi = 99'
module uniq
module shapeless '.process = NULL'
NAME=other module renamed
module writable && chmod o+w "$bad/writable.so"
module both '.run = (int (*)(struct weir_loop *))pass'
module speechless '.bind = mute'
FAILS=-EBADMSG module poison
sed -i '1i #include <errno.h>' "$T/src/poison.c" && cc -shared -fPIC -DFAILS=-EBADMSG $(pkg-config --cflags weir) -o "$bad/poison.so" "$T/src/poison.c"
FAILS='weir_node_fail(n, 71, "a frame of more than 1400 bytes")' module picky
echo 'int x;' | cc -shared -fPIC -x c - -o "$bad/symbol.so"
mkdir "$bad/folder.so"
ln -s /nowhere "$bad/dangling.so"
cat >"$T/want" <<-END
	dangling No such file or directory
	folder it is no file
	future it is made for version 99 of the interface, this is $(sed -n 's/^#define WEIR_ABI //p' include/weir/module.h)
	garbage invalid ELF header
	renamed its module has another name than its file
	shapeless its module has neither process nor run, or both
	symbol it has no symbol 'weir_module_symbol'
	uniq the name 'uniq' is taken
	writable it can be written by others than its owner
END
sed -i '/^renamed/i both its module has neither process nor run, or both' "$T/want"
sort -o "$T/want" "$T/want"
"$WEIR" run -M "$bad" 'packets | good | head 3 | print ts' "$trace" >"$T/out" 2>"$T/err"
is $? 0 'the others are loaded and work'
is "$(wc -l <"$T/out")" 4 'and answer'
sed -n "s|^weir: plug-in '$bad/\([a-z]*\).so' was not loaded: |\1 |p" "$T/err" | sort >"$T/got"
same "$T/got" "$T/want" 'each that is refused is named, with the reason'
out=$("$WEIR" check -M "$bad" 'packets | future' 2>&1 >/dev/null | grep -v '^weir: plug-in')
is "$(head -1 <<<"$out")" \
	"weir: unknown module 'future' (its plug-in was not loaded: $(sed -n 's/^future //p' "$T/want"))" 'a query that names it says so too'

"$WEIR" run -M "$bad" 'packets | poison' "$trace" >/dev/null 2>"$T/err"
is $? 1 'an error for one record ends the query'
is "$(grep -v plug-in "$T/err")" 'weir: poison: Bad message' 'and names the module'
out=$("$WEIR" run -M "$bad" 'packets | picky' "$trace" 2>&1 >/dev/null | grep -v plug-in)
is "$out" 'weir: picky: a frame of more than 1400 bytes' 'or says what the module says'
out=$("$WEIR" check -M "$bad" 'packets | speechless' 2>&1 | grep -v plug-in)
is "$out" $'weir: speechless: Invalid argument\n  packets | speechless\n            ^' 'a bind that fails without a word too'

# ---- directories ----

refused() { # refused REGEX DESCRIPTION: a command and a mount of $d
	out=$("$WEIR" run -M "$d" packets "$trace" 2>&1 >/dev/null)
	is $? 1 "$2: refused"
	like "$out" "$1" "$2: says why"
	mkdir -p "$T/none"
	out=$("$WEIR" -o modules="$d" "$trace" "$T/none" 2>&1)
	[ $? != 0 ] && ! mountpoint -q "$T/none"
	result $? "$2: nothing is mounted"
}
d=$T/open
mkdir "$d" && cp "$to/bogon.so" "$d/" && chmod 777 "$d"
refused "^weir: not permitted: plug-ins from '$d': it can be written by others than its owner$" 'a directory that all may write'
chmod 775 "$d"
refused 'can be written by others' 'or a group'
chmod 755 "$d" && mkdir "$d/in" && cp "$to/bogon.so" "$d/in/" && chmod 777 "$d"
d=$d/in
refused "$T/open can be written by others" 'or one above it'
ln -s "$d" "$T/link"
d=$T/link
refused "$T/open can be written by others" 'or what a link leads to'
d=$T/nowhere
refused "^weir: cannot open '$d': No such file or directory$" 'a directory that is not there'
if [ "$(id -u)" = 0 ]; then
	d=$T/nobodys
	mkdir "$d" && cp "$to/bogon.so" "$d/" && chown 65534 "$d"
	refused 'it belongs to another user' "another user's directory"
	chown 0 "$d" && chown 65534 "$d/bogon.so"
	like "$("$WEIR" modules -M "$d" 2>&1 >/dev/null)" 'was not loaded: it belongs to another user' "another user's file"
	if command -v setpriv >/dev/null; then
		N=$(mktemp -d) && chmod 755 "$N" && cp "$WEIR" "$N/weir" && mkdir "$N/own" "$N/roots"
		cp "$to/bogon.so" "$N/own/" && cp "$to/handshake.so" "$N/roots/" && chown -R 65534 "$N/own"
		out=$(setpriv --reuid 65534 --regid 65534 --clear-groups "$N/weir" modules -M "$N/own" -M "$N/roots" 2>&1)
		is "$(grep -c -e '^bogon ' -e '^handshake ' <<<"$out")" 2 "a user's own plug-ins, and root's"
		rm -rf "$N"
	fi
else
	skip "another user's directory" 'not root'
fi

d=$T/full
mkdir "$d" && touch "$d"/m{1..257}.so
like "$("$WEIR" modules -M "$d" 2>&1 >/dev/null | tail -1)" '^weir: number of plug-ins is out of range \(at most 256\)$' 'a limit to their number'
out=$("$WEIR" $(printf -- "-o modules=$to %.0s" {1..17}) "$trace" "$T/none" 2>&1)
like "$out" '^weir: too many directories of plug-ins' 'and to that of directories'

# ---- through a mount ----

[ -c /dev/fuse ] || { skip 'the mount' 'no /dev/fuse'; finish; }
m=$T/mnt
mount_weir "$m" -o "modules=$to" -o "modules=$bad" "t=$trace" || { result 1 'weir mounts'; finish; }
result 0 'weir mounts, though some plug-ins cannot be loaded'
sed -n "s|^weir: plug-in '$bad/\([a-z]*\).so' was not loaded: |\1 |p" "$T/weir.log" | sort >"$T/got"
same "$T/got" "$T/want" 'says so at the mount'
sed -n "s|^refused: \([a-z]*\) $bad/[a-z]*.so: |\1 |p" "$m/status" | sort >"$T/got"
same "$T/got" "$T/want" 'and in its status'
like "$(cat "$m/status")" "^plugins_refused: $(wc -l <"$T/want")$" 'which counts them'
like "$(cat "$m/status")" '^plugins: 6$' 'and those that were loaded'
same <(cat "$m/modules/bogon") <("$WEIR" modules -M "$to" bogon) 'modules/bogon'
ok 'modules/ has no refused one' test ! -e "$m/modules/garbage"
echo "h: t | where ipprotocol = 6 | split flowid ( handshake ) |
	print client clientport server serverport outcome retries answer rtt" >"$m/queries/new"
echo 'b: t | bogon srcip | group bogon count()' >"$m/queries/new"
echo 'p: t | poison' >"$m/queries/new"
ok 'the queries end' query_ended "$m" h
same <(tail -n +2 "$m/queries/h/out.csv" | sort) "$T/handshakes" 'handshake through the mount'
query_ended "$m" b
same "$m/queries/b/out.csv" <("$WEIR" run -M "$to" 'packets | bogon srcip | group bogon count()' "$trace") 'bogon through the mount'
query_ended "$m" p
like "$(cat "$m/queries/p/status")" '^error: poison: Bad message$' 'a plug-in that fails ends its query, with its name'
echo 'still: t | head 2 | print len' >"$m/queries/new"
ok 'and nothing else' query_ended "$m" still
echo 'packets | future' 2>/dev/null >"$m/queries/new"
like "$(cat "$m/queries/errors")" 'future.*was not loaded: it is made for version 99' 'queries/errors says why a module is not there'

# ---- a hundred thousand loops ----

[ -z "${WEIR_SANITIZED:-}" ] || finish
# 100,000 connections, all asked for before the first is answered: each loop stands still twice, and
# once more after the third packet, until the end
python3 - "$T/many.pcap" <<'END'
import struct, sys
N = 100000
out = open(sys.argv[1], "wb")
out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
def packet(t, src, dst, sport, dport, seq, ack, flags):
    tcp = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 1000, 0, 0)
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 40, 0, 0, 64, 6, 0, src, dst)
    p = bytes(12) + b"\x08\x00" + ip + tcp
    out.write(struct.pack("<IIII", 1700000000 + t // 1000000, t % 1000000, len(p), len(p)) + p)
server = 0xc0000201
for phase in range(3):
    for i in range(N):
        client, port, t = 0x0a000000 + i // 50, 1024 + i % 50, phase * 10000000 + 10 * i
        if phase == 1:
            packet(t, server, client, 80, port, 7, i + 1, 0x12)
        else:
            packet(t, client, server, port, 80, i + phase // 2, 8 * (phase // 2), 0x10 if phase else 0x02)
END
cat >"$T/many.py" <<'END'
import resource, subprocess, sys
subprocess.run(sys.argv[2:], stdout=open(sys.argv[1], "w"), check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
END
kib=$(python3 "$T/many.py" "$T/many.csv" "$WEIR" run -q -M "$to" 'set memory 1GB
	packets | split flowid ( handshake ) | group outcome retries answer rtt count()' "$T/many.pcap")
is "$(cat "$T/many.csv")" $'outcome,retries,answer,rtt,count\nestablished,0,10.000000,20.000000,100000' \
	'100,000 loops at once answer'
note "100,000 loops: $((${kib:-0} / 1024)) MiB at most, the process as a whole"
# measured: 448 MiB; a page for each stack, the least that one can take, is 391 MiB of it
[ "${kib:-0}" -gt 0 ] && [ "$kib" -lt 976562 ]
result $? 'in less than 1 GB'
touch -d '1 hour ago' "$T/many.pcap"
mount_weir "$T/mnt2" -o "modules=$to" "t=$T/many.pcap"
pid=${lib_pids[-1]}
echo 'set memory 1GB
q: t | split flowid ( handshake ) | group outcome count()' >"$T/mnt2/queries/new"
ok 'through a mount' query_ended "$T/mnt2" q
is "$(cat "$T/mnt2/queries/q/out.csv")" $'outcome,count\nestablished,100000' 'the same answer'
kib=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status")
note "through a mount: $((${kib:-0} / 1024)) MiB"
[ "${kib:-0}" -gt 0 ] && [ "$kib" -lt 976562 ]
result $? 'in less than 1 GB'
# a plug-in may read fields that it did not name
wait_for 30 grep -q '^cache: filled' "$T/mnt2/sources/t/info"
for i in 1 2; do
	q=([1]='t | bogon srcip | group bogon count()' [2]='t | group srcip count()')
	echo "c$i: ${q[i]}" >"$T/mnt2/queries/new"
	query_ended "$T/mnt2" c$i
	like "$(cat "$T/mnt2/queries/c$i/status")" "^from_cache: $((i - 1))\$" "$([ $i = 1 ] && echo with a plug-in no || echo without one) cache"
done
# 300,000 packets, some 4 KiB for each connection: over the default of 512 MB, or not, but never a crash
timeout 60 "$WEIR" run -q -M "$to" 'set memory 100MB
	packets | split flowid ( handshake ) | group outcome count()' "$T/many.pcap" >/dev/null 2>"$T/err"
is $? 1 'a limit ends the query'
like "$(cat "$T/err")" "^weir: memory limit of 100 MiB reached in '(handshake|split)'" 'and says which'
finish
