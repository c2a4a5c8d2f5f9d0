/** Which object a reference by section and offset means: ends of loops, places before and behind objects, whatever begins there. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { diffObjects, body, lea, movEax } from '../../support/diff-objects';
import {
  abs32s,
  code,
  disp32,
  object,
  ptr64,
  u32,
  u64,
  type Body,
  type Field,
  type ObjectBuilder,
} from '../../support/elf-builder';
import { extractObjects, type Extracted } from '../../support/extract-objects';
import { tempFolder } from '../../support/temp-folder';

const LOCAL = { bind: 'local' } as const;
const SHARED = { section: '.data..read_mostly', ...LOCAL } as const;
const place = (offset: number): Field => abs32s({ section: SHARED.section }, offset);

/** `mov $place, %rbx`, `add $8, %rbx`, `cmp $place, %rbx`, `jne` to the add: a loop over what lies between. */
const loop = (from: number, to: number): Body => [
  0x48,
  0xc7,
  0xc3,
  place(from),
  0x48,
  0x83,
  0xc3,
  8,
  0x48,
  0x81,
  0xfb,
  place(to),
  0x75,
  0xf3,
];
/** `mov $place, %rdi` and `mov $place, %rsi`. */
const rdi = (offset: number): Body => [0x48, 0xc7, 0xc7, place(offset)];
const rsi = (offset: number): Body => [0x48, 0xc7, 0xc6, place(offset)];
const call: Body = [0xff, 0xd0];

const zeros = (count: number): Body => Array.from({ length: count }, () => u64(0)).flat() as Body;

/** ORIG has `tab` (16 bytes), PATCHED a new variable `fresh` behind it. Each f gets its own instructions. */
function withFresh(orig: Body, patched: Body): Extracted {
  const build = (part: Body, more: (b: ObjectBuilder) => ObjectBuilder): ObjectBuilder =>
    more(object().file('a.c').data('tab', zeros(2), SHARED))
      .func('f', body(part))
      .func('g', body(lea('tab')));
  return extractObjects(
    build(orig, (b) => b),
    build(patched, (b) => b.data('fresh', zeros(2), SHARED)),
    { exports: ['__x86_return_thunk'] },
  );
}

const placesOf = (made: Extracted): string[] =>
  made
    .relas('f')
    .filter((text) => text.includes('32S'))
    .map((text) => text.replace(/^\S+ /, ''));

describe('the end of a loop', () => {
  test('stays the end of what the loop goes over, though a new variable begins there', () => {
    // Taken for the new variable, whose copy lies anywhere, the loop runs through the whole of memory.
    const made = withFresh(loop(0, 16), code(movEax(1), loop(0, 16)));
    expect(made.told).toEqual([]);
    expect(placesOf(made)).toEqual(['klp 32S vmlinux.tab,0', 'klp 32S vmlinux.tab,0+16']);
  });

  test('... in new code, too, which has no twin to tell', () => {
    const made = withFresh(movEax(1), loop(0, 16));
    expect(placesOf(made)).toEqual(['klp 32S vmlinux.tab,0', 'klp 32S vmlinux.tab,0+16']);
  });

  test('lies within the new variable where the loop is over the second member of a struct', () => {
    const made = withFresh(loop(4, 20), code(movEax(1), loop(4, 20)));
    expect(placesOf(made)).toEqual(['klp 32S vmlinux.tab,0+4', 'klp 32S vmlinux.tab,0+20']);
  });

  test('... and both variables are told apart where one loop follows the other', () => {
    const made = withFresh(loop(0, 16), code(loop(0, 16), loop(16, 32)));
    expect(made.told).toEqual([]);
    expect(placesOf(made)).toEqual(['klp 32S vmlinux.tab,0', 'klp 32S vmlinux.tab,0+16', '32S fresh', '32S fresh+16']);
  });

  test('is no change where only the neighbour is another', () => {
    // f was not edited: what begins behind its table is new.
    const made = withFresh(loop(0, 16), loop(0, 16));
    expect(made.diff.changed).toEqual({});
  });

  test('is a change where the table grew: digests must not be equal', () => {
    // A loop over `tab[2]` becomes one over `tab[3]`, and `next` begins behind it as before: the bytes are the same.
    const build = (count: number): ObjectBuilder =>
      object()
        .file('a.c')
        .data('tab', zeros(count), SHARED)
        .data('next', zeros(2), SHARED)
        .func('f', body(loop(0, count * 8)))
        .func('g', body(lea('next')));
    const { changed, data } = diffObjects(build(2), build(3));
    expect(data.changed).toEqual(['tab']);
    expect(changed).toEqual({ f: 'reference' });
  });
});

