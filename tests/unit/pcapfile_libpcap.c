/* SPDX-License-Identifier: MIT */
/* pcapfile_libpcap.c: every capture under $DATA that libpcap opens: the same number of packets, the
 * same lengths, times, link type and bytes.
 *
 * Compressed files are compared with libpcap reading what the compressor's own program gives. Where
 * libpcap stops with an error, what it read before is compared; then ours must either have a fault,
 * too, or be known to read on (see lenient()).
 */
#include "captures.h"

#include <ftw.h>
#include <pcap/pcap.h>

static unsigned files, packets, stopped, longer, differ;

/* What libpcap refuses and we read: several link types or snap lengths, sections in both byte
 * orders, a packet above the interface's snap length. */
static bool lenient(const char *error)
{
	return strstr(error, "different from the type of the first") ||
	       strstr(error, "different from the snapshot length of the first") ||
	       strstr(error, "different byte orders") || strstr(error, "bigger than snaplen");
}

static const char *program(const char *path)
{
	static const struct {
		const char *magic, *program;
	} row[] = {{"\x1f\x8b", "gzip"}, {"\xfd\x37zX", "xz"}, {"\x28\xb5\x2f\xfd", "zstd"},
	        {"\x04\x22\x4d\x18", "lz4"}};
	char head[8] = {0};
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(head, 1, 4, f) : 0;

	if (f)
		fclose(f);
	for (unsigned i = 0; n == 4 && i < 4; i++)
		if (memcmp(head, row[i].magic, strlen(row[i].magic)) == 0)
			return row[i].program;
	return NULL;
}

/* Isochronous transfers of Linux USB: libpcap makes up the length on the wire from descriptors. */
static bool made_up(int dlt)
{
	return dlt == DLT_USB_LINUX_MMAPPED || dlt == DLT_USB_LINUX;
}

static bool same(const struct pcap_pkthdr *h, const uint8_t *data, const struct weir_packet *p,
        int dlt, bool swapped)
{
	int64_t ts = h->ts.tv_sec * 1000000000ll + h->ts.tv_usec;

	if (h->caplen != p->caplen || ts != p->ts || (h->len != p->len && !made_up(dlt)))
		return false;
	/* libpcap turns pseudo headers of files in the other byte order */
	return swapped || memcmp(data, p->data, h->caplen) == 0;
}

static void compare(const char *path, pcap_t *p, const struct got *g, const char *why)
{
	struct pcap_pkthdr *h;
	const uint8_t *data;
	uint32_t n = 0;
	int r;

	while ((r = pcap_next_ex(p, &h, &data)) == 1) {
		if (n < g->n && same(h, data, &g->pk[n], pcap_datalink(p), pcap_is_swapped(p))) {
			n++;
			continue;
		}
		differ++;
		print_error("%s: packet %u: %ld.%09ld %u/%u, ours %s%lld %u/%u\n", path, n,
		        (long)h->ts.tv_sec, (long)h->ts.tv_usec, h->caplen, h->len,
		        n < g->n ? "" : "is not there ", n < g->n ? (long long)g->pk[n].ts : 0,
		        n < g->n ? g->pk[n].caplen : 0, n < g->n ? g->pk[n].len : 0);
		return;
	}
	packets += n;
	if (r != -1 && n != g->n) {
		differ++;
		print_error("%s: libpcap ends after %u, ours after %u\n", path, n, g->n);
	}
	if (r == -1) {
		stopped++;
		longer += g->n > n;
		if (!(g->fault.len && g->n == n) && !lenient(pcap_geterr(p))) {
			differ++;
			print_error("%s: libpcap after %u: %s; ours after %u: %s\n", path, n,
			        pcap_geterr(p), g->n, g->fault.p ? g->fault.p : "fine");
		}
	} else if (g->fault.len) {
		differ++;
		print_error("%s: libpcap is content, ours is not: %s\n", path, g->fault.p);
	}
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *by = program(path);
	char why[PCAP_ERRBUF_SIZE], command[4200];
	struct got g;
	pcap_t *p;
	FILE *f;

	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	snprintf(command, sizeof command, "%s -dc < '%s' 2>/dev/null", by, path);
	f = by ? popen(command, "r") : fopen(path, "r");
	if (!f)
		return 0;
	p = pcap_fopen_offline_with_tstamp_precision(f, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!p) {
		by ? pclose(f) : fclose(f);
		return 0;
	}
	read_files(&g, 0, &path, 1);
	if (g.error) {
		differ++;
		print_error("%s: %s\n", path, g.err.text);
	}
	files++;
	compare(path, p, &g, why);
	got_release(&g);
	pcap_close(p);
	return 0;
}

static void all(void **state)
{
	const char *data = getenv("DATA");

	if (!data)
		data = "../shared/data";
	if (access(data, R_OK) < 0) {
		print_message("no captures at '%s'\n", data);
		skip();
	}
	assert_int_equal(nftw(data, visit, 32, FTW_PHYS), 0);
	print_message("%u files with %u packets compared; libpcap stops early in %u, of which ours "
	              "reads on in %u\n",
	        files, packets, stopped, longer);
	assert_int_equal(differ, 0);
	assert_true(files > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(all)};

	return cmocka_run_group_tests(tests, make_where, remove_where);
}
