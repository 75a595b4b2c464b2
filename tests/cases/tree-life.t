#!/bin/bash
# SPDX-License-Identifier: MIT
# The life of a mount: in the background, signals, a dead mount point, mount(8), errors.
. "$(dirname "$0")/../lib.sh"
need_fuse
[ "$(id -u)" = 0 ] || skip_all 'needs root'
trace=$(sample)
m=$T/m
mkdir -p "$m"
lib_mounts+=("$m")
mounted() { mountpoint -q "$m"; }
unmounted() { ! mounted; }
daemon() { awk -v m="$m" '$5 == m { print $3 }' /proc/self/mountinfo; }
pid_of() { # the process that serves the mount: its /dev/fuse is open
	local p
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe")" = "$(readlink -f "$WEIR")" ] && tr '\0' ' ' <"$p/cmdline" | grep -q " $m " && basename "$p"
	done
}
gone() { [ ! -d "/proc/$1" ]; }

ok 'weir goes to the background once it is mounted' "$WEIR" "$trace" "$m"
mounted
result $? 'it is mounted when the command returns'
is "$(findmnt -no FSTYPE "$m")" fuse.weir 'the type is fuse.weir'
is "$(findmnt -no SOURCE "$m")" "$trace" 'the source is the trace'
p=$(pid_of)
is "$(readlink "/proc/$p/cwd")" / 'the daemon holds no folder'
cat "$m/README" >/dev/null 2>&1 || cat "$m"/*/info >/dev/null
is "$(cat "/sys/class/bdi/$(mountpoint -d "$m")/read_ahead_kb")" 4096 'what is read is rendered 4 MiB ahead'
ok 'umount ends it' umount "$m"
wait_for 10 gone "$p"
result $? 'the daemon has ended'

for sig in TERM INT HUP; do
	env --default-signal=INT "$WEIR" -f "$trace" "$m" & # a shell has its children ignore INT
	p=$!
	wait_for 10 test -e "$m/queries/new"
	echo 'l: packets | print ts' >"$m/queries/new"
	wait_for 10 test -e "$m/queries/l/records/0/0"
	exec 3<"$m/queries/l/records/0/0" 4<"$m/queries/l/out.csv" 5<>"$m/queries/new" 6<>"$m/queries/new" 8<>"$m/queries/l/spec" 9>"$m/queries/l/ctl"
	echo 'packets | head 1' >&5
	echo -n 'unfinished: packets |' >&6 2>/dev/null
	cat <&8 >/dev/null
	kill -s $sig $p
	wait $p
	is $? 0 "SIG$sig: exit status 0, with open files" # LeakSanitizer's is another
	exec 3<&- 4<&- 5>&- 6>&- 8>&- 9>&-
	unmounted
	result $? "SIG$sig: unmounted"
done

# specs are still being planned when the end comes (what that may touch, or leave, is seen by AddressSanitizer)
ended_busy() { # ended_busy PID: its exit status
	local i r
	wait_for 10 test -e "$m/queries/new"
	for i in 1 2 3 4; do
		(while echo "$spec" >"$m/queries/new"; do :; done) 2>/dev/null &
	done
	wait_for 20 test -e "$m/queries/q12"
	kill -TERM "$1"
	wait "$1"
	r=$?
	wait
	return $r
}
spec="packets | where srcip = 1.2.3.4 and ($(printf 'len = %d or ' {1..4000}) len = 0)"
"$WEIR" -f "$trace" "$m" &
ended_busy $!
is $? 0 'SIGTERM while queries are written: exit status 0'
unmounted
result $? 'and unmounted'

# a reply to a device that is closed goes to nobody: not to the file that has its number next
cat >"$T/reuse.c" <<'END'
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>
static int device = -1;
int mount(const char *from, const char *to, const char *type, unsigned long flags, const void *data)
{
	const char *fd = data ? strstr(data, "fd=") : NULL;
	device = fd ? atoi(fd + 3) : -1;
	return syscall(SYS_mount, from, to, type, flags, data);
}
int close(int fd)
{
	int r = syscall(SYS_close, fd), other;
	if (fd < 0 || fd != device)
		return r;
	other = open(getenv("REUSE"), O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (other != fd)
		dup2(other, fd);
	poll(NULL, 0, 500); /* for those who are to reply */
	return r;
}
END
if cc -shared -fPIC -o "$T/reuse.so" "$T/reuse.c" && LD_PRELOAD=$T/reuse.so "$WEIR" --version >"$T/out" 2>&1; then
	REUSE=$T/reused LD_PRELOAD=$T/reuse.so "$WEIR" -f "$trace" "$m" &
	ended_busy $!
	is "$(stat -c %s "$T/reused")" 0 'SIGTERM while queries are written: nothing is written to a file that takes the place of the device'
	unmounted
	result $? 'and unmounted'
