/* SPDX-License-Identifier: MIT */
/* metrics.c: OpenMetrics text; see metrics.h. Source: OpenMetrics 1.0, sections "Text Format" and
 * "Metric Types". */
#include "engine/core/metrics.h"

#include <stdio.h>

#include "engine/core/put.h"

#define SHORT 200 /* bytes of a label's value that are shown */

void metric_head(const struct metric *m, struct text *to)
{
	text_printf(to, "# TYPE %s %s\n", m->name, m->type == METRIC_COUNTER ? "counter" : "gauge");
	if (m->unit)
		text_printf(to, "# UNIT %s %s\n", m->name, m->unit);
	text_printf(to, "# HELP %s %s\n", m->name, m->help);
}

/* Length of the UTF-8 sequence at s, 0 where there is none (RFC 3629). The string ends with 0, so
 * nothing behind it is read. */
static unsigned sequence(const unsigned char *s)
{
	unsigned n = s[0] < 0x80   ? 1
	             : s[0] < 0xc2 ? 0
	             : s[0] < 0xe0 ? 2
	             : s[0] < 0xf0 ? 3
	             : s[0] < 0xf5 ? 4
	                           : 0;

	for (unsigned i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static void label(const char *value, struct text *to)
{
	const unsigned char *s = (const unsigned char *)value;
	size_t shown = 0;

	while (*s && shown < SHORT) {
		unsigned n = sequence(s);

		if (n == 0)
			text_puts(to, "\xef\xbf\xbd");
		else if (*s == '\n')
			text_puts(to, "\\n");
		else if (*s == '"' || *s == '\\')
			text_printf(to, "\\%c", *s);
		else
			text_add(to, (const char *)s, n);
		s += n ? n : 1;
		shown += n ? n : 1;
	}
	if (*s)
		text_puts(to, "…");
}

void metric_sample(const struct metric *m, const char *const *labels, struct text *to)
{
	text_puts(to, m->name);
	if (m->type == METRIC_COUNTER)
		text_puts(to, "_total");
	for (int i = 0; labels && labels[i]; i += 2) {
		text_printf(to, "%s%s=\"", i ? "," : "{", labels[i]);
		label(labels[i + 1] ? labels[i + 1] : "", to);
		text_puts(to, "\"");
	}
	text_puts(to, labels && labels[0] ? "} " : " ");
}

void metric_u64(const struct metric *m, const char *const *labels, uint64_t v, struct text *to)
{
	char number[24];

	metric_sample(m, labels, to);
	text_add(to, number, (size_t)(put_u64(number, v) - number));
	text_puts(to, "\n");
}

void metric_ns(const struct metric *m, const char *const *labels, int64_t ns, struct text *to)
{
	if (ns < 0)
		ns = 0;
	metric_sample(m, labels, to);
	text_printf(
	        to, "%lld.%09lld\n", (long long)(ns / 1000000000), (long long)(ns % 1000000000));
}
