/** What several references reach in one literal is copied once, with all distances kept; and a change of it is a change for each of them. */
import { describe, expect, test } from 'vitest';
import type { OutputRela } from '../../../src/livepatch/object';
import { COMPILERS, compiled } from '../../support/compiled';
import { extractObjects, type Extracted } from '../../support/extract-objects';

const HEAD =
  'int ext(int); int say(const char *); long two(const char *, const char *); unsigned long strlen(const char *); void print(const char *, int);\n';

/** References of a function into data of the livepatch, as section and place. */
function places(made: Extracted, of: string): Array<{ section: string; place: number; bytes: Buffer }> {
  const { section, value, size } = made.symbol(of);
  if (typeof section === 'string') throw new Error(`${of} is not defined`);
  const relative = ({ type }: OutputRela): number => (type === 2 ? 4 : 0);
  return section.relas
    .filter(({ offset }) => offset >= value && offset < value + size)
    .flatMap((rela) => {
      const target = rela.symbol.section;
      if (typeof target === 'string' || (target.flags & 4) !== 0) return [];
      return [
        {
          section: target.name,
          place: rela.symbol.value + rela.addend + relative(rela),
          bytes: Buffer.from(target.bytes),
        },
      ];
    });
}

const LOOP = (edit: string): string => `${HEAD}
int f(int c) { int i, s = 0; say(""); ${edit} for (i = 0; i < 13; i++) s += ext("KMGTPEZYRQABC"[i] ^ c); return s; }`;
const PAST = (edit: string, text = 'KMGTPEZYRQABC'): string => `${HEAD}
#define S "${text}"
int f(int c) { const char *p; int s = 0; ${edit} for (p = S; p < S + sizeof(S); p++) s += ext(*p ^ c); say("other text"); return s; }`;
const MIDDLE = (edit: string): string => `${HEAD}
int f(int c) { static const char *const s = "prefix-suffix"; ${edit} return two(s, s + 7) + 1; }`;
const MARGIN = (edit: string): string => `${HEAD}
void f(int level, int flags) { const char *blanks = "                        "; const char *from = blanks + strlen(blanks) - level; ${edit} print(from >= blanks ? from : blanks, flags); }`;
const EDIT = 'if (c == 99) return ext(1);';

describe.each(COMPILERS)('%s', (compiler) => {
  const made = (source: (edit: string) => string, edit: string, ...flags: string[]): Extracted =>
    extractObjects(compiled(compiler, source(''), ...flags), compiled(compiler, source(edit), ...flags), {
      exports: [],
    });

  test.each([['-Os'], ['-O1']])('a loop over a literal ends where its copy does (%s)', (level) => {
    // The end as an empty string of its own, or as the next literal's start: the loop runs on, or never begins.
    for (const source of [LOOP, PAST]) {
      const found = places(made(source, EDIT, level), 'f').filter(({ place, bytes }) => {
        const start = bytes.indexOf('KMGTPEZYRQABC\0');
        return start >= 0 && place >= start && place <= start + 14;
      });
      expect(found.length).toBeGreaterThan(0);
      for (const { place, bytes } of found)
        expect([0, 13, 14], level).toContain(place - bytes.indexOf('KMGTPEZYRQABC\0'));
    }
  });

  test('two places of one literal are as far apart as they were', () => {
    const [from, to] = places(made(MIDDLE, 'if (c == 3) return 0;'), 'f')
      .filter(({ bytes }) => bytes.includes('prefix-suffix\0'))
      .sort((a, b) => a.place - b.place);
    expect(from!.bytes.toString('latin1', from!.place, from!.place + 14)).toBe('prefix-suffix\0');
    expect({ section: to!.section, distance: to!.place - from!.place }).toEqual({
      section: from!.section,
      distance: 7,
    });
  });

  test('a pointer into a literal is compared with the start of the same copy', () => {
    // `btf_show_end_aggr_type` (Linux 6.12): blanks counted from the NUL back.
    const found = places(made(MARGIN, 'if (!flags) return;', '-fbuiltin'), 'f').filter(({ bytes }) =>
      bytes.includes(' '.repeat(24)),
    );
    for (const { place, bytes } of found) expect([0, 24]).toContain(place - bytes.indexOf(' '.repeat(24)));
    expect(found.length).toBeGreaterThan(0);
  });

  test('a changed literal is a change whatever place of it the function names', () => {
    // A reference to the NUL finds an empty string in both builds, one behind it the neighbour.
    for (const [text, other] of [
      ['KMGTPEZYRQABC', 'KMGTPEZYRQABD'],
      ['KMGTPEZYRQABC', 'XMGTPEZYRQABC'],
    ] as const) {
      const { diff } = extractObjects(compiled(compiler, PAST('', text)), compiled(compiler, PAST('', other)));
      expect(diff.changed).toHaveProperty('f');
    }
  });

  test('a literal behind it is none of its own', () => {
    // What lies one past the end of the loop's literal is another function's text.
    const source = (text: string): string => `${PAST('')}\nint g(int c) { return say("${text}"); }`;
    const { diff } = extractObjects(
      compiled(compiler, source('first'), '-fno-function-sections'),
      compiled(compiler, source('second'), '-fno-function-sections'),
    );
    expect(Object.keys(diff.changed)).toEqual(['g']);
  });
});