describe('a table that begins where another object ends', () => {
  /** As withFresh, with `head` (16 bytes) before `tab`. */
  const between = (orig: Body, patched: Body): Extracted => {
    const build = (part: Body, more: (b: ObjectBuilder) => ObjectBuilder): ObjectBuilder =>
      more(object().file('a.c').data('head', zeros(2), SHARED).data('tab', zeros(2), SHARED))
        .func('f', body(part))
        .func('g', body(lea('tab')));
    return extractObjects(
      build(orig, (b) => b),
      build(patched, (b) => b.data('fresh', zeros(2), SHARED)),
      { exports: ['__x86_return_thunk'] },
    );
  };

  // Neither end of the loop is sure by itself: each was taken for what begins there, and the loop ran from `tab` to the copy of `fresh`.
  test.each([
    [16, 32],
    [20, 36],
  ])('is all that a new loop from %i to %i goes over', (from, to) => {
    const made = between(movEax(1), loop(from, to));
    expect(made.told).toEqual([]);
    const plus = (distance: number): string => (distance === 0 ? '' : `+${distance}`);
    expect(placesOf(made)).toEqual([
      `klp 32S vmlinux.tab,0${plus(from - 16)}`,
      `klp 32S vmlinux.tab,0${plus(to - 16)}`,
    ]);
  });

  test('may be handed over with its end, whichever of the two is loaded first', () => {
    for (const both of [code(rdi(16), rsi(32), call), code(rsi(32), rdi(16), call)]) {
      const made = between(movEax(1), both);
      expect(made.told).toEqual([expect.stringMatching(/^ambiguous-reference f/)]);
      expect(made.messages[0]).toContain('fresh+0 or the end of tab');
    }
    // The premise: what is handed over with neither.
    expect(placesOf(between(movEax(1), code(rsi(32), rdi(0), call)))).toEqual(['32S fresh', 'klp 32S vmlinux.head,0']);
  });
});

describe('an address that is used otherwise', () => {
  test('means the variable that begins there, where it alone is handed over', () => {
    // `use(&fresh)` is ordinary, and must not be refused for what happens to lie before it.
    const made = withFresh(code(rdi(0), call), code(rdi(0), call, rdi(16), call));
    expect(made.told).toEqual([]);
    expect(placesOf(made)).toEqual(['klp 32S vmlinux.tab,0', '32S fresh']);
  });

  test('is refused where it may be the end of what is handed over with it', () => {
    // use(tab, tab + 2) and use(tab, &fresh) are the same instructions, and the copy of `fresh` is not behind `tab`.
    const made = withFresh(movEax(1), code(rdi(0), rsi(16), call));
    expect(made.told).toEqual(['ambiguous-reference f+0x13']);
    expect(made.messages[0]).toContain('fresh+0 or the end of tab');
  });

  // `mov $place, %rax` before the return: `return tab + 2` and `return &fresh` are the same instruction, and there is nothing else in the function.
  test.each([
    ['given back to the caller', [0x48, 0xc7, 0xc0, place(16)]],
    ['stored', code(rdi(16), [0x48, 0x89, 0x3b])],
  ] as const)('... or of what somebody else has, where it is %s', (_, part) => {
    const made = withFresh(movEax(1), code(part as Body));
    expect(made.told).toEqual(['ambiguous-reference f+0xc']);
    expect(made.messages[0]).toContain('fresh+0 or the end of tab');
    // The premise: a place inside of the variable can be nothing else.
    expect(withFresh(movEax(1), [0x48, 0xc7, 0xc0, place(20)]).told).toEqual([]);
  });

  test('... unless the function had it before', () => {
    const made = withFresh(code(rdi(0), rsi(16), call), code(movEax(1), rdi(0), rsi(16), call));
    expect(made.told).toEqual([]);
    expect(placesOf(made)).toEqual(['klp 32S vmlinux.tab,0', 'klp 32S vmlinux.tab,0+16']);
  });

  test('... and is not looked for without end in a function of very many references', () => {
    // Each would be held against each of the twin: what was made up to take hours is refused instead.
    const many = Array.from({ length: 4200 }, () => rdi(0)).flat() as Body;
    const made = withFresh(code(many, rdi(0), rsi(16), call), code(movEax(1), many, rdi(0), rsi(16), call));
    expect(made.told).toEqual([expect.stringMatching(/^ambiguous-reference f/)]);
  });

  test('... or both lie side by side in the running kernel', () => {
    const build = (part: Body): ObjectBuilder =>
      object()
        .file('a.c')
        .data('tab', zeros(2), SHARED)
        .data('next', zeros(2), SHARED)
        .func('f', body(part))
        .func('g', body(lea('next')));
    const made = extractObjects(build(movEax(1)), build(code(rdi(0), rsi(16), call)), {
      exports: ['__x86_return_thunk'],
    });
    expect(made.told).toEqual([]);
    expect(placesOf(made)).toEqual(['klp 32S vmlinux.tab,0', 'klp 32S vmlinux.next,0']);
  });

  test('counts from behind where the index is negative', () => {
    // `mov $-16, %rax`, `movl $7, tab+16(%rax)`, `add $8, %rax`, `jne`.
    const down: Body = [
      0x48,
      0xc7,
      0xc0,
      u32(0xfffffff0),
      0xc7,
      0x80,
      place(16),
      u32(7),
      0x48,
      0x83,
      0xc0,
      8,
      0x75,
      0xf0,
    ];
    const made = withFresh(movEax(1), down);
    expect(placesOf(made)).toEqual(['klp 32S vmlinux.tab,0+16']);
  });

  test('is what an instruction reads or writes there', () => {
    // `cmp` of the loop and `mov fresh(%rip), %eax` lead to one place.
    const made = withFresh(loop(0, 16), code(loop(0, 16), [0x8b, 0x05, disp32({ section: SHARED.section }, 16)]));
    expect(placesOf(made)).toEqual(['klp 32S vmlinux.tab,0', 'klp 32S vmlinux.tab,0+16']);
    expect(made.relas('f').at(-2)).toMatch(/PC32 fresh-4$/);
  });
});

