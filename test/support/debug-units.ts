/** A unit with debug information for each processor, before and after a patch of two of its functions, and what tools read out of it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SHF_STRINGS, SHT_RELA, type ElfObject } from '../../src/elf';
import {
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  ST_INFO,
  ST_VALUE,
  SYM_WORDS,
  s64,
  u64,
} from '../../src/elf/words';
import { tool } from './clang';
import { readelf } from './readelf';

/** Changed functions stand between others, so that what is left out comes first, in the middle and last. */
const SOURCE = `
struct pair { int first; long second; };
int kept_table[4] = { 1, 2, 3, 4 };
static int counter;
extern int outside(int, const char *);
static __attribute__((noinline)) int helper(int x) { counter += x; return outside(counter, "helper %d\\n"); }
static inline int scaled(int x, int by) { int product = x * by; return product + outside(product, "scaled"); }
int first_dropped(struct pair *p) { int local = p->first; while (local < 100) local += helper(local); return local; }
int target(struct pair *p, int n)
{
  int sum = 0;
  for (int i = 0; i < n; i++)
    sum += scaled(kept_table[i & 3], p->first) + helper(i);
#ifdef PATCHED
  if (sum < 0)
    return outside(sum, "negative");
#endif
  return sum;
}
int middle_dropped(struct pair *p) { return p->second > 3 ? helper(p->first) : outside(1, "middle"); }
#ifdef PATCHED
int fresh_count = 3;
__attribute__((noinline)) int fresh(int x) { return fresh_count + outside(x, "fresh"); }
#endif
int other_target(int x)
{
#ifdef PATCHED
  return scaled(x, 3) + fresh(x);
#else
  return scaled(x, 3);
#endif
}
int last_dropped(int x) { return scaled(x, 5) + helper(x); }
`;

export const KEPT = ['fresh', 'other_target', 'target'] as const;
export const DROPPED = ['first_dropped', 'helper', 'last_dropped', 'middle_dropped'] as const;
/** What is called with a string, by whom: debuggers show it as an argument. */
export const KEPT_STRINGS = ['"negative"', '"scaled"', '"fresh"'] as const;
export const DROPPED_STRINGS = ['"middle"'] as const;

const COMMON = [
  '-O2',
  '-ffreestanding',
  '-fno-pic',
  '-ffunction-sections',
  '-fdata-sections',
  '-fno-stack-protector',
  '-fno-asynchronous-unwind-tables',
];

/** How each processor's kernel lets ftrace in. */
const TARGETS = {
  aarch64: ['aarch64-linux-gnu', '-fpatchable-function-entry=2'],
  loongarch64: ['loongarch64-linux-gnu', '-fpatchable-function-entry=2'],
  ppc64le: ['powerpc64le-linux-gnu', '-pg', '-mcmodel=large'],
  s390x: ['s390x-linux-gnu', '-pg', '-mfentry', '-mnop-mcount'],
  x86_64: ['x86_64-linux-gnu', '-pg', '-mfentry', '-mcmodel=kernel', '-mno-red-zone'],
} as const;

export const GCC = [
  '-pg',
  '-mfentry',
  '-mcmodel=kernel',
  '-mno-red-zone',
  '-fcf-protection=none',
  '-fno-pie',
  '-gdwarf-5',
];

export interface Compilation {
  compiler: string | undefined;
  flags: readonly string[];
  /** For `ld -r`. */
  linker: string | undefined;
}

const CLANG = tool('clang');
const LLD = tool('ld.lld');
const SYMBOLIZER = tool('llvm-symbolizer');
const DWARFDUMP = tool('llvm-dwarfdump');

/** Each processor by Clang, with lists of addresses as DWARF 4 and as DWARF 5 has them, and with unwind tables. */
export const BY_CLANG = Object.entries(TARGETS).flatMap(([processor, [target, ...flags]]) =>
  [
    ['DWARF 4', '-gdwarf-4'],
    ['DWARF 5', '-gdwarf-5'],
    ['.eh_frame', '-gdwarf-5', '-fasynchronous-unwind-tables'],
  ].map(([what, ...more]): [string, Compilation] => [
    `${processor}, ${what!}`,
    { compiler: CLANG, flags: [`--target=${target}`, ...flags, ...more], linker: LLD },
  ]),
);

/** What GCC puts into several sections of one name, and compressed ones. */
export const BY_GCC: Array<[string, Compilation]> = (
  [
    ['macros of headers', '-g3'],
    ['a section a type', '-fdebug-types-section'],
    ['compressed', '-gz=zlib'],
    ['.eh_frame', '-fasynchronous-unwind-tables'],
  ] as const
).map(([what, flag]) => [`GCC, ${what}`, { compiler: 'gcc', flags: [...GCC, flag], linker: 'ld' }]);

/** Why nothing can be built; undefined if it can. */
export function noDebugTools(): string | undefined {
  const missing = Object.entries({
    clang: CLANG,
    'ld.lld': LLD,
    'llvm-symbolizer': SYMBOLIZER,
    'llvm-dwarfdump': DWARFDUMP,
  })
    .filter(([, found]) => found === undefined)
    .map(([name]) => name);
  return missing.length === 0
    ? undefined
    : `no ${missing.join(', no ')} of LLVM 15 or newer here (Debian packages clang-19, lld-19, llvm-19)`;
}

