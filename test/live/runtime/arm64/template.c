/* A module of the trial's kernel, which tells klpflow what `struct module` is like there: load.c finds init by it. */
int init_module(void)
{
	return 0;
}

void cleanup_module(void)
{
}

struct { char head[24], name[56], more[224]; int (*init)(void); char most[832]; void (*exit)(void); char rest[64]; } __this_module
	__attribute__((section(".gnu.linkonce.this_module"), aligned(64))) = { .name = "template", .init = init_module, .exit = cleanup_module };
const char vermagic[] __attribute__((section(".modinfo"))) = "vermagic=7.3.4 SMP preempt mod_unload aarch64";
