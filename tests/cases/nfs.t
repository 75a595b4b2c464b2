#!/bin/bash
# SPDX-License-Identifier: MIT
# The tree over NFS: nfs-ganesha exports the mount, libnfs reads it, by NFSv3 and v4; also after
# the kernel and the server have forgotten every inode. In network and mount name spaces of its own.
. "$(dirname "$0")/../lib.sh"
need_fuse
need ganesha.nfsd rpcbind nfs-cat nfs-ls unshare python3
[ "$(id -u)" = 0 ] || skip_all 'needs root'
if [ -z "${WEIR_NFS_INSIDE:-}" ]; then
	unshare -n -m true 2>/dev/null || skip_all 'no name spaces'
	WEIR_NFS_INSIDE=1 exec unshare -n -m bash "$0"
fi
mount -t tmpfs none /run && mkdir -p /run/ganesha /run/rpcbind || skip_all 'no private /run'
ip link set lo up 2>/dev/null || ifconfig lo up || skip_all 'no loopback'
trace=$(sample)
m=$T/m
q=$m/queries
mount_weir "$m" "s=$trace" -o retain=96KB,refresh=250ms || exit 1

cat >"$T/ganesha.conf" <<END
NFS_CORE_PARAM { NFS_Port = 12049; MNT_Port = 12050; Protocols = 3, 4; Enable_NLM = false; Enable_RQUOTA = false; }
NFSv4 { Graceless = true; RecoveryRoot = $T/recovery; Minor_Versions = 0; Lease_Lifetime = 5; }
EXPORT { Export_Id = 1; Path = $m; Pseudo = /weir; Access_Type = RW; Squash = None; SecType = sys;
	Disable_ACL = true; Attr_Expiration_Time = 0; Filesystem_Id = 77.1; FSAL { Name = VFS; } }
END
mkdir "$T/recovery"
rpcbind -f 2>"$T/rpcbind.err" &
lib_pids+=($!)
url() { # url VERSION PATH
	[ "$1" = 3 ] && printf 'nfs://127.0.0.1%s/%s?nfsport=12049&mountport=12050&version=3' "$m" "$2" ||
		printf 'nfs://127.0.0.1/weir/%s?nfsport=12049&version=4' "$2"
}
ncat() { timeout 20 nfs-cat "$(url "$1" "$2")"; }
serve() {
	ganesha.nfsd -F -f "$T/ganesha.conf" -L "$T/ganesha.log" -p "$T/ganesha.pid" >/dev/null 2>&1 &
	server=$!
	lib_pids+=($server)
	wait_for 30 ncat 3 README
}
serve || { tail -5 "$T/ganesha.log" | sed 's/^/# /'; skip_all 'nfs-ganesha does not start here'; }

echo 't: set keep 2 packets | tail 2000 | print ts srcip len' >"$q/new"
echo 'l: packets | head 1500 | print ts srcip len' >"$q/new"
query_ended "$m" t
query_ended "$m" l
kept=queries/t/versions/$(ls "$q/t/versions")
for v in 3 4; do
	is "$(timeout 20 nfs-ls "$(url $v '')" | awk '{print $NF}' | sort | tr '\n' ' ')" 'README metrics modules queries sources status streams types ' "v$v: the root's names"
	for f in queries/t/out.csv queries/t/out.json queries/l/out.csv queries/l/log queries/t/spec modules/head README "$kept/out.csv"; do
		is "$(ncat $v $f | cksum)" "$(cksum <"$m/$f")" "v$v: $f"
	done
	is "$(ncat $v queries/t/records/1/1999)" "$(cat "$q/t/records/1/1999")" "v$v: a record of a table"
	is "$(ncat $v queries/l/records/0/7)" "$(cat "$q/l/records/0/7")" "v$v: a record of a log"
	is "$(timeout 20 nfs-ls "$(url $v queries/l/records/1)" | wc -l)" 500 "v$v: a folder of 500 records"
done