describe('a table that is indexed', () => {
  /** `movzbl place(%rax), %edx`. */
  const read = (offset: number): Body => [0x0f, 0xb6, 0x90, place(offset)];
  /** `tab` and `next`, eight bytes each, and `fresh` between them in PATCHED. */
  const between = (orig: Body, patched: Body): Extracted => {
    const build = (part: Body, fresh: boolean): ObjectBuilder => {
      const b = object()
        .file('a.c')
        .data('tab', [u64(0)], SHARED);
      return (fresh ? b.data('fresh', [u64(0)], SHARED) : b)
        .data('next', [u64(0)], SHARED)
        .func('f', body(part))
        .func('g', body(lea('tab'), lea('next')));
    };
    return extractObjects(build(orig, false), build(patched, true), { exports: ['__x86_return_thunk'] });
  };

  test('is not what is eight bytes before another one that the twin uses', () => {
    // `fresh[k]` is at `next - 8`, and so is `tab` in ORIG: the one use must not count for the other.
    const made = between(code(read(8), read(0)), code(read(16), read(8), read(0)));
    expect(made.told).toEqual([]);
    expect(placesOf(made)).toEqual(['klp 32S vmlinux.next,0', '32S fresh', 'klp 32S vmlinux.tab,0']);
  });

  test('... whichever is read first', () => {
    const made = between(code(read(8), read(0)), code(read(8), read(16), read(0)));
    expect(made.told).toEqual([]);
    expect(placesOf(made)).toEqual(['32S fresh', 'klp 32S vmlinux.next,0', 'klp 32S vmlinux.tab,0']);
  });

  test('... and where it takes the place of another one, nothing tells', () => {
    // tab[k] became fresh[k], or both are next[k - 8]. Taken for unchanged, the patch would be lost without a word.
    const made = between(code(read(8), read(0)), code(read(16), read(8)));
    expect(made.told).toEqual(['ambiguous-reference f+0x13']);
  });
});

