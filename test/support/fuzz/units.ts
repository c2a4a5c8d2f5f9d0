/**
 * Objects: from two files to the livepatch object and module of their difference, as `diff -o`, create-diff-object, `explain` and
 * the others run them, but on one thread.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDiffObject } from '../../../src/index';
import { copyLoaded } from '../../../src/elf/loaded-copy';
import { ElfObject, SHN_UNDEF, ST_INFO, SYM_WORDS } from '../../../src/elf';
import { readKlpObject, writeKlpObject } from '../../../src/livepatch/klp';
import { CheckedObject } from '../../../src/stages/checksum';
import { withChecksums } from '../../../src/tools/objtool/checksum/section';
import { platformFacts } from '../../../src/livepatch/facts';
import { KernelListing } from '../../../src/kernel/listing';
import { Symvers } from '../../../src/kernel/symvers';
import { writeModule } from '../../../src/livepatch/ko';
import { explainSymbol } from '../../../src/stages/explain';
import { extract } from '../../../src/stages/extract/extract';
import { diffInline, type InlineDiff } from '../../../src/stages/inline';
import { checkRunningKernel } from '../../../src/stages/running-kernel';
import { SymbolPositions } from '../../../src/stages/running-kernel/sympos';
import { unitNames } from '../../../src/stages/unit-names';
import { verify } from '../../../src/verify';
import { Random } from '../../../src/synth/random';
import { damaged } from './mutate-within';
import { PLATFORM } from '../patched-object';
import { OPTIONS, TARGET } from '../target-kernel';
import { exportsOf, listingOf, type Unit } from './small-kernel';
import { ELF_CODES, checkResult, opened, type Subject } from './outcome';

/** A unit with what a kernel would say of its names. */
interface Base extends Unit {
  objectName: string;
  /** Names that it defines, and names that it only refers to. */
  defined: string[];
  undefined: string[];
  listing: KernelListing;
  symvers: Symvers;
}

function baseOf(unit: Unit): Base {
  const elf = opened(unit.orig, unit.name);
  const names = { defined: new Set<string>(), undefined: new Set<string>() };
  for (let symbol = 1; symbol < elf.symbolCount; symbol++) {
    const name = elf.symbolName(symbol);
    if (/^[A-Za-z_]/.test(name))
      names[elf.symbols[symbol * SYM_WORDS + ST_INFO]! >>> 16 === SHN_UNDEF ? 'undefined' : 'defined'].add(name);
  }
  const [defined, undef] = [[...names.defined], [...names.undefined]];
  // Every third one is left to the module loader, the rest to the livepatch core.
  const exported = undef.filter((_, i) => i % 3 === 0);
  return {
    ...unit,
    objectName: 'vmlinux',
    defined,
    undefined: undef,
    listing: KernelListing.parse(
      Buffer.from(listingOf([...defined, ...undef.filter((_, i) => i % 3 !== 1)])),
      'kallsyms',
    ),
    symvers: Symvers.parse(exportsOf(exported), 'Module.symvers'),
  };
}

/** ORIG or PATCHED is damaged; all stages to a finished module, which is then verified. */
export function unitSubject(units: readonly Unit[], folder: string): Subject {
  const bases = new Map<Unit, Base>();
  return {
    // Of what is asked for by name: a mapping symbol of aarch64 (`$x`) may have become a function of the report.
    codes: new Set([...ELF_CODES, 'symbol-not-found']),
    mutant(seed) {
      const unit = units[seed % units.length]!;
      if (!bases.has(unit)) bases.set(unit, baseOf(unit));
      const base = bases.get(unit)!;
      const side = new Random(seed, 1).chance(60) ? 'patched' : 'orig';
      const { bytes, done } = damaged(unit[side], seed);
      return {
        done: [`${side} of ${unit.name}`, ...done],
        run() {
          const orig = opened(side === 'orig' ? bytes : unit.orig, 'orig.o');
          const patched = opened(side === 'patched' ? bytes : unit.patched, 'patched.o');
          if (orig.machine !== patched.machine || orig.little !== patched.little) return 'machine-mismatch';
          const found = diffInline(orig, patched, { objectName: base.objectName });
          const { included, diagnostics, object } = found.assessment;
          checkResult(object, diagnostics);
          explainOne(found, seed);
          return included.length === 0 ? 'unchanged' : extracted(base, found, join(folder, 'unit.ko'), seed);
        },
      };
    },
  };
}

function explainOne(
  {
    correlation,
    orig,
    patched,
    assessment: {
      object: { functions, data },
    },
  }: InlineDiff,
  seed: number,
): void {
  const listed = [...functions.changed, ...functions.new, ...data.changed];
  const name = listed[seed % Math.max(1, listed.length)]?.name;
  // A name that is no text any more cannot be given on a command line either.
  if (name !== undefined && !name.includes('\ufffd')) explainSymbol(correlation.pairing, orig, patched, name, 3);
}