# the kernel forgets its inodes, then the server everything
forget() { sync; echo 2 >/proc/sys/vm/drop_caches; }
for v in 3 4; do
	forget
	is "$(ncat $v queries/t/out.csv | cksum)" "$(cksum <"$q/t/out.csv")" "v$v: a table after the kernel forgot"
	is "$(ncat $v "$kept/out.csv" | cksum)" "$(cksum <"$m/$kept/out.csv")" "v$v: a version that is kept, too"
	forget
	is "$(ncat $v queries/l/out.csv | cksum)" "$(cksum <"$q/l/out.csv")" "v$v: a log after the kernel forgot"
done
kill "$server"
wait "$server" 2>/dev/null
forget
serve
result $? 'the server starts again'
for v in 3 4; do
	is "$(ncat $v queries/t/out.csv | cksum)" "$(cksum <"$q/t/out.csv")" "v$v: a table after the server's restart"
	is "$(ncat $v queries/l/out.csv | cksum)" "$(cksum <"$q/l/out.csv")" "v$v: a log after the server's restart"
done

# handles themselves: what a server keeps
cat >"$T/handle.py" <<'END'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
class Handle(ctypes.Structure):
    _fields_ = [('bytes', ctypes.c_uint), ('type', ctypes.c_int), ('data', ctypes.c_char * 128)]
def take(path):
    h, mnt = Handle(), ctypes.c_int()
    h.bytes = 128
    if libc.name_to_handle_at(-100, path.encode(), ctypes.byref(h), ctypes.byref(mnt), 0) < 0:
        raise OSError(ctypes.get_errno(), path)
    return bytes(h)[:8 + h.bytes]
def read(root, raw):
    h = Handle.from_buffer_copy(raw.ljust(ctypes.sizeof(Handle), b'\0'))
    fd = os.open(root, os.O_RDONLY)
    f = libc.open_by_handle_at(fd, ctypes.byref(h), os.O_RDONLY)
    if f < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if os.path.isdir(f'/proc/self/fd/{f}'):
        return repr(sorted(os.listdir(f))).encode()
    data = b''
    while True:
        d = os.read(f, 65536)
        if not d: return data
        data += d
if __name__ == '__main__':
    what, root = sys.argv[1:3]
    for arg in sys.argv[3:]:
        if what == 'take': print(take(f'{root}/{arg}').hex())
        else:
            try: sys.stdout.buffer.write(read(root, bytes.fromhex(arg)))
            except OSError as e: print(e.errno)
END
handle() { python3 "$T/handle.py" "$@"; }
files='queries/t/out.csv queries/l/out.csv queries/t/status queries/t/records/1/1500 queries/l/records/0/3 queries/l/log README types/packet'
for f in $files; do
	h=$(handle take "$m" "$f")
	want=$(cksum <"$m/$f")
	forget
	is "$(handle read "$m" "$h" | cksum)" "$want" "$f by handle after the kernel forgot"
done
for f in . queries queries/t queries/t/records queries/t/records/1 sources/s; do
	h=$(handle take "$m" "$f")
	want=$(python3 -c 'import os,sys; print(sorted(os.listdir(sys.argv[1])),end="")' "$m/$f" | cksum)
	forget
	is "$(handle read "$m" "$h" | cksum)" "$want" "$f/ by handle after the kernel forgot"
done

