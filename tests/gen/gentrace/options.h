/* SPDX-License-Identifier: MIT */
/* options.h: what the command line asks for, as all files of the generator see it. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
	uint64_t packets, flows, hosts, rate, seed, start;
	uint64_t snaplen, scan, flood; /* scan, flood: packets of a million */
	bool ns, big, ng, swap;        /* swap: the file's byte order is not the machine's */
	const char *path;
};

extern struct options opt;

void options_parse(int argc, char **argv);
void die(const char *what); /* errno says why */

#endif
