// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A module that owns one of each thing which the loader sets up, each used by a function of its own.
 * /proc/constructs shows them; "on" and "off" written to it switch what can be switched.
 */
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>

DECLARE_TRACE(constructs, TP_PROTO(int value), TP_ARGS(value));
DEFINE_TRACE(constructs_tp, TP_PROTO(int value), TP_ARGS(value));

static DEFINE_STATIC_KEY_FALSE(own_key);

static int once(int value)
{
	return value;
}

static int twice(int value)
{
	return 2 * value;
}

DEFINE_STATIC_CALL(own_call, once);

static int traced;
static bool probed;

static void probe(void *data, int value)
{
	traced += value;
}

static noinline void show_key(struct seq_file *out)
{
	seq_puts(out, "key: ");
	if (static_branch_unlikely(&own_key))
		seq_puts(out, "on\n");
	else
		seq_puts(out, "off\n");
}

static noinline void show_call(struct seq_file *out)
{
	seq_printf(out, "call: %d\n", static_call(own_call)(21));
}

static noinline void show_trace(struct seq_file *out)
{
	traced = 0;
	trace_constructs_tp(3);
	seq_printf(out, "trace: %d\n", traced);
}

static noinline void show_debug(struct seq_file *out)
{
	pr_debug("constructs shown to %s\n", current->comm);
	seq_puts(out, "debug: said\n");
}

static noinline void show_warn(struct seq_file *out)
{
	int odd = WARN_ON(out->count > 0);

	seq_printf(out, "warn: %d\n", odd);
}

static noinline void show_fault(struct seq_file *out)
{
	int value;

	seq_printf(out, "fault: %ld\n", (long)get_user(value, (int __user *)16));
}

static int constructs_show(struct seq_file *out, void *unused)
{
	show_key(out);
	show_call(out);
	show_trace(out);
	show_debug(out);
	show_warn(out);
	show_fault(out);
	return 0;
}

static int constructs_open(struct inode *inode, struct file *file)
{
	return single_open(file, constructs_show, NULL);
}

static void switch_all(bool on)
{
	if (on) {
		static_branch_enable(&own_key);
		static_call_update(own_call, twice);
	} else {
		static_branch_disable(&own_key);
		static_call_update(own_call, once);
	}
	if (on && !probed)
		register_trace_constructs_tp(probe, NULL);
	if (!on && probed)
		unregister_trace_constructs_tp(probe, NULL);
	probed = on;
}

static ssize_t constructs_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	char word[4] = { 0 };

	if (copy_from_user(word, from, min(size, sizeof(word) - 1)))
		return -EFAULT;
	switch_all(strncmp(word, "on", 2) == 0);
	return size;
}

static const struct proc_ops constructs_ops = {
	.proc_open = constructs_open,
	.proc_read = seq_read,
	.proc_write = constructs_write,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
};

static int __init constructs_init(void)
{
	return proc_create("constructs", 0600, NULL, &constructs_ops) ? 0 : -ENOMEM;
}

static void __exit constructs_exit(void)
{
	remove_proc_entry("constructs", NULL);
	switch_all(false);
	tracepoint_synchronize_unregister();
}

module_init(constructs_init);
module_exit(constructs_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("what a livepatch meets in a module");