# a query written over NFS (nfs-cp only makes new files)
cat >"$T/nfsput.c" <<'END'
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <nfsc/libnfs.h>
int main(int argc, char **argv)
{
	struct nfs_context *nfs = nfs_init_context();
	struct nfs_url *url = nfs_parse_url_full(nfs, argv[1]);
	struct nfsfh *fh;
	size_t len = strlen(argv[2]);
	int r = nfs_mount(nfs, url->server, url->path) || nfs_open(nfs, url->file, O_WRONLY, &fh) ||
		nfs_write(nfs, fh, len, argv[2]) != (int)len || nfs_fsync(nfs, fh) || nfs_close(nfs, fh);
	if (r)
		printf("%s\n", nfs_get_error(nfs));
	return r;
}
END
if cc -o "$T/nfsput" "$T/nfsput.c" -lnfs 2>/dev/null; then
	for v in 3 4; do
		ok "v$v: write, fsync, close" timeout 20 "$T/nfsput" "$(url $v queries/new)" "n$v: packets | head $v"
		is "$(tail -n +2 "$q/n$v/out.csv" 2>/dev/null | wc -l)" $v "v$v: a query is written to queries/new"
		ok "v$v: spec" timeout 20 "$T/nfsput" "$(url $v "queries/n$v/spec")" "packets | head 1$v"
		is "$(tail -n +2 "$q/n$v/out.csv" 2>/dev/null | wc -l)" 1$v "v$v: and replaced"
	done
	# the server opens as root, for v3 once for all: each client's text has that client's rights
	install -m 600 "$trace" "$T/secret.pcap"
	for v in 3 4; do
		as="$(url $v queries/new)&uid=65534&gid=65534"
		ok "v$v: another user's query" timeout 20 "$T/nfsput" "$as" "u$v: packets | head $v"
		is "$(stat -c %u "$q/u$v") $(tail -n +2 "$q/u$v/out.csv" | wc -l)" "65534 $v" "v$v: belongs to that user"
		timeout 20 "$T/nfsput" "$as" "s$v: pcapfile $T/secret.pcap | head 1" >/dev/null 2>&1
		like "$(tail -n 3 "$q/errors" | head -n 1)" "^s$v: .*ermission denied" "v$v: and opens files with that user's rights"
	done
else
	skip 'a query is written over NFS' 'no libnfs-dev'
fi

# handles and a restart of weir: what means the same is found again, the rest is stale
static=$(handle take "$m" README)
dir=$(handle take "$m" queries)
type=$(handle take "$m" types/packet)
old=$(handle take "$m" queries/t/out.csv)
want=$(cksum <"$m/README")
kill "$server"
wait "$server" 2>/dev/null
umount "$m" 2>/dev/null || umount -l "$m"
wait_for 10 eval "! mountpoint -q '$m'"
mount_weir "$m" "s=$trace" -o speed=4,retain=96KB,refresh=250ms || exit 1
is "$(handle read "$m" "$static" | cksum)" "$want" 'README by an old handle after a restart'
is "$(handle read "$m" "$type" | cksum)" "$(cksum <"$m/types/packet")" 'types/packet by an old handle'
is "$(handle read "$m" "$dir" | tr -d '\n')" "['errors', 'new']" 'queries/ by an old handle'
echo 't: packets | tail 2000 | print ts srcip len' >"$q/new"
is "$(handle read "$m" "$old")" 116 "a query's file by an old handle: ESTALE"

# a rolling table and a growing log
serve
echo 'l: packets | print ts srcip len' >"$q/new"
"$WEIR" run -q -F csv 'packets | print ts srcip len' "$trace" >"$T/want"
for v in 3 4 3 4; do
	ncat $v queries/t/out.csv >"$T/t.$v"
	first=$(sed -n 2p "$T/t.$v")
	grep -Fxn -- "$first" "$T/want" | tail -1 | cut -d: -f1 >"$T/at"
	n=$(($(wc -l <"$T/t.$v") - 1))
	is "$(tail -n +2 "$T/t.$v" | cksum)" "$(tail -n +"$(cat "$T/at")" "$T/want" | head -n "$n" | cksum)" "v$v: a rolling table is one whole version ($n rows)"
	ncat $v queries/l/out.csv >"$T/l.$v" 2>"$T/err"
	first=$(sed -n 2p "$T/l.$v")
	grep -Fxn -- "$first" "$T/want" | tail -1 | cut -d: -f1 >"$T/at"
	n=$(($(wc -l <"$T/l.$v") - 1))
	is "$(tail -n +2 "$T/l.$v" | head -n $((n - 1)) | cksum)" "$(tail -n +"$(cat "$T/at")" "$T/want" | head -n $((n - 1)) | cksum)" "v$v: a growing log ($n rows)"
done
query_ended "$m" t
is "$(ncat 3 queries/t/out.csv | cksum)" "$(cksum <"$q/t/out.csv")" 'v3: and the final answer'
is "$(ncat 4 queries/t/out.csv | cksum)" "$(cksum <"$q/t/out.csv")" 'v4: and the final answer'
finish
