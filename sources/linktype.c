/* SPDX-License-Identifier: MIT */
/* linktype.c: what link types are called: libpcap's descriptions.
 *
 * libpcap names its own DLT_ numbers, which differ from those in files (LINKTYPE_) for a few old
 * types between 100 and 110; all others are equal. The library is loaded when somebody asks: it
 * draws in others, and most passes never need it.
 */
#include "sources/linktype.h"

#include <pcap/pcap.h>
#include <weir/late.h>

#define FUNCTIONS(X) X(pcap_datalink_val_to_description)
WEIR_LATE(lib, PCAP_SONAME, FUNCTIONS)

const char *linktype_name(uint16_t linktype)
{
	static const struct {
		uint16_t linktype;
		int dlt;
	} other[] = {
	        {50, DLT_PPP_SERIAL},
	        {51, DLT_PPP_ETHER},
	        {100, DLT_ATM_RFC1483},
	        {101, DLT_RAW},
	        {102, DLT_SLIP_BSDOS},
	        {103, DLT_PPP_BSDOS},
	        {104, DLT_C_HDLC},
	        {106, DLT_ATM_CLIP},
	};
	int dlt = linktype;
	const char *name = NULL;

	for (unsigned i = 0; i < sizeof other / sizeof *other; i++)
		if (other[i].linktype == linktype)
			dlt = other[i].dlt;
	if (weir_late_load(&lib_library) == 0)
		name = lib.pcap_datalink_val_to_description(dlt);
	return name ? name : "unknown";
}
