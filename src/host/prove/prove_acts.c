/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <string.h>

#include "base/netns.h"
#include "host/host.h"
#include "host/prove/prove_plan.h"

/* What is sent between the steps. Nothing that fails in here stops the list: it is the way back. */

enum { SETTLE_MS = 200 }; /* for a driver that is asked and does it later */

static bool over(const struct prove *p) {
	return p->failed || (p->stop != NULL && *p->stop != 0);
}

static void shoot(struct prove *p, const struct shot *s) {
	if (!over(p))
		air_shoot(&p->air, s, &p->r);
}

static uint64_t mac(const struct prove *p, enum prove_station s) {
	return p->air.st[s].mac;
}

static const uint64_t BROADCAST = 0xffffffffffff;

/* Locally administered, and of this run: who has it by chance? */
static uint64_t nobody(const struct prove *p, unsigned which) {
	return (p->air.run & 0xfffffffffc00) | which << 8 | 0x02;
}

void act_enter(struct prove *p) {
	const struct link *pf = host_link(p->h, p->pf);

	air_init(&p->air, p->stop);
	for (unsigned i = 0; i < PROVE_PAIR && !over(p); i++) {
		char name[IFNAMSIZ];
		int back;

		if (!prove_interface(p, i, name)) {
			err_set(&p->why, ENODEV,
				"the driver made no interface for %s; 'dmesg' may say why",
				p->vf[i]->slot);
			p->failed = true;
			return;
		}
		p->failed = place_take(&p->place[i], name, &p->why) < 0;
		if (p->failed || netns_enter_fd(p->place[i].away, &back) < 0)
			return;
		p->failed = air_open(&p->air, i == 0 ? STATION_A : STATION_B, name, &p->why) < 0;
		netns_leave(back);
	}
	if (!over(p))
		p->failed = air_open(&p->air, STATION_PF, pf->name, &p->why) < 0;
	if (!over(p))
		air_wait_links(&p->air);
}

void act_leave(struct prove *p) {
	air_close(&p->air);
	for (unsigned i = 0; i < PROVE_PAIR; i++)
		place_give_back(&p->place[i]);
}

void act_neutral(struct prove *p) {
	shoot(p, &(struct shot){
			 TRIAL_MAC_OWN, STATION_A, STATION_B, mac(p, STATION_B), .wanted = true});
	shoot(p, &(struct shot){
			 TRIAL_BROADCAST_VF, STATION_A, STATION_B, BROADCAST, .wanted = true});
	shoot(p, &(struct shot){
			 TRIAL_BROADCAST_PF, STATION_A, STATION_PF, BROADCAST, .wanted = true});
	shoot(p, &(struct shot){TRIAL_MAC_FOREIGN, STATION_A, STATION_B, nobody(p, 0)});
	shoot(p, &(struct shot){
			 TRIAL_SPOOF_OFF, STATION_A, STATION_B, mac(p, STATION_B), nobody(p, 1)});
	if (over(p))
		return;
	air_promiscuous(&p->air, STATION_B, true);
	shoot(p, &(struct shot){TRIAL_MAC_PROMISCUOUS, STATION_A, STATION_B, mac(p, STATION_PF)});
	air_promiscuous(&p->air, STATION_B, false);
	if (!over(p) && p->r.limit != 0)
		p->r.free_rate = air_rate(&p->air);
}

void act_rate_limited(struct prove *p) {
	if (!over(p))
		p->r.limited_rate = air_rate(&p->air);
}

void act_spoof(struct prove *p) {
	shoot(p, &(struct shot){
			 TRIAL_SPOOF_OWN, STATION_A, STATION_B, mac(p, STATION_B), .wanted = true});
	shoot(p, &(struct shot){TRIAL_SPOOF_FORGED, STATION_A, STATION_B, mac(p, STATION_B),
			 nobody(p, 2)});
}

void act_one_vlan(struct prove *p) {
	shoot(p, &(struct shot){
			 TRIAL_VLAN_SAME, STATION_A, STATION_B, mac(p, STATION_B), .wanted = true});
	shoot(p, &(struct shot){
			 TRIAL_BROADCAST_SAME, STATION_A, STATION_B, BROADCAST, .wanted = true});
}

void act_two_vlans(struct prove *p) {
	shoot(p, &(struct shot){TRIAL_VLAN_ALIVE, STATION_PF, STATION_B, mac(p, STATION_B),
			 .tag = (uint16_t)p->vlan[1], .wanted = true});
	shoot(p, &(struct shot){TRIAL_VLAN_OTHER, STATION_A, STATION_B, mac(p, STATION_B)});
	shoot(p, &(struct shot){TRIAL_VLAN_UNTAGGED, STATION_PF, STATION_B, mac(p, STATION_B)});
	shoot(p, &(struct shot){TRIAL_BROADCAST_OTHER, STATION_A, STATION_B, BROADCAST});
}

void act_tag(struct prove *p) {
	shoot(p, &(struct shot){TRIAL_VLAN_SPOOF, STATION_A, STATION_B, mac(p, STATION_B),
			 .tag = (uint16_t)p->vlan[1]});
}

void act_link_disabled(struct prove *p) {
	if (!over(p))
		air_settle(&p->air, SETTLE_MS);
	shoot(p, &(struct shot){TRIAL_STATE_DISABLED, STATION_A, STATION_B, mac(p, STATION_B)});
}

void act_link_auto(struct prove *p) {
	shoot(p, &(struct shot){TRIAL_STATE_AUTO, STATION_A, STATION_B, mac(p, STATION_B),
			 .wanted = true});
}
