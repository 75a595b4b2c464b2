#!/bin/bash
# SPDX-License-Identifier: MIT
# Another user through allow_other: queries belong to who wrote them, and open files with the
# writer's rights, which are those of who opened the file that was written to.
. "$(dirname "$0")/../lib.sh"
need_fuse
need setpriv python3
[ "$(id -u)" = 0 ] || skip_all 'needs root'
trace=$(sample)
m=$T/m
chmod 755 "$T"
mount_weir "$m" "s=$trace" -o queries=40 || exit 1
q=$m/queries
nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }
as() { nobody bash -c "$1" 2>&1; }

echo 'mine: packets | head 3' >"$q/new"
as "echo 'theirs: packets | head 4' > $q/new" >"$T/out"
is "$(cat "$T/out")" '' 'another user may ask'
is "$(stat -c %u "$q/theirs") $(stat -c %u "$q/theirs/out.csv") $(stat -c %u "$q/mine")" '65534 65534 0' \
	'a query belongs to its writer'
is "$(as "tail -n +2 $q/mine/out.csv | wc -l")" 3 'and may read'
like "$(as "echo packets > $q/mine/spec")" 'Permission denied' "but not change another's spec"
like "$(as "echo stop > $q/mine/ctl")" 'Permission denied' "nor command another's query"
like "$(as "rmdir $q/mine")" 'not permitted' "nor remove it"
is "$(as "echo 'packets | head 2' > $q/theirs/spec && tail -n +2 $q/theirs/out.csv | wc -l")" 2 'their own spec they may change'
is "$(as "mkdir $q/made && echo 'packets | head 2' > $q/made/spec && tail -n +2 $q/made/out.csv | wc -l")" 2 'mkdir by another user'
# what a spec opens is opened with the writer's rights
cp "$trace" "$T/secret.pcap"
chmod 600 "$T/secret.pcap"
like "$(as "cp /dev/stdin $q/new <<<'s: pcapfile $T/secret.pcap | head 1'")" 'ermission denied' 'a file that the writer may not read is refused'
like "$(tail -n 5 "$q/errors")" "secret.pcap.*ermission denied|cannot open" 'and queries/errors says so'
like "$(as "echo 'pcapfile $T/secret.pcap | where nothing = 1' > $q/new")" 'ermission denied' 'also while the text is looked at'
mkdir -m 700 "$T/closed"
like "$(as "echo 'packets | pcapwrite $T/closed/x' > $q/new")" 'ermission denied' 'a file that the writer may not create is refused by the write'
like "$(as "echo 'packets | pcapwrite $T/secret.pcap' > $q/new")" 'ermission denied' 'one that he may not write too'
echo "s: pcapfile $T/secret.pcap | head 1" >"$q/new"
is "$(tail -n +2 "$q/s/out.csv" | wc -l)" 1 'root may'
chmod 644 "$T/secret.pcap"
like "$(as "cp /dev/stdin $q/new <<<'w: pcapfile $T/secret.pcap | head 1' && tail -n +2 $q/w/out.csv | wc -l")" '^1$' 'the other too where the file lets him'

# nor does following a file look with other rights: what is there cannot be told, a folder not watched
mkdir "$T/closed/folder"
is "$(as "echo 'pcapfile -f -s 2 $T/closed/folder' > $q/new"; tail -n 3 "$q/errors" | sed s/folder/nothing/)" \
	"$(as "echo 'pcapfile -f -s 2 $T/closed/nothing' > $q/new"; tail -n 3 "$q/errors")" 'pcapfile -f tells nothing about a closed folder'
