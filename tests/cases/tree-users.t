#!/bin/bash
# SPDX-License-Identifier: MIT
# Another user through allow_other: queries belong to who wrote them, and open files with the
# writer's rights.
. "$(dirname "$0")/../lib.sh"
need_fuse
need setpriv
[ "$(id -u)" = 0 ] || skip_all 'needs root'
trace=$(sample)
m=$T/m
chmod 755 "$T"
mount_weir "$m" "s=$trace" || exit 1
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
# a descriptor that was handed over has the rights of who writes
exec 5>"$q/mine/ctl"
like "$(nobody bash -c 'echo stop >&5' 2>&1)" 'not permitted' 'a descriptor of root in another hand: EPERM'
exec 5>&-
is "$(as "rmdir $q/theirs && echo gone")" gone 'their own query they may remove'
rmdir "$q/made"
result $? 'root may remove any'
finish
