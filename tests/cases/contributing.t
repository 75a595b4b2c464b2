#!/bin/bash
# SPDX-License-Identifier: MIT
# Follows CONTRIBUTING.md in a copy of the source: a new module is one new file.
. "$(dirname "$0")/../lib.sh"
need git
[ -n "${WEIR_SANITIZED:-}" ] && skip_all 'done without sanitizers'
trace=$(realpath "$(sample)")

mkdir "$T/copy"
git ls-files -z | tar -c --null -T - 2>/dev/null | tar -C "$T/copy" -x
cp -a "$BUILD" "$T/copy/build"
cd "$T/copy" || exit 1
git init -q . && git add -A && git -c user.name=t -c user.email=t@localhost commit -qm copy
sed -n '/^```c$/,/^```$/p' CONTRIBUTING.md | sed '1d;$d' >engine/modules/nth.c
is "$(git status --porcelain)" '?? engine/modules/nth.c' 'the module is one new file'
ok 'it builds' make -s BUILD=build
ok 'it is formatted' clang-format --dry-run -Werror engine/modules/nth.c
like "$(build/weir modules nth)" '^usage: nth N$' 'its page has the usage line'
like "$(build/weir modules)" '^nth +pass every N-th record$' 'the list has it'
like "$(build/weir modules --man)" '^\.Ss nth: pass every N-th record$' 'the man page has it'
# 20,000 packets, one in a thousand
is "$(build/weir run 'packets | nth 1000 | print ts' "$trace" | tail -n +2 | wc -l)" 20 'it passes one in N'
is "$(build/weir run 'packets | nth 1000 | print ts' "$trace" | sed -n 2p)" \
	"$(tshark -r "$trace" -c 1000 -T fields -e frame.time_epoch 2>/dev/null | tail -1 | sed 's/000$//')" 'the right ones'
out=$(build/weir check 'packets | nth 0' 2>&1)
is $? 1 'a value out of range is refused'
is "$(tail -2 <<<"$out")" "$(printf '  packets | nth 0\n                ^')" 'with a caret under it'
git status --porcelain >"$T/status"
is "$(cat "$T/status")" '?? engine/modules/nth.c' 'nothing else has changed'
finish