mkdir -m 711 "$T/searched"
head -c 24 "$trace" >"$T/searched/t.pcap"
watched() { grep -q "^inotify .* ino:$(printf %x "$(stat -c %i "$1")") " /proc/"${lib_pids[0]}"/fdinfo/*; }
is "$(as "echo 'f: pcapfile -f $T/searched/t.pcap | print ts' > $q/new && cat $q/f/out.csv")" ts 'a file can be followed where the folder cannot be listed'
ok 'the file is watched' watched "$T/searched/t.pcap"
ok 'but the folder is not' eval '! watched "$T/searched"'

# a descriptor that was handed over: what a user has opened only that user writes to. The set-user-id
# program whose error message the user words is played by a process that opens as one and writes as
# another.
chmod 600 "$T/secret.pcap"
handed() { # handed OPENER FILE WRITER TEXT…: each writer's text in turn, through one descriptor
	python3 - "$@" <<'END'
import os, sys
def become(uid):
    os.seteuid(0); os.setegid(uid); os.seteuid(uid)
os.setgroups([])
become(int(sys.argv[1]))
f = os.open(sys.argv[2], os.O_WRONLY)
for uid, text in zip(sys.argv[3::2], sys.argv[4::2]):
    become(int(uid))
    try: os.write(f, text.encode()); print('ok')
    except OSError as e: print(os.strerror(e.errno))
become(0)
try: os.close(f)
except OSError as e: print(os.strerror(e.errno))
END
}
eperm='Operation not permitted'
is "$(handed 65534 "$q/new" 0 "x: pcapfile $T/secret.pcap | head 1
")" "$eperm" "root's program writes to a user's descriptor: EPERM"
is "$(handed 65534 "$q/new" 65534 'x: packets' 0 " | pcapwrite $T/root.pcap
" | xargs)" "ok $eperm" 'also behind what the user wrote'
is "$(cat "$q/x/spec")" 'x: packets' 'whose own text is a query'
is "$(as "rmdir $q/x && echo gone")$(ls "$T/root.pcap" 2>&1 | grep -c 'No such')" gone1 'of that user, and that is all'
is "$(handed 0 "$q/mine/ctl" 65534 'stop
')" "$eperm" 'a descriptor of root in another hand: EPERM'
is "$(handed 0 "$q/mine/ctl" 0 'refresh
' 65534 'stop
' | xargs)" "ok $eperm" 'also when root has written to it'
like "$(tail -n 1 "$q/mine/log")" ' refresh$' 'nothing was stopped'
is "$(handed 0 "$q/new" 0 'y: packets' 65534 ' | head 1
' | xargs)" "ok $eperm" "root's text is not for others to go on with"
rmdir "$q/y"
# an NFS server opens as root, for all, and writes as each
is "$(handed 0 "$q/new" 65534 'z: packets | head 1
' && stat -c %u "$q/z")" "ok
65534" 'what root has opened another may write to: as himself'
is "$(handed 0 "$q/new" 65534 "z2: pcapfile $T/secret.pcap | head 1
" | head -n 1)" 'Permission denied' "with no rights of root's"
rmdir "$q/z"

# supplementary groups: those of who opened it, whoever of his children wrote the first word
member() { setpriv --reuid 65534 --regid 65534 --groups "$1" -- bash -c "$2" 2>&1; }
chown 0:54321 "$T/secret.pcap"
chmod 640 "$T/secret.pcap"
is "$(member 54321 "{ /bin/echo 'g: pcapfile $T/secret.pcap'; echo ' | head 1'; } >$q/new")" '' 'a file that a group may read: its member asks, a child of his begins'
query_ended "$m" g
is "$(tail -n +2 "$q/g/out.csv" | wc -l)" 1 'and is answered'
is "$(member 54321 "echo restart >$q/g/ctl")" '' 'a restart knows the groups of its writer'
echo restart >"$q/g/ctl"
result $? "root's those of the spec's writer"
like "$(member 54322 "echo restart >$q/g/ctl")" 'ermission denied' 'without the group it is refused'
chmod 600 "$T/secret.pcap"
like "$( (echo restart >"$q/g/ctl") 2>&1)" 'ermission denied' "root's restart lends the spec no rights of root's"
is "$(as "rmdir $q/theirs && echo gone")" gone 'their own query they may remove'
rmdir "$q/made"
result $? 'root may remove any'

# a stream gives nothing as long as its query finds nothing, and control files are answered by the threads
# that look at specs: nobody can have one of these wait for itself
n=$T/n
mount_pipe "$n" "$trace" || finish
echo 'quiet: net | where len = 99999 | print ts' >"$n/queries/new"
ask() { as "timeout 10 bash -c \"echo 'pcapfile $1 | head 1' >$2/queries/new\""; }
for f in streams/quiet queries/new queries/quiet/ctl queries/quiet/spec; do
	like "$({ ask "$n/$f" "$n"; tail -n 3 "$n/queries/errors"; } | tr '\n' ' ')" \
		"deadlock.*new: cannot open '$n/$f': it is a stream or a control file of this mount" "$f of the same mount is refused"
done
asking=()
for i in 1 2 3 4 5 6 7 8 9; do
	ask "$n/streams/quiet" "$m" >"$T/other$i" &
	asking+=($!)
done
wait "${asking[@]}"
is "$(cat "$T"/other*)$(as "timeout 10 bash -c \"echo 'after: packets | head 4' >$q/new\"")" '' \
	'a stream of another mount is waited for by the query, not by its writer'

# one user does not shut out the others who matter: an eighth of what there is, is kept for root
cat >"$T/limits.py" <<'END'
import os, resource, sys
def become(uid):
    os.seteuid(0); os.setegid(uid); os.seteuid(uid)
def fill(make):
    n = 0
    try:
        while n < 5000: make(); n += 1
    except OSError as e: print(n, os.strerror(e.errno))
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, max(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
m, fds = sys.argv[1], []
def stream(): fds.append(os.open(m + '/streams/mine', os.O_RDONLY))
def folder(): os.mkdir(f'{m}/queries/full{len(os.listdir(m + "/queries"))}')
def new():
    with open(m + '/queries/new', 'w') as f: f.write('packets | head 1\n')
for what in (stream, folder):
    for uid in (65534, 0):
        become(uid); fill(what)
become(65534); fill(new)
END
before=$(ls "$q" | grep -vcE '^(new|errors)$')
is "$(python3 "$T/limits.py" "$m")" "896 Too many open files in system
128 Too many open files in system
$((35 - before)) Disk quota exceeded
5 Disk quota exceeded
0 Disk quota exceeded" 'readers of streams and queries: 128 of 1,024 and 5 of 40 are left for root'
like "$(tail -n 6 "$q/errors")" '^new: more than 35 queries' 'the error says how many are for all'
finish
