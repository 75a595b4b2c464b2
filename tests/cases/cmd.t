#!/bin/bash
# SPDX-License-Identifier: MIT
# The commands without a mount: exit codes, messages, formats, help.
. "$(dirname "$0")/../lib.sh"
trace=$(realpath "$(sample)")
cd "$T" || exit 1
ln -s "$trace" trace.pcap
ln -s "$trace" 'odd=name.pcap'
PATH=$(dirname "$(realpath "$WEIR")"):$PATH

# status DESCRIPTION WANTED COMMAND…: the exit status; output in out and err
status() {
	local d=$1 want=$2
	shift 2
	"$@" >out 2>err </dev/null
	is $? "$want" "$d" || note "$(head -3 err)"
}

status 'run' 0 weir run 'packets | group count()' trace.pcap
is "$(cat out)" $'count\n20000' 'its answer'
status 'run: no query' 2 weir run
like "$(cat err)" '^usage: weir run ' 'and the usage'
status 'run: unknown option' 2 weir run -x 'packets' trace.pcap
like "$(cat err)" "unknown option '-x'" 'which is named'
status 'run: unknown format' 2 weir run -F xml 'packets' trace.pcap
status 'run: a value is missing' 2 weir run 'packets' trace.pcap -F
status 'run: wrong query' 1 weir run 'packets | uniq srcp dstip' trace.pcap
is "$(cat err)" $'weir: unknown field \'srcp\' (did you mean \'srcip\'?)\n  packets | uniq srcp dstip\n                 ^' 'with a caret'
status 'run: no such trace' 1 weir run 'packets | group count()' nothing.pcap
like "$(cat err)" "nothing.pcap.*No such file" 'which is named'
status 'run: name=SOURCE' 0 weir run 'lab | group count()' lab=trace.pcap
status 'run: a file with = in its name' 0 weir run 'packets | group count()' 'odd=name.pcap'
ln -s "$trace" '[a]b*.pcap'
status 'run: a file with pattern characters in its name' 0 weir run 'packets | group count()' '[a]b*.pcap'
# names made from files mean the file, and nothing else
status 'mount: an option out of range' 2 weir trace.pcap . -o memory=1
is "$(cat err)" "weir: '1' for 'memory' is out of range (65536 to 10000000000000)" 'is told the range, that of the setting'
status 'pcapwrite to a full disk' 1 weir run 'packets | pcapwrite /dev/full | head 0' trace.pcap
is "$(cat err)" 'weir: pcapwrite: cannot write the packets: No space left on device' 'says so'
for f in packets head where pcapfile; do ln -s "$trace" $f.pcap; done
status 'run: files called like words of the language' 0 weir run \
	'(head_ + where_ + pcapfile_ + packets_) | group count()' {packets,head,where,pcapfile}.pcap
status 'run: packets.pcap is not all packets' 0 weir run 'packets | group count()' packets.pcap trace.pcap
is "$(tail -1 out)" 40000 'packets is'
for n in packets head where set; do
	status "run: $n= as a name" 1 weir run 'packets' $n=trace.pcap
	is "$(cat err)" "weir: '$n' is a reserved name" 'is refused'
done
status 'run: -f' 0 bash -c 'echo "packets | group count()" >q && weir run -f q trace.pcap'
status 'run: -f -' 0 bash -c 'echo "packets | group count()" | weir run -f - trace.pcap'
status 'run: a trace from standard input' 0 bash -c 'cat trace.pcap | weir run "packets | group count()"'
is "$(tail -1 out)" 20000 'all of it'
status 'run: the same by name -' 0 bash -c 'cat trace.pcap | weir run "packets | group count()" -'
is "$(tail -1 out)" 20000 'all of it'
# an interrupt ends the input: all rows so far count, and the table is the answer for them
for f in '' '-t 2'; do
	rm -f part
	env --default-signal=INT "$WEIR" run -s 10 $f 'packets | (group count() as n + print ts as t)' trace.pcap >part 2>err &
	p=$!
	wait_for 10 test -s part
	kill -INT $p
	wait $p 2>/dev/null
	is $? 130 "run $f: interrupted"
	[ "$(wc -l <part)" -lt 20001 ] && [ "$(grep -c '^[0-9]*,$' part)" = 1 ]
	result $? 'before the end, with the answer so far'
	is "$(grep '^[0-9]*,$' part)" "$(($(wc -l <part) - 2))," 'for all rows so far'
