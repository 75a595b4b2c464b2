#!/bin/bash
# SPDX-License-Identifier: MIT
# Every error that a spec can bring about: its message, its line, its caret (tests/errors/README); and that
# every row of the catalogue has a case.
. "$(dirname "$0")/../lib.sh"
declare -A seen

# one: the case in $id, $spec[], $shell, $caret, $message
one() {
	local want=("weir: $message") got i
	if [ "$shell" ]; then
		bash -c "$shell" >"$T/spec"
	else
		printf '%s\n' "${spec[@]}" >"$T/spec"
	fi
	for i in "${!spec[@]}"; do
		[ "$i" = "$caret_line" ] && want+=("  ${spec[i]}" "  $caret")
	done
	"$WEIR" check -f "$T/spec" >"$T/got" 2>&1 </dev/null
	got=$?
	printf '%s\n' "${want[@]}" >"$T/want"
	same "$T/got" "$T/want" "$file: $id: $message"
	[ $got = 1 ] || is $got 1 "$file: $id: exit status"
	seen[$id]=1
}

for file in tests/errors/*.err; do
	id=
	while IFS= read -r line || [ "$line" ]; do
		if [ -z "$id" ]; then
			[[ $line =~ ^'# '([A-Z0-9_]+)$ ]] || continue
			id=${BASH_REMATCH[1]} spec=() shell='' caret='' caret_line=-1
		elif [[ $line == '= '* ]]; then
			message=${line#= }
			one
			id=
		elif [[ $line == '$ '* ]]; then
			shell=${line#\$ }
		elif [[ $line =~ ^[[:space:]]*\^$ ]]; then
			caret=$line caret_line=$((${#spec[@]} - 1))
		else
			spec+=("$line")
		fi
	done <"$file"
done

while read -r id where; do
	[[ $id == '#'* ]] && continue
	ok "$id is covered by $where" grep -q "$id" "$where"
	seen[$id]=1
done <tests/errors/elsewhere

for id in $(sed -nE 's/^[[:space:]]*X\(([A-Z0-9_]+), E[A-Z]+, .*/\1/p' include/weir/error.h); do
	[ "${seen[$id]:-}" ] || is 'no case' 'a case' "$id of the catalogue"
done
finish
