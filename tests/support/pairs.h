/* What the contract says of the pairs of an event, whatever decoder made them. */
#ifndef TESTS_SUPPORT_PAIRS_H
#define TESTS_SUPPORT_PAIRS_H

#include <ctype.h>

#include "../../app/env.h"
#include "../../protocols/protocol.h"

/* The number of the variable that a field becomes, found the long way. */
static inline enum var_id pairs_field_id(struct span name)
{
	char text[64] = "HTTP_";

	if (name.length > sizeof(text) - 6)
		return VAR_OTHER;
	for (size_t i = 0; i < name.length; i++) {
		if (!isalnum(name.data[i]) && name.data[i] != '-')
			return VAR_OTHER;
		text[5 + i] = (char)(name.data[i] == '-' ? '_' : toupper(name.data[i]));
	}
	return env_fields[env_lookup(text, 5 + name.length)].id;
}

/* Whether a NUL fits behind each value, and a name without a number with a NUL before it. */
static inline bool pairs_fit(const struct wire_event *event)
{
	const uint8_t *free = event->data.data, *end = free + event->data.length;

	for (unsigned i = 0; event->data.length && i < event->count; i++) {
		const struct pair *pair = &event->pairs[i];
		const uint8_t *value = pair->value.data, *behind = value + pair->value.length;
		bool name = event->kind == EVENT_VARIABLES && !pair->id;
		bool tail = behind + 1 == free && value >= event->data.data; /* QUERY_STRING */

		if (behind > end || (!tail && value < free) ||
		        (name && (size_t)(value - free) < pair->name.length + 1))
			return false;
		free = behind + 1;
	}
	return true;
}

static inline bool pairs_are_sound(const struct wire_event *event)
{
	for (unsigned i = 0; i < event->count; i++) {
		struct span name = event->pairs[i].name;
		enum var_id id = event->kind == EVENT_FIELDS ? pairs_field_id(name)
		                                             : env_lookup(name.data, name.length);

		if (event->pairs[i].id != id)
			return false;
	}
	return pairs_fit(event);
}

#endif
