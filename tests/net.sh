# SPDX-License-Identifier: MIT
# net.sh: a pair of interfaces for cases that capture. Sourced after lib.sh, with the case's own name:
#	. "$(dirname "$0")/../net.sh"
# The case is run again in a network namespace of its own, where nothing but `in0` and `out0` is: what is
# sent into in0 arrives at out0, and nothing else does. Skips where that cannot be had.
need ip unshare tcpreplay tcpdump
if [ -z "${WEIR_NETNS:-}" ]; then
	unshare -n true 2>/dev/null || skip_all 'network namespaces cannot be made here (not root?)'
	rm -rf "$T"
	WEIR_NETNS=1 exec unshare -n "$0"
fi

# carries NAME: the kernel has put its queue to work, up to a second after it is up; what is sent before is
# thrown away and counted as sent
carries() { ip -o link show "$1" 2>/dev/null | grep -q 'state \(UP\|UNKNOWN\)'; }

# pair [NAME NAME]: makes two interfaces that are up and say nothing by themselves
pair() {
	local i
	ip link add "${1:-in0}" type veth peer name "${2:-out0}" 2>"$T/.ip" || return
	for i in "${1:-in0}" "${2:-out0}"; do
		echo 1 2>/dev/null >"/proc/sys/net/ipv6/conf/$i/disable_ipv6"
		ip link set "$i" mtu 9000 arp off up
	done
	for i in "${1:-in0}" "${2:-out0}"; do
		wait_for 10 carries "$i" || return
	done
}
pair || skip_all "no veth pair: $(head -1 "$T/.ip")"
ip link set lo up

# send ARGUMENT…: tcpreplay into in0; what it has sent is then in $sent, and bytes in $sent_bytes
send() {
	tcpreplay -q -i in0 "$@" >"$T/.replay" 2>&1
	sent=$(awk '/Successful packets:/ { print $3 }' "$T/.replay")
	sent_bytes=$(sed -n 's/^Actual: .*(\([0-9]*\) bytes).*/\1/p' "$T/.replay")
}

# stat_of DIR SOURCE KEY
stat_of() { awk -v k="$3:" '$1 == k { print $2 }' "$1/sources/$2/stats"; }
# counted DIR SOURCE PACKETS: so many have reached it
counted() { [ "$(stat_of "$1" "$2" packets)" = "$3" ]; }
# settled DIR SOURCE: what the kernel had has been read
settled() { [ "$(($(stat_of "$1" "$2" records) + $(stat_of "$1" "$2" kernel_drops) + $(stat_of "$1" "$2" own_drops)))" = "$(stat_of "$1" "$2" packets)" ]; }
stopped() { echo stop >"$1/queries/$2/ctl" && wait_for 10 grep -q '^state: stopped' "$1/queries/$2/status"; } # DIR QUERY
