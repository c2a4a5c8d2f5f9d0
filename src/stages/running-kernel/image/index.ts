/**
 * Is ORIG what runs? The kernel's image shows it, unit by unit: code and references of ORIG must stand there.
 */
import { diagnostic, type Diagnostic } from '../../../diagnostics';
import type { ElfObject, SymbolIndex } from '../../../elf';
import type { Side } from '../../side/side';
import { Trait } from '../../scan/traits';
import type { SymbolPositions } from '../sympos';
import type { KernelCode } from './kernel-code';
import { withoutLatePass } from './late-pass';
import type { Difference, Placement } from './placement';
import { addressBy, type PlainUnit } from './plain-unit';
import { storesToReadOnly, type StoresInput } from './read-only';

export { census, isUnit, together, type Census } from './census';
export { ImageEvidence } from './evidence';
export { KernelCode } from './kernel-code';
export { withoutLatePass } from './late-pass';
export { storesToReadOnly } from './read-only';
export { Placement } from './placement';
export { PlainUnit, addressBy } from './plain-unit';

export interface ImageProofInput extends StoresInput {
  orig: Side;
  kernel: KernelCode;
  placement: Placement;
  /** The same unit as the kernel's build compiles it; null where it was not given. */
  plain?: PlainUnit | null;
  positions: Pick<SymbolPositions, 'positionOf'>;
  /** ORIG's symbols of the functions that the livepatch replaces, and those that klp relocations name. */
  functions: readonly SymbolIndex[];
  references: readonly number[];
  /** What compiled the kernel, by its banner, or the module. */
  compiler: string | null;
}

/** From this share of functions that differ on it is not the source. */
const MANY = 1 / 3;

/**
 * What the image says against ORIG: functions that are not in it, a symbol whose position is another than its address, functions
 * that ftrace cannot redirect there; and what a unit by itself cannot tell: whether objtool is still to run on it, and which variables of others are read-only.
 * @returns `orig-not-running-kernel`, `not-traceable`, `orig-differs`, `before-objtool`, `changed-placement`; none where ORIG fits
 */
export function checkAgainstImage(input: ImageProofInput): Diagnostic[] {
  return [
    ...reportDifferences(input),
    ...reportPlain(input),
    ...reportData(input),
    ...otherPlaces(input),
    ...withoutSite(input),
    ...withoutLatePass(input.orig, input.kernel),
    ...storesToReadOnly(input),
  ];
}

/** Two builds of one source with one compiler differ in nothing: a function that does means that another's code would be patched in. */
function reportDifferences({ orig, kernel, placement, plain, functions, compiler }: ImageProofInput): Diagnostic[] {
  const { functions: total } = placement;
  const differences = placement.differences.filter((one) => plain?.explains(one) !== true);
  // Init code is gone when a livepatch is loaded: what differs there is no danger, though worth a word.
  const kept = differences.filter(({ symbol }) => !orig.table.has(symbol, Trait.INIT | Trait.EXIT));
  const replaced = functions
    .flatMap((symbol) => placement.differenceOf(symbol) ?? [])
    .filter((one) => differences.includes(one));
  const first = replaced[0] ?? kept[0] ?? differences[0];
  if (first === undefined) return [];
  const { path } = kernel.listing;
  const many = differences.length > total * MANY;
  const cause = many
    ? `so many differ where compiler or flags do: ORIG is compiled by ${compilerOf(orig.object) ?? 'an unknown one'}, the kernel by ${compiler ?? 'an unknown one'}`
    : 'so few differ where source or configuration do';
  const what = `${differences.length} of ${total} functions of ORIG are not in ${path}, ${differences.length === 1 ? 'namely' : 'the first of them'} ${describe(orig, first)}; ${cause}`;
  return [
    diagnostic(kept.length > 0 ? 'orig-not-running-kernel' : 'orig-differs', what, {
      object: orig.object.path,
      section: orig.object.name(first.section),
      symbol: orig.name(first.symbol),
      offset: Math.max(0, first.offset - orig.table.value[first.symbol]!),
    }),
  ];
}

