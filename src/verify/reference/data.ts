import { SHF_ALLOC, SHT_NOBITS, STT_OBJECT } from '../../elf';
import type { Context } from '../context';
import { isExecutable, type ModuleSection, type ModuleSymbol } from '../module';
import { targetInData } from '../references';
import { isTable } from '../tables';
import { sameAnonymous } from './anonymous';
import { identityInModule, identityInObject, refersToSame } from './identity';
import type { ReferenceObject, ReferenceRela, ReferenceSymbol } from './object';

/** Data of the object that is called like some of the module, with its relocations by their offset in it. */
export interface DataCandidate {
  object: ReferenceObject;
  original: ReferenceSymbol;
  relas: ReadonlyMap<number, ReferenceRela>;
}

/** Named data of the module, which was copied as it is: not the structures that are made for each module. */
export function namedData({ module }: Context): Array<{ section: ModuleSection; symbol: ModuleSymbol }> {
  const found: Array<{ section: ModuleSection; symbol: ModuleSymbol }> = [];
  for (const section of module.sections) {
    if (
      (section.flags & SHF_ALLOC) === 0 ||
      isExecutable(section) ||
      isTable(section.name) ||
      section.name.startsWith('.gnu.linkonce')
    )
      continue;
    for (const symbol of module.symbolsIn(section))
      if (symbol.type === STT_OBJECT && symbol.size > 0) found.push({ section, symbol });
  }
  return found;
}

/** Content and references of data that has a namesake in an object; of several namesakes one must agree. */
export function compareData(
  context: Context,
  section: ModuleSection,
  symbol: ModuleSymbol,
  candidates: readonly DataCandidate[],
): void {
  const differences = candidates.map((candidate) => difference(context, section, symbol, candidate));
  if (differences.length === 0 || differences.includes(undefined)) return;
  const { at, message } = differences[0]!;
  context.findings.add('verify-object-differs', { section, offset: symbol.value + at }, message);
}

function difference(
  { module }: Context,
  section: ModuleSection,
  symbol: ModuleSymbol,
  { object, original, relas }: DataCandidate,
): { at: number; message: string } | undefined {
  const { value, size } = symbol;
  if (size !== original.size) return { at: 0, message: `it has ${size} bytes, in the object ${original.size}` };
  // Code may count on the low bits of the address (`buf | 5`).
  const align = object.elf.align(original.section) || 1;
  if (section.align % align !== 0 || value % align !== original.value % align)
    return { at: 0, message: `it is not aligned as in the object, whose section is aligned to ${align} bytes` };
  const mine = new Map(module.relasIn(section, value, value + size).map((rela) => [rela.offset - value, rela]));
  for (const at of new Set([...relas.keys(), ...mine.keys()])) {
    const [rela, theirs] = [mine.get(at), relas.get(at)];
    if (rela === undefined || theirs === undefined)
      return {
        at,
        message:
          rela === undefined ? 'a relocation of the object is missing' : 'a relocation that the object does not have',
      };
    const target = targetInData(module, rela);
    const [expected, found] = [
      identityInObject(object, theirs.symbol, theirs.addend),
      identityInModule(module, target),
    ];
    const meant = { symbol: theirs.symbol, offset: theirs.addend };
    if (!refersToSame(expected, found) && !sameAnonymous(module, target, object, meant))
      return { at, message: `it refers to ${found.text}, in the object to ${expected.text}` };
  }
  // Data without content, and content of which some is filled in.
  const content = (bytes: Uint8Array, start: number): Uint8Array => {
    const copy = new Uint8Array(size);
    copy.set(bytes.subarray(start, start + size));
    for (const [at, { type }] of relas) copy.fill(0, at, at + (module.machine.widths[type] ?? 4));
    return copy;
  };
  const theirs =
    object.elf.type(original.section) === SHT_NOBITS ? new Uint8Array(0) : object.elf.content(original.section);
  const [a, b] = [content(section.bytes, value), content(theirs, original.value)];
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return at < 0
    ? undefined
    : {
        at,
        message: `the byte here is ${a[at]!.toString(16).padStart(2, '0')}, in the object ${b[at]!.toString(16).padStart(2, '0')}`,
      };
}
