/* SPDX-License-Identifier: MIT */
/* readme.c: see describe.h. What README shows works as it stands in this mount. */
#include "engine/core/registry.h"
#include "fs/describe.h"
#include "fs/doc.h"
#include <string.h>

const char *describe_type_name(uint32_t i)
{
	struct weir_schema *s = doc_schema_at(i);
	const char *name = s ? s->name : NULL;

	weir_schema_unref(s); /* the engine keeps it */
	return name;
}

int describe_type(uint32_t i, struct text *to)
{
	struct weir_schema *s = doc_schema_at(i);

	if (!s)
		return -ESTALE;
	if (to)
		doc_schema(s, to);
	weir_schema_unref(s);
	return 0;
}

const char *describe_operator_name(uint32_t i)
{
	const struct weir_module *m;
	uint32_t n = 0;

	while ((m = registry_module_at(n)) != NULL)
		if (n++ == i)
			return m->name;
	return registry_source_at(i - n) ? registry_source_at(i - n)->name : NULL;
}

int describe_operator(uint32_t i, struct text *to)
{
	const char *name = describe_operator_name(i);

	if (!name)
		return -ESTALE;
	return to ? doc_named(name, to) : 0;
}

void describe_mount(struct fs *fs, struct text *to)
{
	const char *m = fs->mountpoint, *s = engine_source_name(fs->engine, 0);

	text_printf(to,
	        "weir " WEIR_VERSION ": network traffic as files\n\n"
	        "Ask:      echo 'top: packets | group srcip sum(len) as bytes | sort -r bytes | "
	        "head 10'"
	        " > %s/queries/new\n"
	        "Read:     cat %s/queries/top/out.csv      (out.tsv out.txt out.json; out.pcap of "
	        "packets)\n"
	        "Watch:    tail -f %s/queries/NAME/out.csv where rows stream, watch cat … where "
	        "they roll\n"
	        "Stream:   cat %s/streams/NAME             (waits for rows, ends with the query)\n"
	        "Rows:     getfattr -d %s/queries/top/records/0/0\n"
	        "State:    cat %s/queries/top/status       (log, plan, graph.dot)\n"
	        "Counters: cat %s/metrics                  (OpenMetrics text)\n"
	        "Command:  echo pause > %s/queries/top/ctl (resume stop cancel restart refresh "
	        "flush reset)\n"
	        "Change:   echo 'packets | count' > %s/queries/top/spec\n"
	        "Remove:   rmdir %s/queries/top\n\n"
	        "In a script, on one descriptor:\n"
	        "          exec 3<>%s/queries/new; echo 'packets | head 5' >&3; read name <&3\n\n"
	        "Wrong?    cat %s/queries/errors\n"
	        "Words:    ls %s/modules; cat %s/modules/uniq; cat %s/types/packet\n\n"
	        "Sources of this mount:\n",
	        m, m, m, m, m, m, m, m, m, m, m, m, m, m, m);
	for (size_t i = 0; (s = engine_source_name(fs->engine, i)) != NULL; i++)
		text_printf(to, "          %s  (cat %s/sources/%s/info)\n", s, m, s);
	text_puts(to,
	        "\nA second question about a trace is answered from memory where headers are all "
	        "it "
	        "needs;\nsources/*/info says what is kept.\n"
	        "\nA spec begins with a source's name, or with `packets`, which is all of them.\n");
}
