/* SPDX-License-Identifier: MIT */
/* settings.c: the table of settings. */
#include "engine/core/settings.h"

#include "engine/core/plan.h"

#define AT(field) offsetof(struct settings, field)

static const char *const orders[] = {"arrival", "strict", NULL};
static const char *const sheds[] = {"nothing", "drop", "sample", NULL}; /* enum shed_mode */
static const char *const schedulers[] = {"auto", "depth", "breadth", "workers", NULL};

const struct weir_option settings_rows[] = {
        {WEIR_OPT_DURATION, "refresh", .flags = WEIR_OPT_POSITIONAL, .offset = AT(refresh),
                .min = 0.01, .max = 86400, .arg = "TIME",
                .doc = "how often a table that is looked at is made anew"},
        {WEIR_OPT_DURATION, "late", .flags = WEIR_OPT_POSITIONAL, .offset = AT(late), .min = 0,
                .max = 86400, .arg = "TIME",
                .doc = "how far behind the newest record a record may come and still count in its "
                       "window"},
        {WEIR_OPT_DURATION, "history", .flags = WEIR_OPT_POSITIONAL, .offset = AT(history),
                .min = 0.001, .max = 86400, .arg = "TIME",
                .doc = "how much of the past a query on a live source begins with, as far as it is "
                       "kept"},
        {WEIR_OPT_DURATION, "idle", .flags = WEIR_OPT_POSITIONAL, .offset = AT(idle), .min = 0.001,
                .max = 86400, .arg = "TIME",
                .doc = "how long records may be held up on their way from a source that is not "
                       "read to its end: behind that windows close by the clock"},
        {WEIR_OPT_SIZE, "retain", .flags = WEIR_OPT_POSITIONAL, .offset = AT(retain), .min = 4096,
                .max = 1e12, .arg = "SIZE", .doc = "how much of a log is kept"},
        {WEIR_OPT_U64, "keep", .flags = WEIR_OPT_POSITIONAL, .offset = AT(keep), .min = 0,
                .max = SETTINGS_KEEP_MAX, .arg = "N",
                .doc = "how many versions of a table stand in versions/, as far as retain goes"},
        {WEIR_OPT_SIZE, "memory", .flags = WEIR_OPT_POSITIONAL, .offset = AT(memory), .min = 65536,
                .max = 1e13, .arg = "SIZE", .doc = "most memory that the query may take"},
        {WEIR_OPT_STRING, "spill", .flags = WEIR_OPT_POSITIONAL, .offset = AT(spill),
                .arg = "DIR SIZE",
                .doc = "a folder, and how much of its disk records may take for which the memory "
                       "has no place"},
        {WEIR_OPT_U64, "threads", .flags = WEIR_OPT_POSITIONAL, .offset = AT(threads), .min = 1,
                .max = 256, .arg = "N", .doc = "most threads that work for the query"},
        {WEIR_OPT_U64, "tokens", .flags = WEIR_OPT_POSITIONAL, .offset = AT(tokens), .min = 1,
                .max = 4096, .arg = "N",
                .doc = "most batches of 1,024 records in flight between its threads"},
        {WEIR_OPT_CHOICE, "order", .flags = WEIR_OPT_POSITIONAL, .offset = AT(order),
                .choices = orders, .arg = "ORDER",
                .doc = "the order of records from several sources; traces are merged by time "
                       "either way"},
        {WEIR_OPT_CHOICE, "shed", .flags = WEIR_OPT_POSITIONAL, .offset = AT(shed),
                .choices = sheds, .arg = "WHAT",
                .doc = "what to go without when an interface brings more than the query can take: "
                       "batches (drop), or all but a sample of the flows"},
        {WEIR_OPT_CHOICE, "scheduler", .flags = WEIR_OPT_POSITIONAL, .offset = AT(scheduler),
                .choices = schedulers, .arg = "NAME",
                .doc = "how batches travel through the query; auto: workers where there is more "
                       "than "
                       "one thread and enough to do, else depth"},
        WEIR_OPTIONS_END};

const struct weir_option settings_spill[] = {
        {WEIR_OPT_SIZE, "spill", .flags = WEIR_OPT_POSITIONAL, .offset = AT(spill_size),
                .min = 65536, .max = 1e15, .arg = "SIZE", .doc = "of 'spill', behind the folder"},
        WEIR_OPTIONS_END};
