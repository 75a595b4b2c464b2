/* SPDX-License-Identifier: MIT */
/* options.c: the command line. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options opt = {
        .packets = 2000000,
        .rate = 20000,
        .seed = 1,
        .start = 1767225600,
        .snaplen = 262144,
        .scan = 10000,
        .flood = 5000,
        .path = "-",
};
void die(const char *what)
{
	fprintf(stderr, "gentrace: %s: %s\n", what, strerror(errno));
	exit(1);
}

struct parameter {
	struct option o;
	uint64_t *number;
	bool *flag;
	uint64_t min, max;
	const char *arg, *doc;
};

static const struct parameter parameters[] = {
        {{"packets", 1, 0, 'n'}, &opt.packets, 0, 1, 1ull << 40, "N", "packets to write (2000000)"},
        {{"flows", 1, 0, 'f'}, &opt.flows, 0, 1, 1ull << 40, "N",
                "flows to aim at, counted one way (.2135 a packet)"},
        {{"hosts", 1, 0, 'H'}, &opt.hosts, 0, 2, 1 << 22, "N", "hosts that talk (.023 a packet)"},
        {{"snaplen", 1, 0, 's'}, &opt.snaplen, 0, 1, 262144, "BYTES", "cut packets to this length"},
        {{"rate", 1, 0, 'r'}, &opt.rate, 0, 1, 1000000000, "N", "packets a second (20000)"},
        {{"seed", 1, 0, 'S'}, &opt.seed, 0, 0, UINT64_MAX, "N", "seed (1)"},
        {{"start", 1, 0, 't'}, &opt.start, 0, 0, 4000000000, "SECONDS", "time of the first packet"},
        {{"scan", 1, 0, 'p'}, &opt.scan, 0, 0, 500000, "N",
                "port scan, steps in a million (10000)"},
        {{"flood", 1, 0, 'y'}, &opt.flood, 0, 0, 500000, "N",
                "SYN flood, steps in a million (5000)"},
        {{"nanoseconds", 0, 0, 'N'}, 0, &opt.ns, 0, 0, 0, "times in nanoseconds, not microseconds"},
        {{"big-endian", 0, 0, 'b'}, 0, &opt.big, 0, 0, 0, "write the other byte order"},
        {{"pcapng", 0, 0, 'g'}, 0, &opt.ng, 0, 0, 0, "write pcapng"},
        {{"write", 1, 0, 'w'}, 0, 0, 0, 0, "FILE", "where to (standard output)"},
};
enum { PARAMETERS = sizeof parameters / sizeof *parameters };

static void usage(FILE *to)
{
	fprintf(to, "usage: gentrace [OPTION…]\nWrites a packet trace, deterministic by seed.\n\n");
	for (const struct parameter *p = parameters; p < parameters + PARAMETERS; p++)
		fprintf(to, "  -%c, --%-12s %-8s %s\n", p->o.val, p->o.name, p->arg ? p->arg : "",
		        p->doc);
}

void options_parse(int argc, char **argv)
{
	struct option longs[PARAMETERS + 2] = {{"help", 0, 0, 'h'}};
	char shorts[2 * PARAMETERS + 2] = "h", *s = shorts + 1, *end;
	int o;

	for (int i = 0; i < PARAMETERS; i++) {
		longs[i + 1] = parameters[i].o;
		*s++ = (char)parameters[i].o.val;
		if (parameters[i].o.has_arg)
			*s++ = ':';
	}
	while ((o = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct parameter *p = parameters;

		while (p < parameters + PARAMETERS && p->o.val != o)
			p++;
		if (p == parameters + PARAMETERS) {
			usage(o == 'h' ? stdout : stderr);
			exit(o == 'h' ? 0 : 2);
		}
		if (p->flag)
			*p->flag = true;
		if (o == 'w')
			opt.path = optarg;
		if (!p->number)
			continue;
		errno = 0;
		*p->number = strtoull(optarg, &end, 10);
		if (errno || end == optarg || *end || *p->number < p->min || *p->number > p->max) {
			fprintf(stderr, "gentrace: bad value '%s' for --%s\n", optarg, p->o.name);
			exit(2);
		}
	}
	if (optind < argc) {
		usage(stderr);
		exit(2);
	}
}
