import { R_X86_64_PC32, R_X86_64_PLT32 } from '../../elf';
import type { Context } from '../context';
import { signed } from '../findings';
import type { ModuleRela, ModuleSection, ModuleSymbol } from '../module';
import { readVariable } from '../aarch64/constants';
import { distanceOf, wordAt } from '../aarch64/words';
import { nameOf, targetInCode, targetInData, type Target } from '../references';
import { sameAnonymous } from './anonymous';
import { loadInstead, type RuntimeConstant } from './constants';
import { identityInModule, identityInObject, refersToSame, withoutNumbers } from './identity';
import { withoutGot } from './got';
import type { ReferenceObject, ReferenceRela, ReferenceSymbol } from './object';

/** A function of the module and the one of the object that it should be. */
export interface Pair {
  section: ModuleSection;
  symbol: ModuleSymbol;
  object: ReferenceObject;
  original: ReferenceSymbol;
  /** Relocations of the original by their offset in the function, those that do nothing left out. */
  relas: ReadonlyMap<number, ReferenceRela>;
  /** What the kernel writes over a placeholder, by the placeholder's offset in the function. */
  constants: ReadonlyMap<number, RuntimeConstant>;
}

export interface Difference {
  /** Bytes from the function's start. */
  offset: number;
  message: string;
}

/** Where the module's function is not the object's: bytes outside of relocated fields, and what each field refers to. */
export function compareCode(context: Context, pair: Pair): Difference[] {
  const { module } = context;
  const { section, symbol, object, original } = pair;
  if (symbol.size !== original.size)
    return [{ offset: 0, message: `it has ${symbol.size} bytes, in the object ${original.size}` }];
  const differences: Difference[] = [];
  const { code: theirs, relas } = withoutGot(
    object.elf.content(original.section).subarray(original.value, original.value + original.size),
    pair.relas,
  );
  const ours = section.bytes.subarray(symbol.value, symbol.value + symbol.size);
  const masked = new Uint8Array(symbol.size);
  const mine = new Map(
    module.relasIn(section, symbol.value, symbol.value + symbol.size).map((rela) => [rela.offset - symbol.value, rela]),
  );
  for (const [at, { kind, variable }] of module.machine.zeros ? [] : pair.constants) {
    const read = readVariable(context, section, symbol.value, at, kind, wordAt({ bytes: theirs }, at));
    masked.fill(1, at, at + read.length);
    for (const field of read.fields) mine.delete(field);
    if (read.target === undefined || nameOfVariable(read.target) !== variable)
      differences.push({
        offset: at,
        message: `the runtime constant ${variable} is not read from the variable into the same register`,
      });
  }
  for (const [at, { kind, variable }] of module.machine.zeros ? pair.constants : []) {
    const load = loadInstead(kind, theirs, at);
    masked.fill(1, load.start, load.start + load.bytes.length);
    const rela = mine.get(load.field);
    mine.delete(load.field);
    const instruction = rela && context.code.covering(section, rela.offset);
    const target = rela && instruction && targetInCode(module, rela, instruction);
    const same = load.bytes.length > 0 && load.bytes.every((byte, i) => byte === null || ours[load.start + i] === byte);
    if (target === undefined || !same || nameOfVariable(target) !== variable)
      differences.push({
        offset: load.start,
        message: `the runtime constant ${variable} is not read from the variable into the same register`,
      });
  }
  for (const [at, { type }] of [...relas, ...mine]) masked.fill(1, at, at + (module.machine.widths[type] ?? 4));
  for (let at = 0; at < symbol.size; at++) {
    if (masked[at] === 1 || ours[at] === theirs[at]) continue;
    differences.push({ offset: at, message: `the byte here is ${hex(ours[at])}, in the object ${hex(theirs[at])}` });
    break;
  }
  for (const [at, theirRela] of relas) {
    const rela = mine.get(at);
    mine.delete(at);
    const place = { section, offset: symbol.value + at };
    const instruction = context.code.covering(section, place.offset);
    const end =
      module.machine.relative.has(theirRela.type) && instruction !== undefined
        ? instruction.offset + instruction.length - place.offset
        : 0;
    const expected = identityInObject(object, theirRela.symbol, theirRela.addend + end);
    if (rela === undefined) {
      // The jump into .altinstr_aux is always patched by its alternative, which is kept.
      if (!isAuxiliary(object, theirRela))
        differences.push({ offset: at, message: `the relocation against ${expected.text} is missing` });
      continue;
    }
    if (kindOf(rela.type) !== kindOf(theirRela.type))
      differences.push({
        offset: at,
        message: `the relocation has type ${rela.type}, in the object ${theirRela.type}`,
      });
    if (instruction === undefined) continue;
    const target = targetInCode(module, rela, instruction);
    const found = identityInModule(module, target);
    const meant = { symbol: theirRela.symbol, offset: theirRela.addend + end };
    if (!refersToSame(expected, found) && !sameAnonymous(module, target, object, meant))
      differences.push({ offset: at, message: `it refers to ${found.text}, in the object to ${expected.text}` });
  }
  for (const [at, rela] of mine)
    if (!isNear(context, pair, at, rela))
      differences.push({ offset: at, message: `a relocation at ${signed(at)} that the object does not have` });
  return differences;
}

/** Whether a relocation is that of a branch which the assembler resolved in the object, where both ends lie in one section. */
function isNear({ module }: Context, { object, original }: Pair, at: number, rela: ModuleRela): boolean {
  if (module.machine.zeros) return false;
  const place = original.value + at;
  const distance = distanceOf(wordAt({ bytes: object.elf.content(original.section) }, place));
  const name = nameOf(module, targetInData(module, rela));
  return (
    distance !== undefined &&
    name !== undefined &&
    object
      .symbolsIn(original.section)
      .some((symbol) => symbol.value === place + distance && withoutNumbers(symbol.name) === withoutNumbers(name))
  );
}

function nameOfVariable(target: Target): string | undefined {
  if (target.offset !== 0) return undefined;
  return target.in === 'klp' ? withoutNumbers(target.name.name) : target.in === 'import' ? target.name : undefined;
}

function isAuxiliary(object: ReferenceObject, rela: ReferenceRela): boolean {
  const section = object.sectionOf(rela.symbol);
  return section > 0 && object.elf.name(section) === '.altinstr_aux';
}

/** PLT32 is PC32 in a module. */
const kindOf = (type: number): number => (type === R_X86_64_PLT32 ? R_X86_64_PC32 : type);

const hex = (byte: number | undefined): string => (byte ?? 0).toString(16).padStart(2, '0');
