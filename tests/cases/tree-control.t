#!/bin/bash
# SPDX-License-Identifier: MIT
# The files that are written to: queries/new, spec and ctl, as shells, editors and tools write.
. "$(dirname "$0")/../lib.sh"
need_fuse
need vim python3 rsync # nano where it is
trace=$(sample)
m=$T/m
mount_weir "$m" "s=$trace" || exit 1
q=$m/queries
rows() { ended "$1" && tail -n +2 "$q/$1/out.csv" | wc -l; }
ended() { query_ended "$m" "$1"; }
says() { "$@" 2>&1 | sed 's/.*: //'; } # the error's text

# ---- queries that come and go: what is remembered of them goes too, which is seen at the end
python3 - "$q" <<'END'
import os, sys
for i in range(300):
    d = f'{sys.argv[1]}/gone{i}'
    os.mkdir(d)
    folder, spec = os.open(d, os.O_RDONLY), os.open(f'{d}/spec', os.O_RDONLY)
    os.stat(f'{d}/status')
    os.rmdir(d)
    os.fstat(folder) # while it is held, its state may be asked for
    os.close(spec)
    os.close(folder)
END

# ---- writing
echo 'a: packets | head 3' >"$q/new"
is "$(rows a)" 3 'echo >'
is "$(echo 'fast: packets | head 7' >"$q/new"; tail -n +2 "$q/fast/out.csv" | wc -l)" 7 'cat straight behind echo shows the final answer'
echo 'packets | head 2' >>"$q/new"
is "$(rows q1)" 2 'echo >>, without a name'
printf 'b: packets | head 4' | tee "$q/new" >/dev/null
is "$(rows b)" 4 'tee'
printf 'c: packets | head 5' | dd of="$q/new" bs=3 status=none
is "$(rows c)" 5 'dd in pieces of 3 bytes'
printf 'd: packets | head 5' | dd of="$q/new" conv=notrunc,fsync status=none
is "$(rows d)" 5 'dd conv=notrunc,fsync'
cat >"$q/new" <<'END'
e: packets
  | head 6
END
is "$(rows e)" 6 'a here-document of two lines'
echo 'f: packets | head 3' >"$T/spec"
ok 'cp' cp "$T/spec" "$q/new"
is "$(rows f)" 3 'what cp wrote'
echo 'g: packets | head 3' >"$T/spec"
ok 'cp -a (times, owner, mode)' cp -a "$T/spec" "$q/new"
is "$(rows g)" 3 'what cp -a wrote'
{ echo 'h: packets'; /bin/echo ' | head 8'; } >"$q/new"
is "$(rows h)" 8 'a shell and its child write one spec'
python3 - "$q/new" <<'END'
import os, sys
f = os.open(sys.argv[1], os.O_WRONLY)
os.write(f, b'i: packets |')
os.write(f, b' head 9')
os.fsync(f)
os.close(f)
END
is "$(rows i)" 9 'write, write, fsync'
{ printf '# '; head -c 300000 /dev/zero | tr '\0' x; printf '\nbig: packets | head 1\n'; } >"$T/spec"
ok 'a spec of 300 KiB' cp "$T/spec" "$q/new"
is "$(rows big)" 1 'what the 300 KiB say'
is "$(wc -c <"$q/big/spec")" "$(wc -c <"$T/spec")" 'spec keeps the 300 KiB'
{ printf '# '; head -c 1048576 /dev/zero | tr '\0' x; } >"$T/spec"
like "$(says cp "$T/spec" "$q/new")" 'File too large' 'more than 1 MiB: EFBIG'
vim -u NONE -es -c 'normal iv: packets | head 3' -c 'w!' -c 'q!' "$q/new" </dev/null >/dev/null 2>&1
is "$(rows v)" 3 'vim writes queries/new'

