/* SPDX-License-Identifier: MIT */
/* joint.h: one pass over a trace for the queries that arrive together.
 *
 * A *joint pass* reads a trace once, decodes each packet's headers once, and has them in the
 * compact form that the column cache keeps (engine/proto/compact.h), flows numbered. A query that
 * takes part is a *member*: it makes its own batches from the forms, in its own thread, memory and
 * pools, as a query does that the cache serves; so answers, counters, limits, refreshes and errors
 * are those of the query alone. There is no thread that reads: a member that has had all there is
 * fills the next *chunks* of batches, for all; the others that want them wait meanwhile.
 *
 * Why not a feed (feed.h), which is for what can be read only once: it hands packets on as they
 * lie in the file, eight batches at most, so that the slowest sets the pace and each query decodes
 * for itself. Forms are a fifth to a thirtieth of the packets' size, so that members may be
 * millions of packets apart and none waits for another; and they are all that most queries ask for.
 *
 * Who takes part. Queries of a mounted trace of JOINT_BYTES or more that is steady, in regular
 * files, which read what the forms have, decode anything for it (who counts packets or adds lengths
 * up has read the trace three times before a form is made), and are not served by the cache. To
 * make forms is work for one CPU at a time: as long as each thread has a CPU to itself, queries are
 * done sooner with passes of their own. So a query begins by itself, at once; when there are more
 * threads at work on a trace than the machine has CPUs, the one that has come last begins a joint
 * pass from the beginning, and those that are near theirs (JOINT_NEAR packets) go on with that:
 * nobody waits to see who else may come. A query that comes later joins while the pass still holds
 * its beginning, and else begins by itself, or the next one.
 *
 * Who leaves. Members hold one window of forms, JOINT_MEMORY for all passes of an engine, counted
 * for the engine. Where it is full because somebody is that far behind, who wants more waits, but
 * not for longer than half of the time that it has been at it; then those that are furthest behind
 * have to leave. A paused query leaves at once. Who leaves goes on by its own reader, which was
 * open all the while, with its own rights, and passes over what it has had: what reading costs is
 * little for a query that is so slow, and to hold on to its place would cost the others. When the
 * pass cannot go on (an error, no memory) all leave, and each meets by itself what a query alone
 * meets. A query that stops, fails or wants no more just goes.
 *
 * Batches are of the same packets as those of the query's own reader, cut at the same places.
 *
 * Locks: that of all passes (joining, leaving), then a pass's own (moving on to the next chunk),
 * then that of free chunks. None is held while anything is read, decoded or worked on, but for the
 * opening of a pass's reader.
 */
#ifndef JOINT_H
#define JOINT_H

#include "engine/core/reader.h"
#include "engine/core/text.h"

#define JOINT_BYTES (4ull << 20)
#define JOINT_NEAR 262144
#define JOINT_MEMORY (96ull << 20)

struct joints;
struct member;
struct plan_node;
struct run;

struct joints *joints_new(void);     /* NULL: out of memory */
void joints_free(struct joints *js); /* no batch is there any more; NULL is fine */
/* For tests: more than so many threads are a crowd; traces from so many bytes on; of the window. */
void joints_set(struct joints *js, uint32_t cpus, uint64_t bytes, size_t memory);

/* A pass of a run is about to begin, at its only source `n`, whose reader `r` has been opened: it
 * may take part. */
void joint_attach(struct run *run, struct reader *r, const struct plan_node *n);
/* The query is paused: its reader holds up nobody. By the run's thread. */
void joint_rest(struct reader *r);

/* "joint_…" lines about all. */
void joints_text(struct joints *js, struct text *to);

#endif
