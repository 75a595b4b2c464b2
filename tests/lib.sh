# SPDX-License-Identifier: MIT
# lib.sh: what the cases share: TAP lines, a private folder, a private mount.
#
# A case starts with
#	. "$(dirname "$0")/../lib.sh"
# runs from the root of the repository, and ends with `finish`. $T is its own folder, removed at the end, with
# whatever was mounted in it unmounted. Oracles are other programs; nothing waits by the clock.
set -u
BUILD=${BUILD:-build}
WEIR=${WEIR:-$PWD/$BUILD/weir}
GENTRACE=$BUILD/tests/gen/gentrace
DATA=${DATA:-../shared/data}
LC_ALL=C.UTF-8
export LC_ALL
T=$(mktemp -d)
tap_n=0
tap_bad=0
lib_pids=()
lib_mounts=()

# is_mine PID: a child that is there still. Numbers of processes come again within minutes, and the next to have
# that of one that has ended is perhaps another case's
is_mine() {
	local s
	{ read -r s <"/proc/$1/stat"; } 2>/dev/null || return 1
	read -r _ s _ <<<"${s##*) }"
	[ "$s" = $$ ]
}

lib_cleanup() {
	local m p
	# a signal may reach a child before it has let go of our traps
	[ "$BASHPID" = $$ ] || return
	for m in "${lib_mounts[@]}"; do
		mountpoint -q "$m" && { fusermount3 -u "$m" || fusermount3 -uz "$m"; } 2>/dev/null
	done
	for p in "${lib_pids[@]}"; do
		is_mine "$p" || continue
		kill "$p" 2>/dev/null
		wait "$p" 2>/dev/null
	done
	rm -rf "$T"
}
trap lib_cleanup EXIT
trap 'exit 130' INT TERM HUP

# result OK DESCRIPTION: OK is 0 for a pass
result() {
	tap_n=$((tap_n + 1))
	if [ "$1" = 0 ]; then
		printf 'ok %d - %s\n' "$tap_n" "${*:2}"
	else
		printf 'not ok %d - %s\n' "$tap_n" "${*:2}"
		tap_bad=$((tap_bad + 1))
	fi
}

note() { printf '%s\n' "$@" | sed 's/^/# /'; }

# ok DESCRIPTION COMMAND…: the command succeeds
ok() {
	local d=$1 r
	shift
	"$@" >"$T/.ok" 2>&1
	r=$?
	result $r "$d"
	[ $r = 0 ] || { note "exit $r: $*"; head -20 "$T/.ok" | sed 's/^/# /'; }
	return $r
}

# is GOT WANTED DESCRIPTION
is() {
	if [ "$1" = "$2" ]; then
		result 0 "$3"
	else
		result 1 "$3"
		note "got:    $1" "wanted: $2" | head -40
		return 1
	fi
}

# like GOT REGEX DESCRIPTION (extended)
like() {
	if grep -qE -- "$2" <<<"$1"; then
		result 0 "$3"
	else
		result 1 "$3"
		note "got:       $1" "wanted: /$2/" | head -40
		return 1
	fi
}

# same FILE FILE DESCRIPTION
same() {
	if cmp -s "$1" "$2"; then
		result 0 "$3"
	else
		result 1 "$3"
		diff "$2" "$1" 2>&1 | head -20 | sed 's/^/# /'
		return 1
	fi
}

skip() { # skip DESCRIPTION REASON
	tap_n=$((tap_n + 1))
	printf 'ok %d - %s # SKIP %s\n' "$tap_n" "$1" "$2"
}

skip_all() { # skip_all REASON
	printf '1..0 # SKIP %s\n' "$*"
	exit 0
}

need() { # need PROGRAM…: or skip the file
	local p
	for p; do
		command -v "$p" >/dev/null || skip_all "$p is not installed"
	done
}

need_data() { [ -e "$DATA/$1" ] || skip_all "$DATA/$1 is not here"; }

need_fuse() { [ -c /dev/fuse ] && [ -r /dev/fuse ] || skip_all 'no /dev/fuse'; }

# nap SECONDS: without a process; each of a shell's makes the next clash of numbers likelier, which bash 5.2
# can wait for ever after
exec {lib_nap}<> <(:)
nap() { read -rt "$1" -u "$lib_nap"; }

# wait_for SECONDS COMMAND…: polls until the command succeeds
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		nap 0.02
	done
	return 0 # not what the last read gave
}

# freeze PID: stops all its threads; kill is back before they stand
freeze() {
	kill -STOP "$1"
	wait_for 10 stands "$1"
}
stands() { ! grep -h '^State:' /proc/"$1"/task/*/status | grep -qv 'T (stopped)'; }

# mount_weir DIR SOURCE… [-o …]: mounts in the foreground as a child, waits until it is there
mount_weir() {
	local dir=$1
	shift
	mkdir -p "$dir"
	"$WEIR" -f "$@" "$dir" >"$T/weir.log" 2>&1 &
	lib_pids+=($!)
	lib_mounts+=("$dir")
	wait_for 20 test -e "$dir/queries/new" && return
	note "weir did not mount:" "$(head -5 "$T/weir.log")"
	return 1
}

# mount_pipe DIR TRACE [OPTION…]: mounts a FIFO as source `net`; descriptor 7 writes to it, and the trace's file
# header, of 24 bytes, is through
mount_pipe() {
	mkdir -p "$1"
	rm -f "$T/f"
	mkfifo "$T/f"
	lib_mounts+=("$1")
	"$WEIR" -f net="$T/f" "$1" "${@:3}" 2>"$T/weir.log" &
	lib_pids+=($!)
	exec 7<>"$T/f"
	head -c 24 "$2" >&7
	wait_for 20 test -e "$1/queries/new"
}

# query_ended DIR NAME: waits until it is done; false where it failed
query_ended() {
	wait_for "${3:-30}" grep -qE '^state: *(done|failed|stopped)' "$1/queries/$2/status" &&
		grep -qE '^state: *done' "$1/queries/$2/status"
}

# sample: the path of the generated sample trace: 20,000 packets in 20 seconds
sample() {
	local f=$BUILD/sample.pcap
	if [ ! -s "$f" ] || [ "$GENTRACE" -nt "$f" ]; then
		"$GENTRACE" -n 20000 -r 1000 -w "$f.$$" && mv "$f.$$" "$f"
	fi
	printf '%s\n' "$f"
}

finish() {
	printf '1..%d\n' "$tap_n"
	exit $((tap_bad > 0))
}
