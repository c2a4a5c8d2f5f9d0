/**
 * C with one of everything that a checksum follows: switches, cold parts, aliases, constants, strings of both widths, jump labels,
 * nested alternatives that jump past their end, exception tables, operands with an immediate behind them.
 */
export const CHECKED_CODE = `
extern int printk(const char *, ...);
extern void panic(const char *, ...) __attribute__((cold, noreturn));
extern int table_user(const void *);
static int counter;
int shared = 3;
const char *const names[] = { "alpha", "beta", "gamma" };
static const int weights[] = { 1, 2, 3, 5 };
struct ops { int (*open)(int); const char *name; } ;
static int do_open(int x) { static int opened; opened += x; return opened + counter; }
struct ops the_ops = { do_open, "the ops" };
int aliased(int x) { return x + shared; }
int alias_of(int x) __attribute__((alias("aliased")));
double scale(double x) { return x * 3.25 + 1.5; }
void copy16(char *p) { typedef char v16 __attribute__((vector_size(16))); *(v16 *)p = (v16){1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}; }
int dispatch(int n, int x) {
	switch (n) {
	case 0: return printk("zero %d", x); case 1: return x * 7; case 2: return shared << x; case 3: return printk("three");
	case 4: counter++; return 9; case 5: return aliased(x) + 1; case 6: return weights[x & 3]; case 7: panic("seven %d", x);
	default: return -1; }
}
int twice(int n, int x) {
	switch (n) { case 0: x += counter; break; case 1: x *= 3; break; case 2: x ^= 0x55; break; case 3: printk("t3"); break; case 4: x = -x; break; case 5: printk("t5"); }
	switch (x) { case 10: return 1; case 11: return printk("e"); case 12: return 4; case 13: return shared; case 14: return counter; case 15: printk("q"); return 2; }
	return x;
}
int labels(void) {
	asm goto("1: .byte 0x0f,0x1f,0x44,0,0\\n\\t.pushsection __jump_table,\\"aw\\"\\n\\t.long 1b - .\\n\\t.long %l[yes] - .\\n\\t.quad shared - .\\n\\t.popsection" : : : : yes);
	asm goto("1: jmp %l[no]\\n\\t.pushsection __jump_table,\\"aw\\"\\n\\t.long 1b - .\\n\\t.long %l[no] - .\\n\\t.quad shared + 1 - .\\n\\t.popsection" : : : : no);
	return 0;
yes:	return printk("yes");
no:	return 5;
}
int alternatives(int x) {
	asm volatile("661: call printk\\n662:\\n.skip -(((775f-774f)-(662b-661b)) > 0) * ((775f-774f)-(662b-661b)),0x90\\n663:\\n"
	 ".pushsection .altinstructions,\\"a\\"\\n .long 661b - .\\n .long 774f - .\\n .4byte 0x1234\\n .byte 663b-661b\\n .byte 775f-774f\\n"
	 " .long 661b - .\\n .long 775f - .\\n .4byte 0x99\\n .byte 663b-661b\\n .byte 0\\n .popsection\\n"
	 ".pushsection .altinstr_replacement,\\"ax\\"\\n774: call panic\\n jmp 775f\\n nop\\n775:\\n .popsection" : : : "memory");
	return x;
}
int fixup(int *p) { int v = 0;
	asm volatile("1: movl (%1), %0\\n2:\\n.pushsection .text.fixups,\\"ax\\"\\n3: movl $-14, %0\\n jmp 2b\\n.popsection\\n.pushsection __ex_table,\\"a\\"\\n .long 1b - .\\n .long 3b - .\\n .long 7\\n .popsection" : "+r"(v) : "r"(p));
	return v; }
int wide(void) { return table_user(L"wide string"); }
int narrow(void) { return table_user("narrow"); }
void stores(void) { counter = 5; asm volatile("movl $7, shared+4(%rip)\\n cmpb $0, shared(%rip)"); }
unsigned long phys(void) { return (unsigned long)&shared - 0xffffffff80000000UL; }
int loops(int n) { int s = 0; for (int i = 0; i < n; i++) { if (i == 77) panic("bad %d", i); s += do_open(i); } return s; }
`;