# ---- one descriptor
exec 3<>"$q/new"
echo 'srcips: packets | head 2' >&3
read -r name <&3
is "$name" srcips 'the name is read back on the same descriptor'
is "$(cat <&3)" '' 'and nothing more'
exec 3>&-
exec 3<>"$q/new"
echo 'packets | head 2' >&3
read -r name <&3
exec 3>&-
[ -d "$q/$name" ]
result $? "a name that was made is read back ($name)"
exec 3<>"$q/new"
echo -n 'pieces: packets | ' >&3 2>/dev/null
like "$(cat <&3)" '^pieces: the query ends here' 'a piece is no query'
echo 'head 4' >&3
is "$(cat <&3):$(rows pieces)" 'pieces:4' 'with the next command of a shell it is one'
exec 3>&-
exec 3<>"$q/new"
echo 'bad: packets | hed 2' >&3 2>"$T/err"
result $((! $?)) 'an unknown module fails the write'
like "$(cat "$T/err")" 'Invalid argument' 'with EINVAL'
reply=$(cat <&3)
like "$reply" "^bad: unknown module 'hed' \(did you mean 'head'" 'the error is read back on the same descriptor'
is "$(sed -n 3p <<<"$reply")" '            ^' 'with a caret under the word'
like "$(tail -n 3 "$q/errors" | head -n 1)" "unknown module 'hed'" 'queries/errors has it too'
exec 3>&-
python3 - "$q/new" >"$T/out" <<'END'
import os, sys
f = os.open(sys.argv[1], os.O_RDWR)
os.write(f, b'one: packets | head 1\n')
print(os.read(f, 99).decode().strip())
os.lseek(f, 0, 0)
os.write(f, b'two: packets | head 2\n')
print(os.read(f, 99).decode().strip())
os.write(f, b'| head 1\n')
print(os.read(f, 99).decode().strip())
os.pwrite(f, b'three: packets | head 3', 0)
print(os.pread(f, 99, 0).decode().strip())
END
is "$(tr '\n' ' ' <"$T/out")" 'one two two three ' 'at offset 0 a new spec starts, behind it the old one goes on'
is "$(rows one) $(rows two) $(rows three)" '1 1 3' 'what the four commits made'

# ---- errors
refused() { # refused ERROR SPEC DESCRIPTION
	(echo "$2" >"$q/new") 2>"$T/err"
	like "$(cat "$T/err")" "$1" "$3"
}
refused 'File exists' 'a: packets | head 1' 'a name that is taken: EEXIST'
refused 'No such file' 'nosuchsource | head 1' 'an unknown source: ENOENT'
refused 'Invalid argument' 'packets | head "x' 'a string that is not closed: EINVAL'
refused 'Invalid argument' 'packets | where srcp = 1' 'an unknown field: EINVAL'
refused 'Invalid argument' 'packets | where srcport = 10.0.0.1' 'kinds that do not fit: EINVAL'
refused 'Invalid argument' 'x/y: packets' 'a name with a slash: EINVAL'
refused 'Invalid argument' "$(printf 'packets | head \xff\xfe')" 'not UTF-8: EINVAL'
refused 'Invalid argument' "$(printf 'packets | where %100000s' | tr ' ' '(')" '100,000 parentheses: EINVAL'
like "$(says cp /dev/stdin "$q/new" <<<'pcapfile /nonexistent | head 1')" 'No such file' 'a file that is not there fails the close'
like "$(cat "$q/errors")" '/nonexistent' 'and stands in queries/errors'
refused 'No such file' 'pcapfile /nonexistent | head 1' 'a complete line with it fails the write'
refused 'No such file' 'packets | pcapwrite /nonexistent/x' 'a file that cannot be created: ENOENT'
refused 'Is a directory' "packets | pcapwrite $T" 'a folder as the file to create: EISDIR'
refused 'Invalid argument' 'packets | tee ( pcapwrite x.pcap ) | head 1' 'a path without / in front: nobody knows the folder'
refused 'Invalid argument' 'set spill x 1GB packets | sort ts' 'nor that of a spill'
like "$(tail -n 3 "$q/errors" | tr '\n' '~')" "cannot open 'x': under a mount.*begin with '/'~  set spill x 1GB.*~            \^~" 'with its place'
[ ! -e x.pcap ] && [ ! -e /x.pcap ]
result $? 'no such file was made'
before=$(ls "$q" | wc -l)
: >"$q/new"
is "$(ls "$q" | wc -l)" "$before" 'a mere > makes nothing'
(sleep 0) 5>"$q/new"
is "$(ls "$q" | wc -l)" "$before" 'nor does an open without a write'
truncate -s 0 "$q/new" && truncate -s 5000 "$q/new" && chmod 644 "$q/new" && touch "$q/new"
result $? 'size, mode and times can be set'
is "$(stat -c '%s %a' "$q/new")" '0 666' 'and mean nothing'

# ---- spec
echo 'packets | head 11' >"$q/a/spec"
is "$(rows a)" 11 'a new spec replaces the query'
is "$(cat "$q/a/spec")" 'packets | head 11' 'spec reads as it was written'
echo ' | head 2' >>"$q/a/spec"
is "$(rows a)" 2 'spec can be appended to'
(echo 'packets | hed 11' >"$q/a/spec") 2>"$T/err"
like "$(cat "$T/err")" 'Invalid argument' 'a wrong spec is refused'
is "$(rows a)" 2 'and the old one stays'
vim -u NONE -es -c '%s/head 2/head 4/' -c 'w!' -c 'q!' "$q/a/spec" </dev/null >/dev/null 2>&1
is "$(rows a)" 4 'vim edits spec'
sed 's/head 4/head 3/' "$q/a/spec" >"$T/spec" && cat "$T/spec" >"$q/a/spec"
is "$(rows a)" 3 'sed, and back'
if ! command -v nano >/dev/null; then
	skip 'nano edits spec' 'nano is not installed'
