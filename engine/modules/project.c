/* SPDX-License-Identifier: MIT */
/* project.c: only these fields, in this order; see print.c. */
#include "engine/core/columns.h"

WEIR_MODULE(project) = {
        .abi = WEIR_ABI,
        .flags = WEIR_PARALLEL | WEIR_VIEWS,
        .name = "project",
        .summary = "keep only the named fields",
        .doc = "The records have the named fields and no others, in this order. A field may be an "
               "expression or a conversion, and 'as NAME' names it. 'print' is the same.",
        .example = "packets | project srcip dstip len*8 as bits | head 5",
        .options = columns_options,
        .config_size = sizeof(struct columns),
        .bind = columns_bind,
        .process = columns_process,
};
