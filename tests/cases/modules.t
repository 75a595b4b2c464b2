#!/bin/bash
# SPDX-License-Identifier: MIT
# Each module's page is whole, and its example runs on the sample trace.
. "$(dirname "$0")/../lib.sh"
trace=$(realpath "$(sample)")
names=$("$WEIR" modules | cut -d' ' -f1)
[ -n "$names" ] || { result 1 'there are modules'; finish; }
cd "$T" || exit 1
cp "$trace" trace.pcap
for m in $names; do
	page=$("$WEIR" modules "$m")
	example=$(sed -n '/^example:$/,$p' <<<"$page" | sed '1d;s/^  //')
	like "$page" "^usage: $m" "$m: usage"
	[ -n "$example" ] || { result 1 "$m: has an example"; continue; }
	like "$example" "\\b$m\\b" "$m: the example shows it"
	ok "$m: example: $example" timeout 60 "$WEIR" run "$example" trace.pcap
done
finish