/** Compiles both. @returns their paths */
export function compilePair(
  folder: string,
  name: string,
  { compiler, flags }: Compilation,
): { orig: string; patched: string } {
  writeFileSync(join(folder, 'unit.c'), SOURCE);
  const compile = (to: string, ...more: string[]): string => {
    execFileSync(compiler!, [...COMMON, ...flags, ...more, '-c', 'unit.c', '-o', to], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    return join(folder, to);
  };
  return { orig: compile(`${name}.orig.o`), patched: compile(`${name}.patched.o`, '-DPATCHED') };
}

/** Links an object at addresses of its own: in a relocatable object all functions are at 0. */
export function linkImage(object: string): string {
  execFileSync(LLD!, ['-e', '0', '--unresolved-symbols=ignore-all', '-o', `${object}.image`, object], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return `${object}.image`;
}

/** `ld -r`, as kpatch-build joins outputs. */
export function joinObjects(objects: readonly string[], { linker }: Compilation): string {
  const joined = `${objects[0]!}.joined.o`;
  execFileSync(linker!, ['-r', '-o', joined, ...objects], { stdio: ['ignore', 'ignore', 'pipe'] });
  return joined;
}

/** For each address of each function, by its distance from the start: the functions that are inlined there, with file, line and column. */
export function sourceLines(image: string, names: readonly string[]): Record<string, string[]> {
  const symbols = readelf(image, '-sW');
  const addresses = names.map((name) => {
    const [, value, size] = symbols.find((line) => line.endsWith(` ${name}`))!.split(/\s+/);
    return Array.from(
      { length: Math.ceil(Number(size) / 2) },
      (_, i) => `0x${(parseInt(value!, 16) + 2 * i).toString(16)}`,
    );
  });
  const ran = spawnSync(SYMBOLIZER!, [`--obj=${image}`, '--output-style=JSON'], {
    input: addresses.flat().join('\n'),
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const lines = ran.stdout
    .trim()
    .split('\n')
    .map((line) => {
      const { Symbol: frames } = JSON.parse(line) as {
        Symbol: Array<{ FunctionName: string; FileName: string; Line: number; Column: number }>;
      };
      return frames
        .map(({ FunctionName, FileName, Line, Column }) => `${FunctionName} ${FileName}:${Line}:${Column}`)
        .join(' < ');
    });
  return Object.fromEntries(names.map((name, i) => [name, lines.splice(0, addresses[i]!.length)]));
}

/** Lines of llvm-dwarfdump that name an entry or a macro, without offsets: `DW_TAG_subprogram`, `DW_MACRO_define_strp - lineno: 0 macro: __STDC__ 1`. */
export function debugEntries(image: string): string[] {
  const text = execFileSync(DWARFDUMP!, ['--debug-info', '--debug-types', '--debug-macro', image], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  return text.split('\n').flatMap((line) => /DW_TAG_\w+|DW_MACRO_(define|undef).*/.exec(line)?.[0] ?? []);
}

/** Bytes that each record of .eh_frame covers, without those that cover nothing. */
export function frameLengths(object: string): number[] {
  const text = execFileSync(DWARFDUMP!, ['--eh-frame', object], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).split('.eh_frame contents:')[1]!;
  const lengths = [...text.matchAll(/ FDE .*pc=([0-9a-f]+)\.\.\.([0-9a-f]+)/g)].map(
    ([, from, to]) => parseInt(to!, 16) - parseInt(from!, 16),
  );
  return lengths.filter((length) => length !== 0).sort((a, b) => a - b);
}

/**
 * Relocations of debug sections: `.debug_info 0+0x12: type 2 .text.target+0x34`, debug sections of one name numbered. Strings, which are
 * packed anew, stand as they are: `"negative"`.
 */
export function debugRelas(elf: ElfObject): Array<{ text: string; target: string }> {
  const seen = new Map<string, number>();
  const names = Array.from({ length: elf.sectionCount }, (_, section) => {
    if (elf.type(section) === SHT_RELA) return '';
    const name = elf.name(section);
    const ordinal = seen.get(name) ?? 0;
    seen.set(name, ordinal + 1);
    return isDebug(name) ? `${name} ${ordinal}` : name;
  });
  const relas: Array<{ text: string; target: string }> = [];
  for (let section = 1; section < elf.sectionCount; section++) {
    const base = elf.type(section) === SHT_RELA ? names[elf.info(section)]! : '';
    if (!isDebug(base)) continue;
    const words = elf.relas(section);
    for (let at = 0; at < words.length; at += RELA_WORDS) {
      const symbol = words[at + R_SYM]! * SYM_WORDS;
      const to = elf.symbols[symbol + ST_INFO]! >>> 16;
      const place = u64(elf.symbols, symbol + ST_VALUE) + s64(words, at + R_ADDEND);
      const isString = !isDebug(names[to]!) && (elf.sectionFlags(to) & SHF_STRINGS) !== 0;
      const content = Buffer.from(elf.content(to));
      const target = isString
        ? JSON.stringify(content.toString('latin1', place, content.indexOf(0, place)))
        : names[to]!;
      relas.push({
        text: `${base}+0x${u64(words, at + R_OFFSET).toString(16)}: type ${words[at + R_TYPE]!} ${target}${isString ? '' : `+0x${place.toString(16)}`}`,
        target,
      });
    }
  }
  return relas;
}

export const isDebug = (name: string): boolean => /^\.(debug_|eh_frame)/.test(name);
