#!/bin/bash
# SPDX-License-Identifier: MIT
# -o user=: once all is open and mounted, no thread has more rights than it needs; the mount still ends
# cleanly, and interfaces are opened anew. The service manager is told.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../net.sh"
need_fuse
need python3
trace=$(realpath "$(sample)")
m=$T/m
chmod 755 "$T"
mkdir "$m"
of() { # of PID KEY: a line of its threads' status, each value once
	sed -n "s/^$2:[[:space:]]*//p" /proc/"$1"/task/*/status | sort -u | xargs
}
worker() { pgrep -P "$1" | head -1; }
gone() { ! mountpoint -q "$m"; }
ended() { ! kill -0 "$1" 2>/dev/null; }
says() { grep -qE -- "$1" "$m/sources/$2/info"; }
nobody=$(id -u nobody)

mount_weir "$m" out0 -o user=nobody || finish
p=${lib_pids[-1]}
w=$(worker "$p")
echo 'n: packets | group count() as n' >"$m/queries/new"
send --pps 5000 -L 1000 "$trace"
is "$(of "$w" Uid | xargs -n1 | sort -u)" "$nobody" 'all threads are of the user'
is "$(of "$w" Gid | xargs -n1 | sort -u)" "$(id -g nobody)" 'and of its group'
is "$(of "$w" CapEff) $(of "$w" CapPrm) $(of "$w" CapBnd)" '0000000000002000 0000000000002000 0000000000000000' \
	'they can do nothing but CAP_NET_RAW, nor gain more'
is "$(of "$w" NoNewPrivs)" 1 'nor by programs'
[ "$(ls "/proc/$w/task" | wc -l)" -gt 3 ]
result $? "$(ls "/proc/$w/task" | wc -l) threads were looked at"
ip link del out0
ok 'the interface goes' wait_for 10 says '^link: gone' out0
pair
ok 'and is opened again' wait_for 10 says '^event: .* out0 is back$' out0
wait_for 10 says '^link: up$' out0
send --pps 5000 -L 1000 "$trace"
wait_for 10 settled "$m" out0
stopped "$m" n
is "$(sed 1d "$m/queries/n/out.csv")" 2000 'both times packets were counted'
cp "$trace" "$T/secret.pcap"
chmod 600 "$T/secret.pcap"
echo "s: pcapfile $T/secret.pcap | count" 2>/dev/null >"$m/queries/new"
like "$(tail -4 "$m/queries/errors")" "cannot open '.*secret.pcap': Permission denied" 'a query opens nothing that the user may not'
kill "$p"
ok 'SIGTERM ends it' wait_for 10 ended "$p"
wait "$p"
is $? 0 'cleanly'
ok 'and the mount' gone

mount_weir "$m" out0 -o user=nobody || finish
p=${lib_pids[-1]}
kill -9 "$(worker "$p")"
ok 'a worker that is killed ends it too' wait_for 10 ended "$p"
ok 'and no dead mount is left' gone

mount_weir "$m" "$trace" -o user=nobody || finish
p=${lib_pids[-1]}
is "$(of "$(worker "$p")" CapEff)" 0000000000000000 'for a trace no capability is kept'
umount "$m"
ok 'umount ends it' wait_for 10 ended "$p"

"$WEIR" out0 "$m" -o user=nobody
is $? 0 'in the background'
p=$(pgrep -f "^$WEIR out0 $m" | sort -n | head -1)
ok 'it is mounted' mountpoint -q "$m"
echo 'packets | count' >"$m/queries/new"
result $? 'and answers'
umount "$m"
ok 'it ends' wait_for 10 ended "$p"

# who stays behind has nothing to say and keeps no folder: who waits for the last word goes on
(cd "$T" && "$WEIR" "$trace" m -o user=nobody) 2>&1 | timeout 10 cat >"$T/out"
is "${PIPESTATUS[*]} $(cat "$T/out")" '0 0 ' 'in the background nobody keeps the output open'
ok 'it is mounted then' mountpoint -q "$m"
p=$(pgrep -f "^$WEIR $trace m" | sort -n | head -1)
is "$(readlink "/proc/$p/cwd") $(readlink "/proc/$p/fd/"[012] | sort -u | xargs)" '/ /dev/null' 'the process of root holds no folder and no terminal'
umount "$m"
ok 'it ends' wait_for 10 ended "$p"
like "$("$WEIR" "$T/none.pcap" "$m" -o user=nobody 2>&1; echo "exit $?")" 'No such file' 'what is wrong before that is said'

# a signal that comes while they part ends both
cat >"$T/part.c" <<'END'
#include <signal.h>
#include <unistd.h>
#include <sys/syscall.h>
static pid_t parent;
int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	if (how == SIG_BLOCK && !parent)
		parent = getpid();
	else if (parent == getpid())
		kill(parent, SIGTERM);
	return syscall(SYS_rt_sigprocmask, how, set, old, 8);
}
END
left() { pgrep -f "^$WEIR -f $trace $m" >/dev/null; }
if cc -shared -fPIC -o "$T/part.so" "$T/part.c" && LD_PRELOAD=$T/part.so "$WEIR" --version >"$T/out" 2>&1; then
	LD_PRELOAD=$T/part.so "$WEIR" -f "$trace" "$m" -o user=nobody &
	lib_pids+=($!)
	ok 'a signal while they part ends it' wait_for 10 ended $!
	wait $!
	ok 'who stays behind and who goes on' wait_for 5 eval '! left'
	ok 'and nothing stays mounted' gone
else
	skip 'a signal while they part' 'no cc, or a sanitizer that must be loaded first'
fi

like "$("$WEIR" -f out0 "$m" -o user=nosuchuser 2>&1)" "unknown user: nosuchuser" 'a user that is not there'
wait_for 10 gone
result $? 'nothing stays mounted'
if command -v setpriv >/dev/null; then
	like "$(setpriv --reuid="$nobody" --regid="$nobody" --clear-groups "$WEIR" -f "$trace" "$m" -o user=root 2>&1)" \
		'^weir: only root can go on as another user: root$' 'only root can'
else
	skip 'only root can' 'setpriv is not installed'
fi

# what stands in fstab without a value is for mount(8)
mount_weir "$m" "$trace" -o user,noauto && umount "$m"
result $? 'the fstab word user is another'

# ---- the service manager ----
cat >"$T/listen" <<'PY'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
s.settimeout(20)
while True:
    m = s.recv(1000).decode()
    print("mounted" if os.path.exists(sys.argv[2] + "/queries") else "not mounted", repr(m), flush=True)
    if m.startswith("STOPPING"):
        break
PY
python3 "$T/listen" "$T/notify" "$m" >"$T/told" 2>&1 &
listener=$!
lib_pids+=($listener)
wait_for 10 test -S "$T/notify"
NOTIFY_SOCKET=$T/notify mount_weir "$m" out0 -o user=nobody
ok 'READY=1 is told' wait_for 10 grep -q 'READY=1' "$T/told"
kill "${lib_pids[-1]}"
ok 'STOPPING=1 too' wait_for 10 grep -q "STOPPING=1" "$T/told"
wait $listener
wait_for 10 gone
if command -v systemd-analyze >/dev/null; then
	mkdir -p "$T/unit"
	sed 's|@bindir@|/bin|; s|/bin/weir|/bin/true|' system/weir@.service.in >"$T/unit/weir@.service"
	is "$(systemd-analyze verify "$T/unit/weir@eth0.service" 2>&1 | grep -F 'weir@' | grep -v 'man ')" '' 'systemd takes the unit'
else
	skip 'systemd takes the unit' 'systemd-analyze is not installed'
fi
finish
