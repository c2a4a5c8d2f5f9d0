/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For `klpflow build --set-data`: callbacks that give words of a variable another value while the livepatch is there. A word is what one compare and
 * exchange writes: fields beside the changed one keep what others write there meanwhile.
 *
 * A livepatch that replaces another finds the word as that one set it, and the kernel calls no callback of a replaced livepatch. So each word that was
 * set has a shadow variable that says whose it is: who set it, and once the transition is complete who took its place. Only that one puts it back.
 */
#ifndef _KLPFLOW_SET_DATA_H
#define _KLPFLOW_SET_DATA_H

#include <linux/compiler.h>
#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/livepatch.h>
#include <linux/printk.h>
#include <linux/types.h>
#include <linux/livepatch_helpers.h>

struct klpflow_word {
	void *at;
	unsigned long size;
	unsigned long mask;
	unsigned long from;
	unsigned long to;
};

/* "klpf" */
#define KLPFLOW_SHADOW 0x6b6c7066UL

static unsigned long klpflow_word_now(const struct klpflow_word *word)
{
	switch (word->size) {
	case 1:
		return READ_ONCE(*(u8 *)word->at);
	case 2:
		return READ_ONCE(*(u16 *)word->at);
	case 4:
		return READ_ONCE(*(u32 *)word->at);
	default:
		return READ_ONCE(*(unsigned long *)word->at);
	}
}

static unsigned long klpflow_word_swap(const struct klpflow_word *word, unsigned long old, unsigned long new)
{
	switch (word->size) {
	case 1:
		return cmpxchg((u8 *)word->at, (u8)old, (u8)new);
	case 2:
		return cmpxchg((u16 *)word->at, (u16)old, (u16)new);
	case 4:
		return cmpxchg((u32 *)word->at, (u32)old, (u32)new);
	default:
		return cmpxchg((unsigned long *)word->at, old, new);
	}
}

/* Whether the word held `from`, and holds `to` now. A full barrier where it does. */
static bool klpflow_word_set(const struct klpflow_word *word, unsigned long from, unsigned long to)
{
	unsigned long now = klpflow_word_now(word), seen;

	while ((now & word->mask) == from) {
		seen = klpflow_word_swap(word, now, (now & ~word->mask) | to);
		if (seen == now)
			return true;
		now = seen;
	}
	return false;
}

/* Puts back what this livepatch answers for. */
static void klpflow_words_back(const struct klpflow_word *words, unsigned long count)
{
	unsigned long i;

	for (i = count; i-- > 0;) {
		const struct klpflow_word *word = &words[i];
		const void **owner = klp_shadow_get(word->at, KLPFLOW_SHADOW);

		if (!owner || *owner != words)
			continue;
		if (!klpflow_word_set(word, word->to, word->from))
			printk(KERN_WARNING "livepatch: %pS was changed meanwhile and stays as it is\n", word->at);
		klp_shadow_free(word->at, KLPFLOW_SHADOW, NULL);
	}
}

/* Nothing is written where any word holds something else. */
static int klpflow_words_set(const struct klpflow_word *words, unsigned long count, bool replaces)
{
	unsigned long i;

	for (i = 0; i < count; i++) {
		const struct klpflow_word *word = &words[i];
		unsigned long now = klpflow_word_now(word) & word->mask;

		if (now == word->from)
			continue;
		if (replaces && now == word->to && klp_shadow_get(word->at, KLPFLOW_SHADOW))
			continue;
		printk(KERN_ERR "livepatch: %pS does not hold the value that the livepatch changes\n", word->at);
		return -EBUSY;
	}
	for (i = 0; i < count; i++) {
		const struct klpflow_word *word = &words[i];
		const void **owner;

		if ((klpflow_word_now(word) & word->mask) == word->to)
			continue;
		owner = klp_shadow_get_or_alloc(word->at, KLPFLOW_SHADOW, sizeof(*owner), GFP_KERNEL, NULL, NULL);
		if (!owner) {
			klpflow_words_back(words, i);
			return -ENOMEM;
		}
		*owner = words;
		if (!klpflow_word_set(word, word->from, word->to)) {
			klp_shadow_free(word->at, KLPFLOW_SHADOW, NULL);
			klpflow_words_back(words, i);
			return -EBUSY;
		}
	}
	return 0;
}

/* What a replaced livepatch had set is this one's now. */
static void klpflow_words_take(const struct klpflow_word *words, unsigned long count)
{
	unsigned long i;

	for (i = 0; i < count; i++) {
		const void **owner = klp_shadow_get(words[i].at, KLPFLOW_SHADOW);

		if (owner)
			*owner = words;
	}
}

#define KLPFLOW_SET_DATA(words, replaces)						\
	static int klpflow_set_data(struct klp_object *obj)				\
	{										\
		return klpflow_words_set(words, sizeof(words) / sizeof(words[0]), replaces);	\
	}										\
	static void klpflow_take_data(struct klp_object *obj)				\
	{										\
		klpflow_words_take(words, sizeof(words) / sizeof(words[0]));		\
	}										\
	static void klpflow_data_back(struct klp_object *obj)				\
	{										\
		klpflow_words_back(words, sizeof(words) / sizeof(words[0]));		\
	}										\
	KLP_PRE_PATCH_CALLBACK(klpflow_set_data);					\
	KLP_POST_PATCH_CALLBACK(klpflow_take_data);					\
	KLP_POST_UNPATCH_CALLBACK(klpflow_data_back)

#endif
