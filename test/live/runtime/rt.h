/* What the generated programs know of their kernel: names that it exports, and words that kernels write. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef int s32;
typedef long s64;

#define NULL ((void *)0)
#define noinline __attribute__((noinline))
#define __always_inline inline __attribute__((always_inline))
#define __used __attribute__((used))
#define __weak __attribute__((weak))
#define __cold __attribute__((cold))
#define __aligned(n) __attribute__((aligned(n)))
#define __packed __attribute__((packed))
#define __alias(name) __attribute__((alias(#name)))
#define __section(name) __attribute__((section(name)))
#define __read_mostly __section(".data..read_mostly")
#define __ro_after_init __section(".data..ro_after_init")
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define barrier() asm volatile("" ::: "memory")
#define KERN_ERR "\0013"
#define KERN_INFO "\0016"

/* Set while functions are called before the livepatch is there: they give their state values that no edit changes. */
extern int rt_warming;
/* Mixes bits; no compiler sees through it. */
extern u32 ext(u32 k);
/* Keeps a pointer alive, changes nothing, returns it. */
extern void *opaque(const void *p);
extern int _printk(const char *fmt, ...);
/* Prints nothing. */
extern int unseen(const char *fmt, ...);
/* Prints the file and the text, never the line: lines move. */
extern void warn_at(const char *file, int line, const char *text);
/* Prints all three: here the number is no line. */
extern void log_value(const char *name, int value, const char *unit);
/* A digest of `n` bytes, of a string, of a wide string. */
extern u32 digest(const void *p, u64 n);
/* Of all bytes from one place to another. */
extern u32 digest_range(const void *from, const void *to);
extern u32 digest_str(const char *s);
extern u32 digest_wide(const s32 *s);
extern u32 digest_u16(const u16 *s);
extern void *memcpy(void *to, const void *from, u64 n);
extern void *memset(void *to, int c, u64 n);
extern int memcmp(const void *a, const void *b, u64 n);
extern u64 strlen(const char *s);
extern int strcmp(const char *a, const char *b);

#define WARN_ON(c) ({ int __w = !!(c); if (unlikely(__w)) warn_at(__FILE__, __LINE__, #c); __w; })
/* Whether `.data..once` starts anew in a livepatch is nobody's business: it does, as the kernel's own tool has it. So this prints nothing. */
#define pr_once(fmt, ...) do { \
		static u8 __section(".data..once") __already_done; \
		if (unlikely(!__already_done)) { __already_done = 1; unseen(fmt, ##__VA_ARGS__); } \
	} while (0)