else
ok 'nano edits spec' env TERM=xterm python3 - "$q/a/spec" <<'END'
import os, pty, sys, time, select
pid, fd = pty.fork()
if pid == 0:
    os.execvp('nano', ['nano', '-I', '-L', sys.argv[1]])
def drain(t):
    end = time.time() + t
    while time.time() < end:
        if select.select([fd], [], [], 0.05)[0]:
            try: os.read(fd, 65536)
            except OSError: return
drain(1)
os.write(fd, b'# edited\r'); drain(0.3)
os.write(fd, b'\x0f'); drain(0.3)
os.write(fd, b'\r'); drain(0.5)
os.write(fd, b'\x18'); drain(0.5)
os.close(fd)
os.waitpid(pid, 0)
sys.exit(0 if open(sys.argv[1]).read().startswith('# edited\n') else 1)
END
fi
moved() { [ "$(stat --cached=never -c %y "$m/streams")" != "$before" ]; }
before=$(stat --cached=never -c %y "$m/streams")
ok 'mkdir makes a query' mkdir "$q/made"
wait_for 10 moved
is "$(ls "$q/made" | tr '\n' ' ')" 'ctl graph.dot log plan spec status ' 'without a result yet'
is "$(ls "$m/streams" | grep -x made)" '' 'nor a stream'
like "$(ls -l "$m/streams" 2>&1 >/dev/null; echo $?)" '^0$' 'ls -l of streams/ finds all that it lists'
before=$(stat --cached=never -c %y "$m/streams")
echo 'packets | head 5' >"$q/made/spec"
is "$(rows made)" 5 'then its spec is written'
is "$(ls "$m/streams" | grep -x made)" made 'and its rows are a stream'
wait_for 10 moved
result $? 'which the time of streams/ shows'
like "$(says mkdir "$q/made")" 'File exists' 'mkdir of a taken name'
like "$(says mkdir "$q/bad name")" 'Invalid' 'mkdir of a bad name'

# its time is that of its last writing: copies by size and time are of what it says now
echo 'timed: packets | head 1' >"$q/new"
made=$(stat -c %.9Y "$q/timed")
copied() { rsync -t "$q/timed/spec" "$T/copy" && cat "$T/copy"; }
is "$(copied)" 'timed: packets | head 1' 'rsync copies a spec'
wait_for 10 eval '[ "$(date +%s)" -gt "$(stat -c %Y "$T/copy")" ]' # it compares seconds
echo 'timed: packets | head 2' >"$q/timed/spec"
is "$(copied)" 'timed: packets | head 2' 'and again after one of the same size'
at=$(stat -c '%.9Y %.9Z' "$q/timed/spec")
is "${at#* }" "${at% *}" 'its ctime is its mtime'
[[ ${at% *} > $made && ! ${at% *} > $(date +%s.%N) ]]
result $? 'the time of the writing'
echo restart >"$q/timed/ctl"
is "$(stat -c '%.9Y %.9Z' "$q/timed/spec")" "$at" 'a restart leaves it'
(echo 'timed: packets | hed 3' >"$q/timed/spec") 2>/dev/null
is "$(stat -c '%.9Y %.9Z' "$q/timed/spec")" "$at" 'and so does a text that is refused'

# ---- ctl
echo restart >"$q/a/ctl"
is "$(rows a)" 3 'restart'
exec 4<"$q/a/log"
for i in {1..15}; do yes refresh | head -1000 >"$q/a/ctl"; done # 435 KB of lines
echo flush >"$q/a/ctl"
like "$(tail -n 1 "$q/a/log")" ' flush$' 'the last line of a long log is what happened last'
like "$(head -n 1 "$q/a/log")" '^[0-9TZ:-]* refresh$' 'it begins with a whole line'
[ "$(stat -c %s "$q/a/log")" -lt 100000 ]
result $? 'and has lost its beginning'
is "$(cat <&4 2>&1 | tail -n 1 | sed 's/.*: //')" 'Stale file handle' 'which reads as ESTALE where it is open'
exec 4<&-
[ "$(stat -c %Y "$q/a/log")" -ge "$(date +%s -d "$(tail -n 1 "$q/a/log" | cut -d' ' -f1)")" ]
result $? "its time is that of its last line"
(echo frobnicate >"$q/a/ctl") 2>"$T/err"
like "$(cat "$T/err")" 'Invalid argument' 'an unknown command: EINVAL'
(printf 'flush\n  restrat\n' >"$q/a/ctl") 2>/dev/null
is "$(tail -n 3 "$q/errors")" "a: unknown command 'restrat' (did you mean 'restart'?)
  restrat
  ^" 'which queries/errors shows'
