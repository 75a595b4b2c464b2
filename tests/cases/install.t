#!/bin/bash
# SPDX-License-Identifier: MIT
# make install puts everything in its place, a module author finds the headers, and uninstall
# takes all of it away.
. "$(dirname "$0")/../lib.sh"
[ -n "${WEIR_SANITIZED:-}" ] && skip_all 'done without sanitizers'
to=$T/root
unset MAKEFLAGS
ok 'make install' make -s install DESTDIR="$to" prefix=/usr BUILD="$BUILD"
for f in bin/weir lib/pkgconfig/weir.pc include/weir/module.h share/man/man1/weir.1 share/man/man5/weir.5 share/man/man7/weir-query.7 \
	share/man/man7/weir-modules.7 share/man/man3/weir-module.3 share/bash-completion/completions/weir lib/systemd/system/weir@.service lib/sysusers.d/weir.conf; do
	ok "$f" test -s "$to/usr/$f"
done
ok 'the installed command runs' "$to/usr/bin/weir" modules
printf '#include <weir/source.h>\nint main(void) { return WEIR_ABI - 1; }\n' >"$T/x.c"
flags=$(PKG_CONFIG_PATH=$to/usr/lib/pkgconfig pkg-config --define-prefix --cflags weir)
ok 'weir.pc finds the headers' cc -Wall -Werror $flags -o "$T/x" "$T/x.c"
is "$(PKG_CONFIG_PATH=$to/usr/lib/pkgconfig pkg-config --variable=prefix weir)" /usr 'weir.pc has the prefix'
ok 'make uninstall' make -s uninstall DESTDIR="$to" prefix=/usr BUILD="$BUILD"
is "$(find "$to" -type f)" '' 'nothing is left'
finish
