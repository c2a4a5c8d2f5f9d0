/**
 * Read-only data that changed. A livepatch that copies it for some readers leaves the others with the old content; one that refuses
 * it refuses every edit of a message or a policy.
 */
import { describe, expect, test } from 'vitest';
import { COMPILERS, compiled } from '../../support/compiled';
import { body, diffObjects, lea } from '../../support/diff-objects';
import { abs32s, object, u64, type Body, type Field, type ObjectBuilder } from '../../support/elf-builder';
import { extractObjects, type Extracted } from '../../support/extract-objects';

const either = (patched: string, orig: string): string => `\n#ifdef PATCHED\n${patched}\n#else\n${orig}\n#endif\n`;
const EXTERN =
  'struct ops { int (*open)(int), (*close)(int); }; struct dev { const struct ops *ops; const char *text; int n; };\nextern int a(int), b(int), c(int), out(const char *, int), keep(const void *), strcmp(const char *, const char *);\n';
const IMPORTS = ['__fentry__', 'a', 'b', 'c', 'out', 'keep', 'strcmp'];

const SHARED = ['-fno-function-sections', '-fno-data-sections'];
const ways = COMPILERS.flatMap((compiler) => [
  { compiler, sections: [] as string[], where: `${compiler}, own sections` },
  { compiler, sections: SHARED, where: `${compiler}, shared sections` },
]);
type Way = (typeof ways)[number];

/** Both builds of a source: PATCHED is what `#ifdef PATCHED` makes of it. */
const builds = ({ compiler, sections }: Way, source: string, ...flags: string[]): [orig: Buffer, patched: Buffer] => [
  compiled(compiler, source, ...sections, ...flags),
  compiled(compiler, source, ...sections, ...flags, '-DPATCHED'),
];

function made(way: Way, source: string): Extracted {
  const [orig, patched] = builds(way, EXTERN + source);
  return extractObjects(orig, patched, { exports: IMPORTS });
}

describe.each(ways)('$where', (way) => {
  test('all readers of a table of numbers go in, and read the copy', () => {
    const found = made(
      way,
      `static const int limits[5] = { 1, 2, 3, 4,${either('6', '5')}};
      int first(unsigned i) { return limits[i % 5]; } int second(unsigned i) { return limits[i & 1] * 3; } int other(int k) { return a(k); }`,
    );
    expect(found.told).toEqual([]);
    expect(found.diff.changed).toEqual({ first: 'table', second: 'table' });
    expect(found.hex('limits')).toBe('0100000002000000030000000400000006000000');
    // A klp relocation would lead one of them back to the old numbers.
    for (const reader of ['first', 'second'])
      expect(found.relas(reader).filter((rela) => rela.includes('klp'))).toEqual([]);
  });

  test('a message whose address goes into an object of the caller is a table', () => {
    const found = made(
      way,
      `int check(int k, struct dev *d) { static const char __msg[] = ${either('"value is too large"', '"value is large"')}; if (k > 9) { d->text = __msg; return -1; } return 0; }`,
    );
    expect(found.told).toEqual([]);
    expect(found.diff.changed).toEqual({ check: expect.any(String) as string });
  });

  test('who reads through another table goes in, and gets a copy of both', () => {
    const found = made(
      way,
      `static const char *const low[] = { "x", "y" }, *const high[] = { "p", ${either('"Q"', '"q"')} };
      static const char *const *const all[] = { low, high };
      int show(unsigned g, unsigned i) { return g < 2 && i < 2 ? out(all[g][i], i) : 0; } int show_low(unsigned i) { return i < 2 ? out(low[i], i) : 0; }`,
    );
    // Where a table begins at the end of another one, its address means either: told, never guessed.
    if (way.sections === SHARED && found.told.length > 0) {
      expect(found.told).toEqual(['ambiguous-reference all+0x8']);
      return;
    }
    expect(found.told).toEqual([]);
    expect(found.diff.changed).toEqual({ show: 'table' });
    expect(
      found
        .relas('all')
        .filter((rela) => rela.includes('klp'))
        .join(),
    ).toMatch(/^\+0x0 klp 64 vmlinux\.low,\d\S*$/);
    expect(found.relas('high')).toHaveLength(2);
  });

  test('a dispatch table that code calls through is a table', () => {
    const found = made(
      way,
      `struct cmd { const char *name; int (*fn)(int); }; static const struct cmd cmds[] = { { "a", a }, { "b", b }, { "c", ${either('c', 'b')} } };
      int by_name(const char *n, int k) { for (int i = 0; i < 3; i++) if (!strcmp(cmds[i].name, n)) return cmds[i].fn(k); return -1; } int by_number(unsigned i, int k) { return i < 3 ? cmds[i].fn(k) : 0; }`,
    );
    expect(found.told).toEqual([]);
    expect(found.diff.changed).toEqual({ by_name: 'table', by_number: 'table' });
  });

  // Guards against a kernel that goes on calling through the table that it was given once.
  test.each([
    [
      'a variable holds',
      `static const struct ops own = { a, ${either('c', 'b')} }; static struct dev device = { &own, 0, 3 }; int use(int k) { device.n = k; return keep(&device) + own.open(k); }`,
      /variable device holds its address/,
    ],
    [
      'an object gets',
      `static const struct ops own = { a, ${either('c', 'b')} }; int probe(struct dev *d) { d->ops = &own; return 0; }`,
      /probe stores its address/,
    ],
    [
      'a function is given',
      `static const struct ops own = { a, ${either('c', 'b')} }; int probe(int k) { return keep(&own) + k; }`,
      /probe passes its address on/,
    ],
    [
      'the caller gets',
      `static const struct ops own = { a, ${either('c', 'b')} }; const struct ops *probe(void) { return &own; }`,
      /probe returns its address/,
    ],
    [
      'boot code registered',
      `static const struct ops own = { a, ${either('c', 'b')} }; __attribute__((section(".init.text"))) int setup(void) { return keep(&own); } int use(int k) { return own.open(k) + own.close(k); }`,
      /setup passes its address on, and has run/,
    ],
    [
      'a variable gets',
      `static const char text[] = ${either('"second text"', '"first text"')}; const char *last; int fail(int k) { if (k < 0) last = text; return k; }`,
      /fail stores its address in a variable/,
    ],
    [
      'other units may read',
      `const int own[4] = { 1, 2, 3, ${either('5', '4')} }; int read(unsigned i) { return own[i & 3]; }`,
      /own is global: other units may read it/,
    ],
  ])('a table whose address %s is refused', (_, source, why) => {
    const found = diffObjects(...builds(way, EXTERN + source));
    expect(found.diagnostics.map(({ code }) => code)).toEqual(['changed-data']);
    expect(found.diagnostics[0]!.message).toMatch(why);
  });

  test('boot code that reads a table is past it; a table that nobody else reads is refused', () => {
    const build = (more: string): string =>
      `static const int limits[5] = { 1, 2, 3, 4,${either('6', '5')}}; int boot; __attribute__((section(".init.text"))) void setup(unsigned i) { boot = limits[i % 5]; } ${more}`;
    expect(made(way, build('int live(unsigned i) { return limits[i & 1]; }'))).toMatchObject({
      told: [],
      diff: { changed: { live: 'table' } },
    });
    expect(made(way, build('')).diff.diagnostics.map(({ message }) => message)).toEqual([
      'the initial value of limits changed, and no code that still runs reads it',
    ]);
  });

  test('constructors of KASAN are no readers, and their lists no data', () => {
    const kasan =
      way.compiler === 'gcc'
        ? [
            '-fsanitize=kernel-address',
            '-fasan-shadow-offset=0xdffffc0000000000',
            '--param',
            'asan-globals=1',
            '--param',
            'asan-instrumentation-with-call-threshold=10000',
          ]
        : [
            '-fsanitize=kernel-address',
            '-mllvm',
            '-asan-mapping-offset=0xdffffc0000000000',
            '-mllvm',
            '-asan-globals=1',
            '-mllvm',
            '-asan-instrumentation-with-call-threshold=10000',
          ];
    if (way.sections === SHARED) return;
    const source = `static const int limits[5] = { 1, 2, 3, 4,${either('6', '5')}}; int read(unsigned i) { return limits[i % 5]; }${either('int extra = 3; int more(void) { return extra; }', '')}`;
    const found = diffObjects(...builds(way, EXTERN + source, ...kasan));
    expect(found).toMatchObject({ told: [], changed: { read: 'table' }, added: ['more'] });
  });
});