function extracted(
  base: Base,
  { orig, patched, correlation, assessment }: InlineDiff,
  module: string,
  seed: number,
): string {
  const listing = seed % 4 === 0 ? null : base.listing;
  const positions = new SymbolPositions(orig, base.objectName, listing);
  const { object, klpSymbols, replaced, references, diagnostics } = extract({
    pairing: correlation.pairing,
    orig,
    patched,
    objectName: base.objectName,
    included: assessment.included,
    undecided: new Set(assessment.undecided),
    copied: new Set(assessment.copied),
    symvers: base.symvers,
    positions,
    // What a unit does not say, and a whole kernel would.
    facts: { ...platformFacts(orig.object), vermagic: PLATFORM.vermagic },
    provenance: { orig: 'o', patched: 'p' },
  });
  if (listing !== null)
    diagnostics.push(...checkRunningKernel({ orig, positions, listing, functions: replaced, references }));
  checkResult(klpSymbols, diagnostics);
  if (object.machine !== 62) return 'extracted';
  const bytes = Buffer.concat([...writeKlpObject(object).chunks()].map((chunk) => Buffer.from(chunk)));
  const result = writeModule([readKlpObject(opened(bytes, 'extracted.o'))], TARGET, OPTIONS);
  checkResult([], result.diagnostics);
  if (result.chunks === null) return 'refused';
  writeFileSync(module, Buffer.concat([...result.chunks()].map((chunk) => Buffer.from(chunk))));
  const { ok, diagnostics: findings } = verify({ module });
  checkResult([], findings);
  return ok ? 'module' : 'module-with-findings';
}

/** create-diff-object, which reads a listing of the parent besides. */
export function kpatchSubject(units: readonly Unit[], folder: string): Subject {
  const at = (name: string): string => join(folder, name);
  const prepared = new Map<Unit, { symtab: string; symvers: string }>();
  return {
    codes: new Set([...ELF_CODES, 'malformed-symvers', 'no-btf']),
    mutant(seed) {
      const unit = units[seed % units.length]!;
      if (!prepared.has(unit)) {
        const { defined, undefined: undef } = baseOf(unit);
        prepared.set(unit, {
          symtab: parentOf(unit, undef),
          symvers: exportsOf([...undef.filter((_, i) => i % 3 === 0), ...defined.slice(0, 1)]),
        });
      }
      const { symtab, symvers } = prepared.get(unit)!;
      const side = new Random(seed, 1).chance(60) ? 'patched' : 'orig';
      const { bytes, done } = damaged(unit[side], seed);
      return {
        done: [`${side} of ${unit.name}`, ...done],
        async run() {
          writeFileSync(at('orig.o'), side === 'orig' ? bytes : unit.orig);
          writeFileSync(at('patched.o'), side === 'patched' ? bytes : unit.patched);
          writeFileSync(at('symtab'), symtab);
          writeFileSync(at('symvers'), symvers);
          const { exit, diagnostics } = await createDiffObject({
            orig: at('orig.o'),
            patched: at('patched.o'),
            parentName: 'vmlinux',
            parentSymtab: at('symtab'),
            symvers: at('symvers'),
            output: at('out.o'),
            klpArch: seed % 2 === 0,
            structSizes: {},
            print: () => undefined,
          });
          checkResult([], diagnostics);
          if (exit === 0) ElfObject.open(at('out.o'));
          // Files of one name within a clock tick would pass for one.
          for (const name of ['orig.o', 'patched.o', 'out.o']) rmSync(at(name), { force: true });
          return `exit-${exit}`;
        },
      };
    },
  };
}

/** What `readelf -s --wide` prints of a kernel that the unit is part of. */
export function parentOf({ orig, name }: Unit, imported: readonly string[]): string {
  const elf = opened(orig, name);
  const types = ['NOTYPE', 'OBJECT', 'FUNC', 'SECTION', 'FILE'];
  const lines = [
    "Symbol table '.symtab' contains many entries:",
    '   Num:    Value          Size Type    Bind   Vis      Ndx Name',
  ];
  const row = (i: number, type: string, bind: string, index: string, text: string): string =>
    `${String(i).padStart(6)}: ${(0xffffffff81000000n + BigInt(i) * 64n).toString(16)}    64 ${type.padEnd(7)} ${bind.padEnd(6)} DEFAULT  ${index} ${text}`;
  for (let symbol = 1; symbol < elf.symbolCount; symbol++) {
    const info = elf.symbols[symbol * SYM_WORDS + ST_INFO]!;
    if (info >>> 16 !== SHN_UNDEF)
      lines.push(
        row(
          symbol,
          types[info & 0xf] ?? 'NOTYPE',
          ((info >>> 4) & 0xf) === 0 ? 'LOCAL' : 'GLOBAL',
          '1',
          elf.symbolName(symbol),
        ),
      );
  }
  imported.forEach((text, i) => lines.push(row(elf.symbolCount + i, 'FUNC', 'GLOBAL', '1', text)));
  return `${lines.join('\n')}\n`;
}

/** What reads one object alone: its names for folders, `objtool klp checksum`, the copy of a file that is too large to be mapped. */
export function objectSubject(units: readonly Unit[], folder: string): Subject {
  const source = join(folder, 'source.o');
  const copy = join(folder, 'copy.o');
  return {
    codes: new Set([...ELF_CODES, 'input-too-large']),
    mutant(seed) {
      const unit = units[seed % units.length]!;
      const { bytes, done } = damaged(unit.orig, seed);
      return {
        done: [unit.name, ...done],
        run() {
          writeFileSync(source, bytes);
          const written = copyLoaded(source, copy, 16 << 20);
          if (readFileSync(copy).length > written) return 'BUG: the copy is longer than it says';
          const kept = opened(readFileSync(copy), 'copy.o');
          unitNames(kept);
          const object = opened(bytes, 'source.o');
          unitNames(object);
          platformFacts(object);
          if (object.machine !== 62) return 'read';
          const checked = CheckedObject.read(object);
          checked.hash(1, object.symbolCount);
          return withChecksums(object, checked.records()).kept > 0 ? 'read' : 'BUG: nothing written';
        },
      };
    },
  };
}
