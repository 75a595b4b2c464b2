# SPDX-License-Identifier: MIT
# growing.sh: what cases about files that grow share. Sourced after lib.sh; the mount is at $m.
lines() { tail -n +2 "$1" | wc -l; }
has() { [ "$(lines "$1")" = "$2" ]; }
gone() { [ ! -d "/proc/$1" ]; }
stat_of() { awk -v k="$2:" '$1 == k { print $2 }' "$m/sources/$1/stats"; } # SOURCE KEY
stat_is() { [ "$(stat_of "$1" "$2")" = "$3" ]; }
ask() { echo "$1: $2" >"$m/queries/new"; } # NAME QUERY
unmount() {
	fusermount3 -u "$m"
	wait "${lib_pids[-1]}"
}
