/* SPDX-License-Identifier: MIT */
/* cuckoo.h: a set of hashes that grows and keeps a bound on taking a new one for a known one: a
 * cuckoo filter.
 *
 * Of a hash its fingerprint, 32 bits, is kept in one of two buckets of four. The second bucket
 * follows from the first and the fingerprint, so a fingerprint can be moved to make room without
 * its hash. To double, one bit of the fingerprint more becomes the lowest of the bucket's number
 * (all buckets split in place, nothing is hashed again), and one bit fewer tells hashes apart. So
 * after d doublings a look-up meets at most 8 fingerprints that agree by chance with probability
 * 2^-(32 - d) each: at most the error asked for while d is at most 29 + log2(error).
 *
 * B. Fan, D. Andersen, M. Kaminsky, M. Mitzenmacher, Cuckoo filter: practically better than Bloom
 * (CoNEXT 2014); growing by bits of the fingerprint after F. Zhang and others, The logarithmic
 * dynamic cuckoo filter (ICDE 2021), with one table instead of a tree of them.
 */
#ifndef SKETCH_CUCKOO_H
#define SKETCH_CUCKOO_H

#include <weir/module.h>

#define CUCKOO_MIN ((uint64_t)64 << 10)     /* bytes: before the first doubling */
#define CUCKOO_MIN_FINE ((uint64_t)2 << 20) /* the same for errors below CUCKOO_FINE */
#define CUCKOO_FINE 1e-4
#define CUCKOO_ERROR_MIN 1e-6

struct cuckoo {
	struct weir_mem *mem;
	unsigned base; /* log2 of the buckets at first */
	unsigned doubled, doubled_max;
	uint64_t limit;        /* bytes; 0: none */
	double error;          /* asked for */
	uint32_t (*bucket)[4]; /* fingerprints; 0: free */
	size_t size;           /* bytes */
	uint64_t n;            /* fingerprints kept */
	bool last;             /* it could not double when it should have */
	bool full;             /* it took no more since some time */
	uint32_t stray; /* the one that found no room when it became full, in this bucket or its
	                   other */
	uint32_t stray_at;
	uint64_t random;
};

/* The smallest memory for an error. */
static inline uint64_t cuckoo_min(double error)
{
	return error < CUCKOO_FINE ? CUCKOO_MIN_FINE : CUCKOO_MIN;
}

/* `error`: CUCKOO_ERROR_MIN to 1; limit: never more bytes than this, 0: what `mem` gives. 0 or
 * -ENOMEM. */
int cuckoo_init(struct cuckoo *c, struct weir_mem *mem, double error, uint64_t limit);
void cuckoo_release(struct cuckoo *c); /* a zeroed struct is fine */

/* Adds hash[0..n), in order, and writes to fresh[] the places of those that were new, in order.
 * Their number; -ENOMEM: `mem` is exhausted; -EOVERFLOW: the error asked for cannot be kept for
 * more. With a limit, hashes that find no room are new each time, and their number is added to
 * *unkept. */
int cuckoo_add(
        struct cuckoo *c, const uint64_t *hash, uint32_t n, uint16_t *fresh, uint64_t *unkept);

/* The probability that the next new hash is taken for a known one; at most the one asked for. */
double cuckoo_error(const struct cuckoo *c);

/* Adds what is in `from` to `to`, made for the same error. 0; -EINVAL: for another; -ENOSPC: its
 * limit is reached; else as cuckoo_add(). */
int cuckoo_merge(struct cuckoo *to, const struct cuckoo *from);

#endif