describe.skipIf(!COMPILERS.includes('clang-19'))('values', () => {
  const warned = (source: string): string[] => {
    const { diagnostics } = diffObjects(compiled('clang-19', source), compiled('clang-19', source, '-DPATCHED'));
    return diagnostics.filter(({ code }) => code === 'value-encoding').map(({ where }) => where.symbol!);
  };
  const source = (more: string): string =>
    `extern int ext(int); static unsigned char mode; void on(void) { mode = 7; } void off(void) { mode = 0; } int f(int k) { return mode ? ext(mode) : k; } ${more}`;

  // Guards against a 1 that meant 7 and counts as 1.
  test('a variable that Clang keeps as a flag in one build only is told', () => {
    expect(warned(source(either('void mid(void) { mode = 3; }', '')))).toEqual(['mode']);
    expect(warned(source(either('', 'void mid(void) { mode = 3; }')))).toEqual(['mode']);
  });

  test('a flag that stays one, and a variable that gets one more value, are not', () => {
    expect(warned(source(either('int g(void) { return mode + 1; }', '')))).toEqual([]);
    expect(
      warned(
        `extern int ext(int); unsigned char mode; void on(void) { mode = 1; } int f(int k) { return ext(mode + k); } ${either('void mid(void) { mode = 3; }', '')}`,
      ),
    ).toEqual([]);
  });
});

describe('a reader that may mean the table or what lies behind it', () => {
  const at = { section: '.rodata.limits', bind: 'local' } as const;
  const place = (offset: number): Field => abs32s({ section: at.section }, offset);
  /** `cmp $place, %rdi`: with a pointer that may come from anywhere, so that nothing tells the end of `first` from `second`. */
  const compared = (offset: number): Body => [0x48, 0x81, 0xff, place(offset)];
  const build = (last: number, use: Body): ObjectBuilder =>
    object()
      .file('a.c')
      .rodata('first', [u64(1), u64(last)], at)
      .rodata('second', [u64(3), u64(4)], at)
      .func('reader', body(lea('first')))
      .func('ends', body(use))
      .func('other', body(lea('second')));

  // `reader` would walk its copy of `first`, and `ends` go on comparing with the end of the running kernel's.
  test('is one of those that have to get the copy', () => {
    const found = extractObjects(build(2, compared(16)), build(9, compared(16)), { exports: ['__x86_return_thunk'] });
    expect(found.told).toEqual(['ambiguous-reference ends+0xc']);
    expect(found.diff.changed).toEqual({ reader: 'table', ends: 'table' });
  });

  test('the premise: what can mean nothing but the other one is left alone', () => {
    const found = extractObjects(build(2, compared(20)), build(9, compared(20)), { exports: ['__x86_return_thunk'] });
    expect(found.told).toEqual([]);
    expect(found.diff.changed).toEqual({ reader: 'table' });
  });
});
