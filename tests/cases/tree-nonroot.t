#!/bin/bash
# SPDX-License-Identifier: MIT
# A user without rights mounts: fusermount3 does it, and only the user may look.
. "$(dirname "$0")/../lib.sh"
need_fuse
need setpriv unshare fusermount3
[ "$(id -u)" = 0 ] || skip_all 'needs root, to become another user'
[ -u "$(command -v fusermount3)" ] || skip_all 'fusermount3 is not setuid'
[ -e /etc/mtab ] || skip_all 'no /etc/mtab, which fusermount3 wants of a user who unmounts'
if [ -z "${PRIVATE_MOUNTS:-}" ]; then
	# what is mounted on / may be out of reach, as in a chroot: only /dev is made private
	PRIVATE_MOUNTS=1 exec unshare -m --propagation unchanged bash "$0"
fi
mount --make-rprivate /dev || skip_all '/dev is no file system of its own'
# /dev/fuse as distributions have it, for all
mknod "$T/fuse" c 10 229 && chmod 666 "$T/fuse" && mount --bind "$T/fuse" /dev/fuse || skip_all 'no private /dev/fuse'
chmod 755 "$T"
cp "$WEIR" "$T/weir"
cp "$(sample)" "$T/s.pcap"
m=$T/m
mkdir "$m" "$T/other"
chown 65534:65534 "$m"
lib_mounts+=("$m")
as() { setpriv --reuid 65534 --regid 65534 --clear-groups -- bash -c "cd '$T' && $1" 2>&1; }
mounted() { grep -q " $m " /proc/self/mountinfo; }
unmounted() { ! mounted; }

as ': </dev/fuse' >/dev/null || skip_all 'no device files here'
is "$(as './weir s.pcap m && echo mounted')" mounted 'a user mounts'
is "$(as "echo 'n: packets | group count()' >m/queries/new && tail -n 1 m/queries/n/out.csv")" 20000 'and asks'
is "$(as 'stat -c %u m m/queries/n m/queries/n/out.csv | sort -u')" 65534 'all belongs to the user'
like "$(ls "$m" 2>&1)" 'Permission denied' 'root may not look, without allow_other'
like "$(as "echo 'packets | pcapwrite /etc/weir-test' >m/queries/new")" 'Permission denied' 'with no more rights than before'
is "$(as 'fusermount3 -u m && echo gone')" gone 'the user unmounts'
wait_for 10 unmounted
result $? 'it is gone'
like "$(as './weir s.pcap other; echo $?')" '^1$' "another's folder is no mount point"
chmod 600 "$T/s.pcap"
like "$(as './weir s.pcap m; echo $?' | tr '\n' ' ')" "s.pcap': Permission denied 1" 'nor is a file that the user may not read a source'
chmod 644 "$T/s.pcap"
# a crash leaves a dead mount point behind
(cd "$T" && exec setpriv --reuid 65534 --regid 65534 --clear-groups -- ./weir -f s.pcap m) &
p=$!
lib_pids+=($p)
wait_for 10 as 'test -e m/queries/new'
kill -9 "$p"
wait "$p" 2>/dev/null
is "$(as './weir s.pcap m && ls m/README')" m/README 'mounting again on a dead mount point'
as 'fusermount3 -u m' >/dev/null
finish