cp "$trace" "$T/goes.pcap"
echo "goes: pcapfile $T/goes.pcap | head 1" >"$q/new"
is "$(rows goes)" 1 'a query over a file of its own'
rm "$T/goes.pcap"
(echo restart >"$q/goes/ctl") 2>"$T/err"
like "$(cat "$T/err")" 'No such file' 'that is gone at the restart: ENOENT'
is "$(tail -n 2 "$q/errors" | sed "s|$T|T|")" "  pcapfile T/goes.pcap | head 1
$(printf '%*s' 11 '')^" 'with its place in the spec'
is "$(rows goes)" 1 'its answer so far stays'
exec 3<>"$q/a/ctl"
echo stop >&3
read -r state <&3
exec 3>&-
like "$state" 'done|stopped' 'ctl reads back the state'

# ---- directories
like "$(says rmdir "$m/sources")" 'not permitted' 'rmdir of a fixed folder: EPERM'
like "$(says rm "$q/a/spec")" 'not permitted' 'unlink: EPERM'
like "$(says mv "$q/a" "$q/aa")" 'not permitted' 'rename: EPERM'
like "$(says touch "$q/a/x")" 'not permitted' 'create: EPERM'
like "$(says mkdir "$m/x")" 'not permitted' 'mkdir elsewhere: EPERM'
like "$(says ln -s x "$q/x")" 'not permitted' 'symlink: EPERM'
like "$(says ln "$q/new" "$q/y")" 'not permitted' 'link: EPERM'
(echo x >"$q/a/out.csv") 2>"$T/err"
[ $? != 0 ]
result $? 'a result cannot be written'
exec 4<"$q/i/out.csv" 5<"$q/i/status" 6<"$q/i/records/0/1"
exec 7>"$q/i/spec" 8>"$q/i/ctl"
ok 'rmdir removes a query, files and all' rmdir "$q/i"
like "$(perl -e 'open F, ">&=8"; syswrite F, "restart\n" or print $!' 2>&1)" 'No such file' 'no ctl that is open still starts it again: ENOENT'
like "$(perl -e 'open F, ">&=7"; syswrite F, "packets | group count()\n"; close F or print $!' 2>&1)" 'No such file' 'nor a spec'
exec 7>&- 8>&-
[ ! -e "$q/i" ]
result $? 'it is gone'
is "$(tail -n +2 <&4 | wc -l)" 9 'an open result stays readable'
like "$(cat <&5)" 'state: done' 'an open status too'
like "$(cat <&6)" '^ts: ' 'an open record too'
exec 4<&- 5<&- 6<&-
echo 'i: packets | head 4' >"$q/new"
is "$(rows i)" 4 'the name can be used again'
remembered() { sed -n 's/^weir_fs_states //p' "$m/metrics"; }
wait_for 10 eval '[ "$(remembered)" -lt 250 ]'
result $? "of 300 removed queries nothing is left ($(remembered) files are remembered)"

# what was read of a query goes with it, long before what was read of others
versions() { sed -n 's/^weir_fs_versions //p' "$m/metrics"; }
before=$(versions)
for i in $(seq 20); do
	echo "v$i: packets | group srcip count()" >"$q/new"
	query_ended "$m" "v$i"
	cat "$q/v$i"/out.{csv,tsv,txt,json} >"$T/v"
done
# the text of metrics may be a second old
wait_for 10 eval 'kept=$(versions); [ "$kept" -ge $((before + 80)) ]'
result $? "versions of 20 queries are kept ($before and then $kept)"
rmdir "$q"/v{1..20}
wait_for 20 eval '[ "$(versions)" -le $((kept - 80)) ]'
result $? "of removed ones none are ($(versions))"

# looking at a spec takes time by its length, however often a word is looked up and in however small pieces it
# comes: these take a fraction of a second, and half a minute where each is looked at from the beginning
{ seq -f 'd%05.0f:-head 3' 9999; printf 'z:-head 3\ns|z'; head -c 400000 /dev/zero | sed 's/\x0/|z/g'; echo; } >"$T/spec"
like "$(timeout 8 cp "$T/spec" "$q/new" 2>&1; echo "exit $?")" 'exit 1$' '10,000 definitions, and 400,000 stages that name the last of them'
{ seq -f 'd%05.0f:-head 3' 9999; echo 's | d00004'; } >"$T/spec"
ok '10,000 definitions in 7,000 pieces' timeout 8 dd if="$T/spec" of="$q/new" bs=24 status=none
finish
