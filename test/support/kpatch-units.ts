import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDiffObject, kpatchStructSizes, type Diagnostic } from '../../src/index';
import { CORPUS } from './corpus';
import { readelf } from './readelf';

/** One pair in `expected.json`: what kpatch's tool did. */
export interface Unit {
  patched: string;
  env: Record<string, string>;
  exit: number;
  /** Any refusal will do. */
  mustFail?: boolean;
  changed: string[];
  new: string[];
  messages?: string[];
  textSymbols?: number;
  assertTextSymbols?: number;
  sections?: Record<string, number>;
  kpatchFuncsBytes?: number;
  kpatchRelocationsBytes?: number;
  kpatchSymbolsBytes?: number;
}

/** How many pairs there are: none may be lost unseen. */
export const PAIRS = { aarch64: 5, loongarch64: 4, ppc64le: 20, s390x: 15, x86_64: 36 } as const;
export type Processor = keyof typeof PAIRS;

export function folderOf(processor: Processor): string {
  return join(CORPUS, 'kpatch-unit', processor);
}

export function unitsOf(processor: Processor): Record<string, Unit> {
  const file = join(folderOf(processor), 'expected.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, Unit>) : {};
}

/** PARENT-SYMTAB of a pair: the symbols of ORIG itself, as kpatch's unit tests make it. @returns its path */
export function parentSymtab(orig: string, to: string): string {
  writeFileSync(
    to,
    execFileSync('readelf', ['-s', '--wide', orig], { encoding: 'utf8', maxBuffer: 1 << 28 }).replace(
      /\s+\[<localentry>: 8\]/g,
      '',
    ),
  );
  return to;
}

export interface UnitRun {
  exit: number;
  /** Lines without the object's name. */
  lines: string[];
  diagnostics: Diagnostic[];
  output: string;
}

/** Runs one pair as kpatch's unit tests do, with `folder` for its files. */
export async function runUnit(
  processor: Processor,
  name: string,
  folder: string,
  options: { klpArch?: boolean; env?: Record<string, string>; parentName?: string } = {},
): Promise<UnitRun> {
  const unit = unitsOf(processor)[name]!;
  const orig = join(folderOf(processor), `${name}.ORIG.o`);
  const output = join(folder, `${processor}-${name}.o`);
  const lines: string[] = [];
  const { exit, diagnostics } = await createDiffObject({
    orig,
    patched: join(folderOf(processor), unit.patched),
    parentName: options.parentName ?? 'vmlinux',
    parentSymtab: parentSymtab(orig, `${output}.symtab`),
    symvers: '/dev/null',
    output,
    klpArch: options.klpArch ?? false,
    structSizes: kpatchStructSizes(options.env ?? unit.env),
    print: (line) => lines.push(line.slice(line.indexOf(': ') + 2)),
  });
  return { exit, lines, diagnostics, output };
}

/** Sizes of an object's sections by name, equally named ones together, without relocations and symbol tables. */
export function contentSections(path: string): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const line of readelf(path, '-SW')) {
    const [, name, type, size] = /^\[\s*\d+\] (\S+)\s+([A-Z_]+)\s+[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+)/.exec(line) ?? [];
    if (name === undefined || type === 'RELA' || type === 'SYMTAB' || type === 'STRTAB' || type === 'NULL') continue;
    sizes[name] = (sizes[name] ?? 0) + parseInt(size!, 16);
  }
  return sizes;
}

/** What `nm` shows as t or T, which kpatch's own tests count. */
export function textSymbols(path: string): string[] {
  return execFileSync('nm', [path], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => / t /i.test(line))
    .map((line) => line.split(' ').at(-1)!);
}

/** Relocations of one rela section, "type symbol + addend" each. */
export function relasOf(path: string, section: string): string[] {
  const lines = readelf(path, '-rW');
  const from = lines.findIndex((line) => line.startsWith(`Relocation section '${section}'`));
  if (from < 0) return [];
  const rest = lines.slice(from + 2);
  const end = rest.findIndex((line) => line.startsWith('Relocation section'));
  return rest
    .slice(0, end < 0 ? undefined : end)
    .map((line) => line.split(/\s+/))
    .map(([, , type, , ...target]) => `${type} ${target.join(' ')}`);
}
