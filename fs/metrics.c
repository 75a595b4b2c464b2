/* SPDX-License-Identifier: MIT */
/* metrics.c: see describe.h: the text of `metrics`, made when somebody looks it up. What the engine
 * counts, then what the mount does. */
#include "engine/core/metrics.h"
#include "fs/describe.h"
#include "fs/serve.h"
#include "fs/state.h"
#include "fs/stream.h"
#include "fs/version.h"
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static void requests(struct fs *fs, struct text *to)
{
	static const struct metric m = {
	        "weir_fs_requests", METRIC_COUNTER, NULL, "Requests of the kernel, by kind."};

	metric_head(&m, to);
	for (unsigned i = 0; i < FS_REQUESTS; i++) {
		const char *labels[] = {"kind", serve_request_name(i), NULL};

		if (labels[1])
			metric_u64(&m, labels,
			        atomic_load_explicit(&fs->requests[i], memory_order_relaxed), to);
	}
}

static void files(struct fs *fs, struct text *to)
{
	static const struct metric states = {"weir_fs_states", METRIC_GAUGE, NULL,
	        "Files and folders whose last version or time is remembered."};
	static const struct metric versions = {
	        "weir_fs_versions", METRIC_GAUGE, NULL, "Versions of files that are kept."};

	static const struct metric bytes = {"weir_fs_version_bytes", METRIC_GAUGE, "bytes",
	        "Bytes of text of versions that are kept."};

	metric_head(&states, to);
	metric_u64(&states, NULL, states_count(fs->states), to);
	metric_head(&versions, to);
	metric_u64(&versions, NULL, versions_count(fs->versions), to);
	metric_head(&bytes, to);
	metric_u64(&bytes, NULL, versions_bytes(fs->versions), to);
}

static void streams(struct fs *fs, struct text *to)
{
	static const struct metric m[] = {
	        {"weir_stream_readers", METRIC_GAUGE, NULL, "Readers of streams now."},
	        {"weir_stream_rows_lost", METRIC_COUNTER, NULL,
	                "Rows that readers of streams were too slow for."},
	        {"weir_stream_versions_lost", METRIC_COUNTER, NULL,
	                "Versions of tables that readers of streams were too slow for."},
	};
	uint32_t readers;
	uint64_t lost[2];

	streams_count(fs->streams, &readers, &lost[0], &lost[1]);
	for (int i = 0; i < 3; i++) {
		metric_head(&m[i], to);
		metric_u64(&m[i], NULL, i ? lost[i - 1] : readers, to);
	}
}

/* Under the names that every exporter uses. */
static void process(struct text *to)
{
	static const struct metric cpu = {
	        "process_cpu_seconds", METRIC_COUNTER, "seconds", "CPU time of the process."};
	static const struct metric memory = {
	        "process_resident_memory_bytes", METRIC_GAUGE, "bytes", "Memory of the process."};
	unsigned long long size = 0, resident = 0;
	struct timespec t = {0};
	FILE *f = fopen("/proc/self/statm", "re");

	if (f) {
		if (fscanf(f, "%llu %llu", &size, &resident) != 2)
			resident = 0;
		fclose(f);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	metric_head(&cpu, to);
	metric_ns(&cpu, NULL, t.tv_sec * NSEC + t.tv_nsec, to);
	metric_head(&memory, to);
	metric_u64(&memory, NULL, resident * (uint64_t)sysconf(_SC_PAGESIZE), to);
}

void describe_metrics(struct fs *fs, struct text *to)
{
	engine_metrics(fs->engine, to);
	requests(fs, to);
	files(fs, to);
	streams(fs, to);
	process(to);
	text_puts(to, "# EOF\n");
}
