/** Where a variable lies in the running kernel: a klp relocation leads there, whatever PATCHED made of it. */
import { describe, expect, test } from 'vitest';
import { COMPILERS, compiled } from '../../support/compiled';
import { diffObjects, type ObjectDiff } from '../../support/diff-objects';

const either = (patched: string, orig = ''): string => `\n#ifdef PATCHED\n${patched}\n#else\n${orig}\n#endif\n`;
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

describe.each(ways)('$where', (way) => {
  const diff = (source: string): ObjectDiff => diffObjects(...builds(way, `extern int ext(long);\n${source}`));

  // Guards against an oops at the first write.
  test.each([
    [
      'const',
      `${either('', 'const')} int cfg[4] = { 1, 2, 3, 4 }; int g(int k) { return cfg[k & 3] + k; } int f(int k) {${either('cfg[k & 3] = k;')} return ext(k); }`,
    ],
    [
      'const, its address passed',
      `extern int use(int *); ${either('', 'const')} int cfg[4] = { 1, 2, 3, 4 }; int f(int k) {${either('use(cfg);')} return ext(cfg[k & 3]); }`,
    ],
    [
      'read-only after boot',
      `int cfg[4]${either('', ' __attribute__((section(".data..ro_after_init")))')} = { 1, 2, 3, 4 }; int g(int k) { return cfg[k & 3] + k; } int f(int k) {${either('cfg[k & 3] = k;')} return ext(k); }`,
    ],
    // PATCHED faults there, too: the livepatch must not be the one to show it.
    [
      'const in both',
      `const int cfg[4] = { 1, 2, 3, 4 }; int g(int k) { return cfg[k & 3] + k; } int f(int k) {${either('*(volatile int *)&cfg[2] = k;')} return ext(k); }`,
    ],
    [
      'read-only after boot in both',
      `int cfg __attribute__((section(".data..ro_after_init"))) = 1; int g(int k) { return cfg + k; } int f(int k) {${either('cfg = k;')} return ext(k); }`,
    ],
  ])('a variable that was %s and is written is refused', (_, source) => {
    expect(diff(source).told).toEqual(['changed-placement cfg']);
  });

  // Guards against a refusal of what the kernel does all the time.
  test.each([
    [
      'no longer const, is only read',
      `${either('', 'const')} int cfg[4] = { 1, 2, 3, 4 }; int f(int k) {${either('k++;')} return ext(k) + cfg[k & 3]; }`,
    ],
    [
      'read-only after boot in both, is read',
      `int cfg __attribute__((section(".data..ro_after_init"))) = 1; int f(int k) {${either('k++;')} return ext(k) + cfg; }`,
    ],
    // Boot code alone calls it, and it was changed for another reason.
    [
      'read-only after boot in both, and written in both',
      `int cfg __attribute__((section(".data..ro_after_init"))) = 1; int f(int k) {${either('k++;')} cfg = k; return ext(k); }`,
    ],
    ['written in both', `int cfg[4] = { 1 }; int f(int k) {${either('k++;')} cfg[k & 3] = k; return ext(k); }`],
    [
      'placed among what is mostly read',
      `int cfg${either('__attribute__((section(".data..read_mostly")))')} = 1; int f(int k) {${either('k++;')} cfg = k; return ext(k); }`,
    ],
  ])('a variable that is %s goes on', (_, source) => {
    expect(diff(source)).toMatchObject({ told: [], changed: { f: 'code' } });
  });

  // Guards against `buf | 5`, which is no longer `buf + 5`.
  test('an alignment that was raised is refused', () => {
    const found = diff(
      `static char before[3] = { 1 }; static int buf[4]${either('__attribute__((aligned(64)))')} = { 1 }; int f(int k) {${either('k++;')} before[k & 1] = k; buf[k & 3] = k; return ext((long)buf); }`,
    );
    expect(found.told).toEqual(['raised-alignment buf']);
  });

  // Guards against a place that happens to be a multiple and counts as a need.
  test('variables in another order keep their alignment', () => {
    const variables = [
      'static char four[3] = { 1, 2, 3 };',
      'static long three[9] = { 1, 2 };',
      'static short two[3] = { 1, 2, 3 };',
      'static int one[4] = { 1 };',
    ];
    const found = diff(
      `${either([...variables].reverse().join(''), variables.join(''))} int f(int k) {${either('k++;')} one[k & 1] = two[k & 1] = three[k & 1] = four[k & 1] = k; return ext((long)one) + ext((long)two) + ext((long)three) + ext((long)four); }`,
    );
    expect(found).toMatchObject({ told: [], changed: { f: 'code' } });
  });
});
