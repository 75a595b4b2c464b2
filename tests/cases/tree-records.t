#!/bin/bash
# SPDX-License-Identifier: MIT
# records/<n/1000>/<n>: rows as files, annotations as extended attributes that copies keep.
. "$(dirname "$0")/../lib.sh"
need_fuse
need getfattr rsync tar python3
trace=$(sample)
m=$T/m
mount_weir "$m" "s=$trace" || exit 1
q=$m/queries
echo 'd: packets | head 2500 | delta len -f step' >"$q/new"
query_ended "$m" d
result $? 'the query ends'
r=$q/d/records
is "$(ls "$r" | tr '\n' ' ')" '0 1 2 ' 'a folder for each 1,000 rows'
is "$(ls "$r"/0 | wc -l) $(ls "$r"/1 | wc -l) $(ls -f "$r"/2 | grep -vc '^\.')" '1000 1000 500' 'a file for each row'
is "$(find "$r" -type f | wc -l)" 2500 'find sees them all'
is "$(ls "$r/1" | sort -n | sed -n '1p;$p' | tr '\n' ' ')" '1000 1999 ' 'numbered through'

# the fields of a row are the cells of out.csv
python3 - "$q/d/out.csv" "$r" >"$T/bad" <<'END'
import csv, os, sys
for i, row in enumerate(csv.DictReader(open(sys.argv[1]))):
    path = f'{sys.argv[2]}/{i // 1000}/{i}'
    text = open(path).read()
    want = {k: v for k, v in row.items() if v != ''}
    got = dict(l.split(': ', 1) for l in text.splitlines())
    if got != want: print(i, got, want)
    if os.stat(path).st_size != len(text): print(i, 'size')
    names = {n: os.getxattr(path, n).decode() for n in os.listxattr(path)}
    if names != ({'user.step': want['step']} if 'step' in want else {}): print(i, names)
END
is "$(head -5 "$T/bad")" '' 'every record has the fields, size and attributes that out.csv says'
is "$(getfattr --only-values -n user.step "$r/0/1")" "$(sed -n 3p "$q/d/out.csv" | sed 's/.*,//')" 'getfattr'
for n in 0 00 1000 -1 x 01; do [ -e "$r/0/$n" ] && [ "$n" != 0 ] && echo "$n"; done >"$T/bad"
is "$(cat "$T/bad")" '' 'no other names are there'
[ ! -e "$r/3" ] && [ ! -e "$r/2/2500" ]
result $? 'nothing behind the last row'

xattr() { # xattr ERRNO PYTHON: the call fails with it
	python3 -c "
import os, errno
try:
    $2
    print('none')
except OSError as e:
    print(errno.errorcode[e.errno])" 2>&1
}
is "$(xattr 0 "os.getxattr('$r/0/1', 'user.nothing')")" ENODATA 'an annotation that is not there: ENODATA'
is "$(xattr 0 "os.getxattr('$r/0/1', 'trusted.x')")" ENOTSUP 'another name space: ENOTSUP'
is "$(xattr 0 "os.getxattr('$r/0/1', 'security.selinux')")" ENOTSUP 'security: ENOTSUP'
is "$(xattr 0 "os.getxattr('$q/d/spec', 'user.x')")" ENOTSUP 'other files: ENOTSUP'
is "$(xattr 0 "os.setxattr('$r/0/1', 'user.step', b'1')")" EPERM 'setting: EPERM'
is "$(xattr 0 "os.removexattr('$r/0/1', 'user.step')")" EPERM 'removing: EPERM'

