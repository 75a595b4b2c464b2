/* SPDX-License-Identifier: MIT */
/* settings.h: what `set KEY VALUE` in a spec can say, as an option table over struct settings. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <weir/option.h>

#define SETTINGS_KEEP_MAX 10000

extern const struct weir_option settings_rows[];
extern const struct weir_option settings_spill[]; /* the size in `set spill DIR SIZE` */

#endif
