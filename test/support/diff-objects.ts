import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Diagnostic } from '../../src/diagnostics';
import { ElfObject } from '../../src/elf';
import { assess, type Assessment, type ObjectResult } from '../../src/stages/assess';
import type { Difference, Verdict } from '../../src/stages/compare';
import { Side } from '../../src/stages/side/side';
import { compareInline, correlateInline } from '../../src/stages/inline';
import { RULES, type Correlation } from '../../src/stages/correlate';
import { Trait, digestShard, digestSpecials, readTable, type ScanTable } from '../../src/stages/scan';
import {
  ENDBR,
  FENTRY_SITE,
  RETURN,
  code,
  disp32,
  plt32,
  ptr64,
  ObjectBuilder,
  type Body,
  type Field,
  type Target,
} from './elf-builder';
import { tempFolder } from './temp-folder';

const folder = tempFolder();
let serial = 0;

/** An object on disk, mapped and checked as a run does it. */
export function opened(object: ObjectBuilder | Buffer): ElfObject {
  const path = join(folder, `${serial++}.o`);
  writeFileSync(path, object instanceof ObjectBuilder ? object.bytes() : object);
  return ElfObject.open(path);
}

export interface ScanOfObject {
  object: ElfObject;
  table: ScanTable;
  uses: Uint32Array;
  unknown: Array<{ section: string; bytes: number }>;
  traceKnown: boolean;
}

/** Runs scan on one object, its digests in `shards` ranges. */
export function scan(
  builder: ObjectBuilder | Buffer,
  structSizes: Record<string, number> = {},
  shards = 2,
): ScanOfObject {
  const object = opened(builder);
  const table = readTable(object);
  const step = Math.ceil(table.symbols / shards);
  const parts = Array.from({ length: shards }, (_, i) =>
    digestShard(object, table, Math.min(i * step, table.symbols), Math.min((i + 1) * step, table.symbols)),
  );
  const { uses, unknown, traceKnown } = digestSpecials(object, table, structSizes);
  return { object, table, uses: Uint32Array.from([...parts, uses].flatMap((part) => [...part])), unknown, traceKnown };
}

/** The outcome of all stages on two objects, in names. */
export interface ObjectDiff {
  /** Changed functions: name in ORIG and class. */
  changed: Record<string, string>;
  first: Record<string, Difference | null>;
  /** New functions. */
  added: string[];
  removed: string[];
  carried: Record<string, string[]>;
  /** Functions and data that differ in nothing that counts: name and class. */
  ignored: Record<string, string>;
  data: { changed: string[]; added: string[] };
  /** `code symbol` of every diagnostic. */
  told: string[];
  diagnostics: Diagnostic[];
  ambiguous: ObjectResult['ambiguous'];
  object: ObjectResult;
  assessment: Assessment;
  correlation: Correlation;
  verdicts: Verdict[];
  orig: Side;
  patched: Side;
  /**
   * The twin of the `nth` symbol called `name` in ORIG, as `name#nth` in PATCHED (the number only where PATCHED has several
   * of that name), and the rule that paired it. Undefined if it has none.
   */
  twin(name: string, nth?: number): { name: string; rule: string } | undefined;
}

/** All stages in this process: scan of both, correlate, compare, assess. */
export function diffObjects(
  orig: ObjectBuilder | Buffer,
  patched: ObjectBuilder | Buffer,
  options: { objectName?: string; structSizes?: Record<string, number> } = {},
): ObjectDiff {
  const { objectName = 'vmlinux', structSizes = {} } = options;
  const scans = [scan(orig, structSizes), scan(patched, structSizes)] as const;
  const [a, b] = scans.map(({ object, table }) => new Side(object, table, structSizes)) as [Side, Side];
  const correlation = correlateInline({ ...scans[0], side: a }, { ...scans[1], side: b });
  const { pairing, ambiguous, contradicted, unpaired } = correlation;
  const { verdicts, lineOnly, uncovered } = compareInline(correlation, a, b);
  const { traceKnown } = scans[0];
  const assessment = assess({
    pairing,
    ambiguous,
    contradicted,
    unpaired,
    lineOnly,
    uncovered,
    traceKnown,
    orig: a,
    patched: b,
    verdicts,
    objectName,
    unknownSizes: scans[1].unknown,
  });
  const { object, diagnostics } = assessment;
  const { functions, data } = object;
  return {
    changed: Object.fromEntries(functions.changed.map((entry) => [entry.name, entry.class])),
    first: Object.fromEntries(functions.changed.map((entry) => [entry.name, entry.first])),
    added: functions.new.map(({ name }) => name),
    removed: functions.removed.map(({ name }) => name),
    carried: Object.fromEntries(functions.carried.map(({ name, via }) => [name, via])),
    ignored: Object.fromEntries([...functions.ignored, ...data.ignored].map((entry) => [entry.name, entry.class])),
    data: { changed: data.changed.map(({ name }) => name), added: data.new.map(({ name }) => name) },
    told: diagnostics.map(({ code: text, where }) => `${text} ${where.symbol ?? where.section ?? ''}`),
    diagnostics,
    ambiguous: object.ambiguous,
    object,
    assessment,
    correlation,
    verdicts,
    orig: a,
    patched: b,
    twin(name, nth = 0) {
      const symbol = symbolsOf(a, name)[nth];
      if (symbol === undefined) throw new Error(`ORIG has no ${name} number ${nth}`);
      const twin = pairing.twin[symbol]!;
      if (twin === 0) return undefined;
      const namesakes = symbolsOf(b, b.name(twin));
      return {
        name: b.name(twin) + (namesakes.length > 1 ? `#${namesakes.indexOf(twin)}` : ''),
        rule: RULES[pairing.rule[symbol]!]!,
      };
    },
  };
}

/** Functions and objects of a name, in symbol-table order. */
export function symbolsOf({ table, object }: { table: ScanTable; object: ElfObject }, name: string): number[] {
  return Array.from({ length: table.symbols }, (_, symbol) => symbol).filter(
    (symbol) => table.has(symbol, Trait.FUNC | Trait.OBJECT) && object.symbolName(symbol) === name,
  );
}

/** What an unchanged pair looks like: nothing to patch, nothing to tell. */
export const NOTHING = { changed: {}, added: [], removed: [], carried: {}, ignored: {}, told: [] };

/** A function's usual frame: ENDBR, ftrace site, the parts, return. */
export const body = (...parts: Array<Body | number | Field>): Body => code(ENDBR, FENTRY_SITE, ...parts, RETURN);
/** Offset of the first part within `body`. */
export const BODY = 9;
export const call = (target: Target): Body => [0xe8, plt32(target)];
/** `lea target(%rip), %rdi` */
export const lea = (target: Target, plus = 0): Body => [0x48, 0x8d, 0x3d, disp32(target, plus)];
/** `movl $value, %eax` */
export const movEax = (value: number): Body => [0xb8, { width: 4, value }];
/** `incl target(%rip)` */
export const inc = (target: Target, plus = 0): Body => [0xff, 0x05, disp32(target, plus)];
/** A direct call that the assembler resolved: rel32 without a relocation. */
export const near = (opcode: number, distance: number): Body => [opcode, { width: 4, value: distance >>> 0 }];

/** Ftrace sites of functions made with `body`. */
export function traced(builder: ObjectBuilder, ...names: string[]): ObjectBuilder {
  for (const name of names) builder.special('__mcount_loc', ptr64(name, 4));
  return builder;
}