# copies keep them (the folder's file system must have extended attributes of users)
: >"$T/probe"
if setfattr -n user.x -v y "$T/probe" 2>/dev/null; then
	want=$(getfattr -d "$r/1/1000" 2>/dev/null | grep ^user)
	ok 'cp -a' cp -a "$r/1" "$T/cp"
	is "$(getfattr -d "$T/cp/1000" 2>/dev/null | grep ^user)" "$want" 'cp -a keeps attributes'
	ok 'rsync -aX' rsync -aX "$r/1/" "$T/rsync"
	is "$(getfattr -d "$T/rsync/1000" 2>/dev/null | grep ^user)" "$want" 'rsync -X keeps attributes'
	ok 'tar --xattrs' tar --xattrs -C "$r" -cf "$T/x.tar" 1
	mkdir "$T/tar" && tar --xattrs --xattrs-include='user.*' -C "$T/tar" -xf "$T/x.tar"
	is "$(getfattr -d "$T/tar/1/1000" 2>/dev/null | grep ^user)" "$want" 'tar --xattrs keeps attributes'
	is "$(cd "$T/cp" && cat * | cksum)" "$(cd "$r/1" && cat * | cksum)" 'and the same text'
	is "$(stat -c %Y "$T/cp/1000")" "$(stat -c %Y "$r/1/1000")" 'and times'
else
	skip 'copies keep attributes' 'no user xattrs in the temporary folder'
fi

# a table's records are those of one version
echo 't: packets | tail 1500 | print ts len' >"$q/new"
query_ended "$m" t
is "$(find "$q/t/records" -type f | wc -l)" 1500 'records of a table'
is "$(cat "$q/t/records/1/1499")" "$(tail -n 1 "$q/t/out.csv" | sed 's/\(.*\),\(.*\)/ts: \1\nlen: \2/')" 'the last row of a table'

# a new run has records of its own at once, as its out.csv
for i in 1 2 3 4 5; do
	echo "packets | tail $((1500 + i)) | print ts len" >"$q/t/spec"
	query_ended "$m" t
	[ "$(sed 's/.*: //' "$q/t/records/0/0" | xargs)" = "$(sed -n '2s/,/ /p' "$q/t/out.csv")" ] || note "spec $i"
done | grep -q .
is $? 1 'records of a query that was replaced are those of out.csv'
for i in 1 2 3; do
	was=$(stat -c %y "$q/t/records/0/0")
	echo restart >"$q/t/ctl"
	query_ended "$m" t
	[ "$(stat -c %y "$q/t/records/0/0")" != "$was" ] || note "restart $i"
done | grep -q .
is $? 1 'nor does a restart leave old ones'

# looking starts nothing and changes nothing
before=$(cat "$q/d/status" "$q/d/log")
find "$m" >/dev/null
ls -lR "$q/d" >/dev/null
is "$(cat "$q/d/status" "$q/d/log")" "$before" 'find and ls -lR change nothing'
# listings go on at a stable place while queries come and go
python3 - "$q" >"$T/out" <<'END'
import os, sys
q = sys.argv[1]
for i in range(200): os.mkdir(f'{q}/m{i}')
with os.scandir(q) as it:
    seen = [next(it).name for _ in range(30)]
    for i in range(0, 200, 2): os.rmdir(f'{q}/m{i}')
    seen += [e.name for e in it]
left = {f'm{i}' for i in range(1, 200, 2)}
print(len(seen) == len(set(seen)), left <= set(seen))
END
is "$(cat "$T/out")" 'True True' 'readdir neither repeats nor leaves out while queries go'

# A folder that is held shows its own rows, whatever the query has become.
echo 'held: packets | group srcip count()' >"$m/queries/new"
query_ended "$m" held
is "$(
	cd "$m/queries/held/records/0" && ls >/dev/null
	echo 'packets | group dstip sum(len) as b' >../../spec
	getfattr -n user.count --only-values 0
)" "$(sed -n '2s/.*,//p' <<<"$("$WEIR" run 'packets | group srcip count()' "$trace")")" \
	'attributes of a replaced query that is still held'

# A record that is open is that of its run, though numbers of records come again after four.
echo 'again: packets | project srcip len | head 3' >"$q/new"
query_ended "$m" again
want=$(cat "$q/again/records/0/1")
exec 5<"$q/again/records/0/1"
for i in 1 2 3; do echo restart >"$q/again/ctl"; done
echo 'packets | project dstip ts ttl | head 3' >"$q/again/spec"
wait_for 10 grep -q '^dstip' "$q/again/out.csv"
is "$(cat <&5)" "$want" 'an open record stays that of its run'
exec 5<&-
like "$(cat "$q/again/records/0/1")" '^ttl: ' 'while its name gives that of the last run'
ok 'the mount is alive' ls "$m"
finish