/** The plain unit proves more, and must be of the same source. */
function reportPlain({ orig, plain, functions, ...input }: ImageProofInput): Diagnostic[] {
  if (plain === undefined || plain === null) return [];
  const { side, placement, lacking } = plain;
  if (lacking.length > 0)
    return [
      diagnostic(
        'orig-not-running-kernel',
        `${side.object.path} lacks ${lacking.length} functions of ORIG, the first of them ${orig.name(lacking[0]!)}: it is not the same unit, compiled plainly`,
        { object: side.object.path, symbol: orig.name(lacking[0]!) },
      ),
    ];
  const own = { ...input, orig: side, placement, functions: functions.map((symbol) => plain.counterpart(symbol)) };
  return [...reportDifferences(own), ...reportData(own)];
}

/** A table, a string or a pointer that code of ORIG leads to is part of what the code does. */
function reportData({ orig, kernel, placement }: ImageProofInput): Diagnostic[] {
  const { otherData, data } = placement;
  const first = otherData[0];
  if (first === undefined) return [];
  const { section, symbol, offset, why } = first;
  const name = symbol === 0 ? orig.object.name(section) : orig.name(symbol);
  const what = `${otherData.length} of ${data} sections of data that ORIG's code refers to have other content in ${kernel.listing.path}, ${otherData.length === 1 ? 'namely' : 'the first of them'} that of ${name} (at +0x${offset.toString(16)} ${why}); source or configuration differ`;
  return [
    diagnostic('orig-not-running-kernel', what, {
      object: orig.object.path,
      section: orig.object.name(section),
      symbol: name,
      offset,
    }),
  ];
}

function describe(orig: Side, { symbol, offset, why, missing }: Difference): string {
  const name = orig.name(symbol);
  const at = offset - orig.table.value[symbol]!;
  return missing || at < 0 ? `${name} (${why})` : `${name} (at ${name}+0x${at.toString(16)} ${why})`;
}

/** `.comment` of an object: compiler with its revision. */
export function compilerOf(object: ElfObject): string | null {
  for (let section = 1; section < object.sectionCount; section++) {
    if (object.name(section) !== '.comment') continue;
    const [first] = Buffer.from(object.content(section))
      .toString('latin1')
      .split('\0')
      .filter((text) => text !== '');
    if (first !== undefined) return first;
  }
  return null;
}

/** A position, however it was found, names an address: it must be the one that the image has at the references. */
function otherPlaces({
  orig,
  kernel,
  placement,
  plain,
  positions,
  functions,
  references,
}: ImageProofInput): Diagnostic[] {
  const found: Diagnostic[] = [];
  const places = addressBy(placement, plain ?? null);
  for (const symbol of new Set([...functions, ...references])) {
    const position = positions.positionOf(symbol);
    const address = places.addressOf(symbol);
    if (!('sympos' in position) || position.entry === null || address === undefined) continue;
    if (address === kernel.address(position.entry)) continue;
    found.push(
      diagnostic(
        'orig-not-running-kernel',
        `${orig.name(symbol)} lies at ${kernel.listing.address(position.entry)} by its name, and ${kernel.listing.path} has ${address === 'several' ? 'several addresses' : 'another address'} where ORIG refers to it`,
        { object: orig.object.path, symbol: orig.name(symbol) },
      ),
    );
  }
  return found;
}

function untoldSites(path: string): Diagnostic {
  return diagnostic(
    'not-checked',
    `not checked: whether ftrace can redirect what is replaced, for ${path} does not hold the list of its sites (--ftrace available_filter_functions)`,
    { object: path },
  );
}

/** lib/ of all kernels is compiled without ftrace: the padding before its functions looks like theirs, and is no site. */
function withoutSite({ orig, kernel, positions, functions }: ImageProofInput): Diagnostic[] {
  const { sites } = kernel;
  if (sites === undefined) return functions.length === 0 ? [] : [untoldSites(kernel.listing.path)];
  return functions.flatMap((symbol) => {
    const position = positions.positionOf(symbol);
    if (!('sympos' in position) || position.entry === null) return [];
    const address = kernel.address(position.entry);
    if (orig.arch.siteOffsets.some((offset) => sites.has(address + offset))) return [];
    return [
      diagnostic(
        'not-traceable',
        `${orig.name(symbol)} has no ftrace site in ${kernel.listing.path}: the kernel cannot redirect it`,
        { object: orig.object.path, symbol: orig.name(symbol) },
      ),
    ];
  });
}