else
	skip 'replies after the end' 'no cc, or a sanitizer that must be loaded first'
fi

# who unmounts it, and mounts another one in its place, keeps that
"$WEIR" "$trace" "$m"
p=$(pid_of)
freeze "$p"
umount -l "$m"
mount -t tmpfs none "$m"
kill -CONT "$p"
wait_for 10 gone "$p"
is "$? $(findmnt -no FSTYPE "$m")" '0 tmpfs' 'umount -l ends it, and what is mounted there next stays'
umount "$m"

ok 'fusermount3 -u' bash -c "'$WEIR' '$trace' '$m' && fusermount3 -u '$m'"

# after a crash
"$WEIR" "$trace" "$m"
p=$(pid_of)
ls -l "$m" >/dev/null # attributes that the kernel keeps hide that nobody is there
kill -9 "$p"
wait_for 10 gone "$p"
like "$(cat "$m/status" 2>&1)" 'not connected' 'a killed daemon leaves a dead mount point'
ok 'starting again on it mounts' "$WEIR" "$trace" "$m"
[ -e "$m/README" ]
result $? 'and it is alive'
umount "$m"
unmounted
result $? 'one umount is enough'

# errors stand on stderr, the exit status tells
fails() { # fails REGEX DESCRIPTION ARGUMENT…
	local want=$1 d=$2 out r
	shift 2
	out=$("$WEIR" "$@" 2>&1)
	r=$?
	[ $r != 0 ] || r=none
	like "$r $out" "^[12] .*$want" "$d"
	unmounted || umount "$m"
}
fails 'No such file' 'a source that is not there' "$T/none.pcap" "$m"
fails 'No such file' 'a mount point that is not there' "$trace" "$T/none"
fails 'Not a directory' 'a mount point that is a file' "$trace" "$trace"
fails 'unknown mount option' 'an unknown mount option' "$trace" "$m" -o frob
fails 'unknown option' 'an unknown option' "$trace" "$m" --frob
fails 'bad value' 'a bad value' "$trace" "$m" -o memory=many
fails 'needed' 'no mount point' "$trace"
printf 'no trace\n' >"$T/text"
fails '.' 'a source that is no trace' "$T/text" "$m"
like "$("$WEIR" --help)" '-o refresh=TIME' '--help from the table'
like "$("$WEIR" --version)" '^weir [0-9]' '--version'

# options and names
cp "$trace" "$T/a=b.pcap"
ok 'name=SOURCE, and a file called a=b.pcap' "$WEIR" "lab=$trace" "$T/a=b.pcap" "$m" -o refresh=250ms,memory=64MB,retain=1MB,queries=2
is "$(ls "$m/sources" | wc -l)" 2 'two sources'
[ -d "$m/sources/lab" ]
result $? 'one is called lab'
for i in 1 2 3; do echo "x$i: lab | head 1" >"$m/queries/new"; done 2>"$T/err"
like "$(cat "$T/err")" 'quota' 'more than queries= of them: EDQUOT'
like "$(cat "$m/README")" "$m/queries/new" 'README names this mount'
like "$(cat "$m/README")" 'lab ' 'and its sources'
umount "$m"
(cd "$(dirname "$trace")" && "$WEIR" "$(basename "$trace")" "$m")
echo 'x: packets | head 1' >"$m/queries/new"
is "$(tail -n +2 "$m/queries/x/out.csv" | wc -l)" 1 'a relative source is found after the daemon has left'
umount "$m"
ok 'read only' "$WEIR" "$trace" "$m" -o ro
like "$(mkdir "$m/queries/x" 2>&1)" 'Read-only' 'no queries there'
umount "$m"

# mount(8)
mkdir -p "$T/bin"
if [ -x /sbin/mount.fuse3 ] && [ ! -e /usr/local/bin/weir ] && ln -s "$(readlink -f "$WEIR")" /usr/local/bin/weir; then
	ok 'mount -t fuse.weir' mount -t fuse.weir "$trace" "$m" -o rw,nosuid,nodev,noauto,user,speed=1000
	mounted
	result $? 'it is mounted'
	like "$(findmnt -no OPTIONS "$m")" 'nosuid' 'with its options'
	[ -e "$m/queries/new" ]
	result $? 'it lives'
	umount "$m"
	printf '%s %s fuse.weir noauto,user,refresh=2s,_netdev,x-systemd.automount 0 0\n' "$trace" "$m" >"$T/fstab"
	ok 'an fstab line' mount -T "$T/fstab" "$m"
	umount "$m"
	rm -f /usr/local/bin/weir
else
	skip 'mount -t fuse.weir' 'no mount.fuse3, or a weir is installed'
fi
unmounted
result $? 'nothing is left mounted'
finish