describe('what lies behind a table', () => {
  /** Eight bytes of `tab`, and behind it a variable that only `f` uses: `was` in ORIG, `is` in PATCHED. */
  const replaced = (part: Body): Extracted => {
    const build = (name: string): ObjectBuilder =>
      object()
        .file('a.c')
        .data('tab', [u64(0)], SHARED)
        .data(name, [u64(name.length)], SHARED)
        .func('f', body(code(part, rdi(8), rsi(8), movEax(name.length))))
        .func('g', body(lea('tab')));
    return extractObjects(build('was'), build('is'), { exports: ['__x86_return_thunk'] });
  };

  // Clang gave the array behind `rows` no name in one build: both could mean the end of `rows`, and the new function read that.
  test('is not taken for the end of one that the function does not use otherwise', () => {
    expect(replaced([]).told).toEqual(['ambiguous-reference f+0xc', 'ambiguous-reference f+0x13']);
  });

  test('... nor of one that it does, where a variable went and another came there', () => {
    expect(replaced(rdi(0)).told).toEqual(['ambiguous-reference f+0x13', 'ambiguous-reference f+0x1a']);
  });
});

describe('pointers in data', () => {
  const build = (second: boolean, value: number): ObjectBuilder => {
    const b = object().file('a.c').data('tab', zeros(2), SHARED);
    return (second ? b.data('fresh', zeros(2), SHARED) : b)
      .data('range', [ptr64({ section: SHARED.section }), ptr64({ section: SHARED.section }, 16)], LOCAL)
      .func('f', body(movEax(value), lea('range')))
      .func('g', body(lea('tab')));
  };

  test('the end of a table is no changed data for a new neighbour', () => {
    const { data, told } = diffObjects(build(false, 1), build(true, 2));
    expect(data.changed).toEqual([]);
    expect(told).toEqual([]);
  });
});

describe('uses of names that prove nothing', () => {
  test('a place between two of them pairs neither', () => {
    // f loops over `t.0`; behind it `t.1` was g's, and is h's now. That f is unchanged says nothing of `t.1`.
    const build = (first: string, second: string): ObjectBuilder =>
      object()
        .file('a.c')
        .data('t.0', zeros(2), SHARED)
        .data('t.1', zeros(2), SHARED)
        .data('t.2', zeros(2), SHARED)
        .func('f', body(loop(0, 16)))
        .func(first, body(movEax(1), lea('t.1')))
        .func(second, body(movEax(2), lea('t.2')));
    const diff = diffObjects(build('g', 'x'), build('h', 'g'));
    expect(diff.twin('t.1')?.name).not.toBe('t.1');
  });
});

describe('compiled loops', () => {
  const gcc = spawnSync('gcc', ['-dumpmachine'], { encoding: 'utf8' }).stdout?.startsWith('x86_64') === true;
  const folder = tempFolder();
  const FLAGS = [
    '-ffreestanding',
    '-ffunction-sections',
    '-mcmodel=kernel',
    '-fno-pic',
    '-fno-pie',
    '-fno-asynchronous-unwind-tables',
    '-fno-common',
    '-fno-stack-protector',
    '-mno-red-zone',
    '-mno-sse',
    '-w',
    '-pg',
    '-mfentry',
    '-mrecord-mcount',
  ];
  const compiled = (source: string, level: string): Buffer => {
    const file = join(folder, 'unit.c');
    writeFileSync(file, source);
    const { status, stderr } = spawnSync('gcc', [...FLAGS, level, '-c', file, '-o', join(folder, 'unit.o')], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
    return readFileSync(join(folder, 'unit.o'));
  };
  const source = (fresh: string, first: string): string => `
    struct e { int a, b; }; extern int use(void *);
    static struct e tab[8] = { { 1, 2 } }; ${fresh}
    void set(int i) { tab[i].a = i; ${fresh === '' ? '' : 'fresh = i;'} }
    int f(int k) { int s = k; struct e *p; ${first} for (p = tab + 8; p-- > tab;) s += use(p) + p->b; for (int i = 0; i < 8; i++) s += use(&tab[i].b); for (p = tab; p < tab + 8; p++) s += use(p); return s; }`;

  test.skipIf(!gcc).each(['-O0', '-O1', '-O2', '-Os'])('at %s reach their own table alone', (level) => {
    for (const fresh of [
      'static int fresh = 7;',
      'static int fresh; static int more; void set2(int i) { more = i; }',
    ]) {
      const made = extractObjects(compiled(source('', ''), level), compiled(source(fresh, 's += fresh;'), level), {
        exports: ['use', '__fentry__'],
      });
      expect(made.told).toEqual([]);
      const addresses = made.relas('f').filter((text) => text.includes('32S'));
      expect(addresses.length).toBeGreaterThan(2);
      for (const text of addresses) expect(text, level).toMatch(/vmlinux\.tab,0/);
    }
  });
});