done
status 'run: full disk' 1 bash -c 'weir run "packets | print ts srcip" trace.pcap >/dev/full'
is "$(cat err)" 'weir: write: No space left on device' 'is said'
status 'run: a reader that goes' 0 bash -c 'weir run "packets | print ts srcip" trace.pcap | head -1'
is "$(cat err)" '' 'is quiet'
weir run 'packets | print ts srcip dstip len' trace.pcap >a.csv
is "$(wc -l <a.csv)" 20001 'a row for each packet, and a header'
weir run -F tsv 'packets | print ts srcip dstip len' trace.pcap >a.tsv
is "$(tr '\t' , <a.tsv | md5sum)" "$(md5sum <a.csv)" 'TSV has the same'
if command -v jq >/dev/null; then
	weir run -F json 'packets where srcip | print srcip dstip len' trace.pcap | jq -r '[.srcip, .dstip, .len] | join(",")' >j
	weir run 'packets where srcip | print srcip dstip len' trace.pcap | tail -n +2 >c
	same j c 'JSON has the same'
fi
if command -v tcpdump >/dev/null; then
	weir run -F pcap 'packets where flags.syn' trace.pcap >s.pcap
	is "$(tcpdump -nn -tt -r s.pcap 2>/dev/null | md5sum)" \
		"$(tcpdump -nn -tt -r trace.pcap '(ip and tcp[tcpflags] & tcp-syn != 0) or (ip6 and ip6[6] = 6 and ip6[53] & 2 != 0) or (vlan and ((ip and tcp[tcpflags] & tcp-syn != 0) or (ip6 and ip6[6] = 6 and ip6[53] & 2 != 0) or (vlan and ((ip and tcp[tcpflags] & tcp-syn != 0) or (ip6 and ip6[6] = 6 and ip6[53] & 2 != 0)))))' 2>/dev/null | md5sum)" \
		'pcap output: as tcpdump selects'
fi

status 'check' 0 weir check 'packets | uniq srcip | head 3'
is "$(cat out)" '' 'says nothing'
status 'check -v' 0 weir check -v 'packets | uniq srcip | head 3'
like "$(cat out)" uniq 'shows the plan'
status 'check: wrong query' 1 weir check 'packets | hed 3'
like "$(cat err)" "did you mean 'head'" 'suggests'
status 'modules' 0 weir modules
status 'modules: unknown' 1 weir modules hed
status 'types' 0 weir types
like "$(cat out)" '^packet$' 'knows packets'
status 'types packet' 0 weir types packet
like "$(cat out)" '^srcip +ip ' 'has srcip'
status 'types: unknown' 1 weir types nothing
for c in run check modules types; do
	status "$c --help" 0 weir "$c" --help
	like "$(cat out)" "^usage: weir $c " 'shows the usage'
done
status '--help' 0 weir --help
for c in '' run check modules types; do
	weir $c --help | grep -oE -- '^  -o [a-z_]+|^  -[A-Za-z]|--[a-z][a-z-]*' | while read -r o n; do
		grep -qE -- "^.It Cm $n($|=| )" "$OLDPWD/man/weir.1" && [ "$n" ] || grep -qE -- "Fl ${o#-}($| )" "$OLDPWD/man/weir.1" || echo "$c $o $n"
	done
done >unsaid
is "$(cat unsaid)" '' 'weir(1) has every option of --help'
status '--version' 0 weir --version
status 'no arguments' 2 weir

complete_words() { # complete_words WORD…: what bash would offer for the last one
	bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }; _weir; printf "%s\n" "${COMPREPLY[@]}"' \
		"$OLDPWD/completion/weir" "$@" | sort
}
is "$(complete_words weir ru)" run 'completion: commands'
like "$(complete_words weir modules un)" '^uniq$' 'completion: modules'
is "$(complete_words weir -o ro,qu)" 'ro,queries=' 'completion: mount options, from --help'
is "$(complete_words weir check - | tr '\n' ' ')" '--file --help --modules --verbose -M -f -h -v ' 'completion: all options of a command'
like "$(complete_words weir run --f)" '^--format$' 'completion: options'
is "$(complete_words weir run -F j)" json 'completion: formats'
finish
