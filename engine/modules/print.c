/* SPDX-License-Identifier: MIT */
/* print.c: what a query shows. The engine renders results, so that all that is left of SMACQ's
 * print is the choice of columns. */
#include "engine/core/columns.h"

WEIR_MODULE(print) = {
        .abi = WEIR_ABI,
        .flags = WEIR_PARALLEL | WEIR_VIEWS,
        .name = "print",
        .summary = "show these fields",
        .doc = "The records have the named fields and no others, in this order: the columns of the "
               "result. A field may be an expression or a conversion ('ts.iso'), and 'as NAME' "
               "names "
               "it. A field that a record lacks is shown as nothing.",
        .example = "packets | print ts srcip dstip srcport dstport len | head 5",
        .options = columns_options,
        .config_size = sizeof(struct columns),
        .bind = columns_bind,
        .process = columns_process,
};
