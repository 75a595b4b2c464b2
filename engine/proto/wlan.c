// SPDX-License-Identifier: MIT
/* wlan.c: IEEE 802.11 frames, bare or behind a radiotap, Prism or AVS header.
 *
 * Only data frames in the clear carry IP: LLC and SNAP follow the header. An encrypted frame has
 * addresses and nothing above; the later fragments of a frame and aggregated frames (A-MSDU)
 * neither.
 *
 * IEEE 802.11-2020 section 9.2; radiotap.org; the Prism and AVS headers as in
 * tcpdump.org/linktypes.html.
 */
#include "engine/proto/layer.h"

/* Where the 802.11 header begins. */
struct wlan {
	uint32_t at;
	bool padded; /* the header is padded to a multiple of 4 */
};

/* | version 0 | pad | length, LE | present, LE, more while bit 31 is set | fields … |
 * Of the fields we want FLAGS (present bit 1): one byte behind TSFT (bit 0), eight aligned ones. */
static bool radiotap(const struct walk *w, struct wlan *ret)
{
	uint32_t len, at = 4, present;

	if (!walk_has(w, 0, 8))
		return false;
	len = get16le(w->p + 2);
	present = (uint32_t)get16le(w->p + 4) | (uint32_t)get16le(w->p + 6) << 16;
	if (len < 8 || !walk_has(w, len, 0))
		return false;
	ret->at = len;
	if (!(present & 2))
		return true;
	do {
		if (at + 4 > len)
			return true;
		at += 4;
	} while (w->p[at - 1] & 0x80);
	if (present & 1)
		at = ((at + 7) & ~7u) + 8;
	if (at < len)
		ret->padded = w->p[at] & 0x20;
	return true;
}

/* | 0x80211001 or 2 | length | …, big endian */
static bool avs(const struct walk *w, struct wlan *ret)
{
	if (!walk_has(w, 0, 8) || get32(w->p) >> 4 != 0x08021100)
		return false;
	ret->at = get32(w->p + 4);
	return ret->at >= 8;
}

/* | message code | message length | device name, 16 |, in the byte order of the capturing host */
static bool prism(const struct walk *w, struct wlan *ret)
{
	uint32_t len;

	if (avs(w, ret))
		return true;
	if (!walk_has(w, 0, 8))
		return false;
	len = get32(w->p + 4);
	if (len & 0xffff0000)
		len = __builtin_bswap32(len);
	ret->at = len;
	return len >= 24;
}

static bool start(const struct walk *w, uint16_t linktype, struct wlan *ret)
{
	ret->at = 0;
	ret->padded = false;
	switch (linktype) {
	case LT_RADIOTAP:
		return radiotap(w, ret);
	case LT_PRISM:
		return prism(w, ret);
	case LT_AVS:
		return avs(w, ret);
	}
	return true;
}

/* | control, 2 | duration, 2 | address 1, 6 | address 2 | address 3 | sequence, 2 |
 * | address 4 (to DS and from DS) | QoS control, 2 | HT control, 4 |
 * Control: version and type in bits 2-3, subtype 4-7; then to DS, from DS, more fragments, retry,
 * power, more data, protected, order. */
static void frame(struct walk *w, struct wlan s)
{
	const uint8_t *h = w->p + s.at;
	uint32_t len = 24;

	if (!walk_has(w, s.at, 24))
		return;
	if ((h[0] & 0x0f) != 0x08 || h[0] & 0x40) /* data, version 0, not a null function */
		return;
	if (h[1] & 0x40 || h[22] & 0x0f)
		return;
	if ((h[1] & 3) == 3)
		len += 6;
	if (h[0] & 0x80) {
		if (!walk_has(w, s.at + len, 2) || h[len] & 0x80)
			return;
		len += h[1] & 0x80 ? 6 : 2;
	}
	if (s.padded)
		len = (len + 3) & ~3u;
	walk_llc(w, s.at + len);
}

void walk_wlan(struct walk *w, uint16_t linktype)
{
	struct wlan s;

	if (start(w, linktype, &s))
		frame(w, s);
}

void walk_wlan_frame(struct walk *w, uint32_t off)
{
	frame(w, (struct wlan){.at = off});
}

bool wlan_address(const struct weir_packet *pk, bool source, uint64_t *ret)
{
	const struct walk w = {.p = pk->data, .lim = pk->caplen};
	/* place of the address by (to DS, from DS): address 1 at 4, 2 at 10, 3 at 16, 4 at 24 */
	static const uint8_t from[4] = {10, 10, 16, 24}, to[4] = {4, 16, 4, 16};
	struct wlan s;
	const uint8_t *h;
	uint32_t at;

	if (!start(&w, pk->linktype, &s) || !walk_has(&w, s.at, 10))
		return false;
	h = pk->data + s.at;
	if ((h[0] & 0x0c) == 0x04) { /* control frames: the receiver, of some also the sender */
		uint8_t subtype = h[0] >> 4;

		if (source && (subtype == 12 || subtype == 13 || subtype < 8))
			return false;
		at = source ? 10 : 4;
	} else {
		unsigned ds = (h[0] & 0x0c) == 0x08 ? h[1] & 3 : 0;

		at = source ? from[ds] : to[ds];
		/* bit 0 is to DS, bit 1 from DS */
	}
	if (!walk_has(&w, s.at + at, 6))
		return false;
	*ret = get48(h + at);
	return true;
}
