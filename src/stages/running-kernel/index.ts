/**
 * Is ORIG the running kernel? Distribution kernels are never built with -ffunction-sections, so ORIG is a rebuild there; one
 * with another configuration or compiler gives a valid livepatch of another kernel.
 */
import { diagnostic, type Diagnostic } from '../../diagnostics';
import {
  R_TYPE,
  SHN_UNDEF,
  STB_WEAK,
  ST_INFO,
  STT_FUNC,
  STT_NOTYPE,
  SYM_WORDS,
  type ElfImage,
  type Offset,
  type SymbolIndex,
} from '../../elf';
import type { KernelListing } from '../../kernel/listing';
import type { Side } from '../side/side';
import { Trait } from '../scan/traits';
import type { SymbolPositions } from './sympos';
import { bootSites, type BootSite } from './boot-sites';

export interface RunningKernelInput {
  /** ORIG's vmlinux.o. */
  orig: Side;
  /** Made from the same side and listing, for `vmlinux`. */
  positions: SymbolPositions;
  listing: KernelListing;
  /** ORIG's symbols of the functions that the livepatch replaces. */
  functions: readonly SymbolIndex[];
  /** ORIG's symbols that klp relocations name. */
  references: readonly number[];
}

/**
 * Compares ORIG with the running kernel: with a linked image the code of the replaced functions and the type and size of
 * every symbol that the livepatch refers to; with a list of names whether it has all functions of ORIG.
 *
 * Symbols whose position is not known are passed over: `SymbolPositions` has refused them.
 * @returns `orig-not-running-kernel`, one for each function or symbol that differs; none where ORIG fits
 */
export function checkRunningKernel(input: RunningKernelInput): Diagnostic[] {
  const { listing } = input;
  const found = [...input.functions, ...input.references].flatMap((symbol) => sizeDifference(input, symbol) ?? []);
  if (listing.image !== null) return unique([...found, ...codeDifferences(input, listing.image)]);
  return unique([...missingFunctions(input), ...found]);
}

/** Type and size, as far as the listing has them. */
function sizeDifference({ orig, positions, listing }: RunningKernelInput, symbol: SymbolIndex): Diagnostic | undefined {
  const { table } = orig;
  const entry = entryOf(positions, symbol);
  // The final link overrides weak symbols: `linux_banner` of ORIG lacks the build's number and time.
  if (
    entry === undefined ||
    listing.kind === 'nm' ||
    table.section[symbol] === SHN_UNDEF ||
    table.bindOf(symbol) === STB_WEAK
  )
    return undefined;
  const { size, symbol: symbols } = listing.columns;
  if (size[entry] !== table.size[symbol])
    return differs(orig, symbol, `ORIG has ${table.size[symbol]} bytes, ${listing.path} ${size[entry]}`);
  const type = table.info[symbol]! & 0xf;
  const theirs = listing.image === null ? type : listing.image.symbols[symbols[entry]! * SYM_WORDS + ST_INFO]! & 0xf;
  return theirs === type || type === STT_NOTYPE
    ? undefined
    : differs(orig, symbol, `ORIG's is of ELF type ${type}, that of ${listing.path} of ${theirs}`);
}

function codeDifferences({ orig, positions, listing, functions }: RunningKernelInput, image: ElfImage): Diagnostic[] {
  const { table } = orig;
  const sites = bootSites(orig, functions);
  return functions.flatMap((symbol) => {
    const entry = entryOf(positions, symbol);
    const size = table.size[symbol]!;
    if (entry === undefined || listing.columns.size[entry] !== size) return [];
    const { low, high, symbol: symbols } = listing.columns;
    const section = image.sectionOf(symbols[entry]!);
    const theirs = section === undefined ? undefined : image.bytesAt(section, low[entry]!, high[entry]!, size);
    if (theirs === undefined)
      return [differs(orig, symbol, `${listing.path} does not hold the bytes at ${listing.address(entry)}`)];
    const ours = orig.bytes(symbol);
    const linked = linkedBytes(orig, symbol, sites);
    const at = ours.findIndex((byte, i) => linked[i] === 0 && byte !== theirs[i]);
    if (at < 0) return [];
    return [
      differs(
        orig,
        symbol,
        `at ${orig.name(symbol)}+0x${at.toString(16)} ORIG has ${hex(ours, at)}, ${listing.path} has ${hex(theirs, at)}`,
        at,
      ),
    ];
  });
}

/** 1 for each byte of a function that the linker or boot code may write. */
function linkedBytes(orig: Side, symbol: SymbolIndex, sites: readonly BootSite[]): Uint8Array {
  const { section, start, end } = orig.rangeOf(symbol);
  const linked = new Uint8Array(end - start);
  const mark = (from: number, to: number): void => {
    linked.fill(1, Math.max(0, from - start), Math.max(0, to - start));
  };
  // A field may begin before the range that its bytes reach into only on processors whose fields lie within instructions.
  for (const { words, at, offset } of orig.relasIn({ section, start, end })) {
    const [from, to] = orig.arch.linked(words[at + R_TYPE]!);
    mark(offset + from, offset + to);
  }
  for (const site of sites)
    if (site.section === section && site.end > start && site.start < end) mark(site.start, site.end);
  return linked;
}

/** Functions of ORIG that a list of names lacks. One diagnostic for all: a kernel of another configuration lacks hundreds. */
function missingFunctions({ orig, positions, listing }: RunningKernelInput): Diagnostic[] {
  const { table } = orig;
  let first = 0;
  let missing = 0;
  let total = 0;
  for (let symbol = 1; symbol < table.symbols; symbol++) {
    // A prefix is no function, and which of a function's names it has is another one's business in every build.
    if (table.typeOf(symbol) !== STT_FUNC || table.has(symbol, Trait.EXIT | Trait.PREFIX)) continue;
    const known = positions.isListed(symbol);
    if (known === undefined) continue;
    total++;
    if (known || missing++ > 0) continue;
    first = symbol;
  }
  if (missing === 0) return [];
  const message = `${listing.path} lacks ${missing} of ORIG's ${total} functions, the first of them ${orig.name(first)}: ORIG is not the running kernel`;
  return [diagnostic('orig-not-running-kernel', message, { object: orig.object.path, symbol: orig.name(first) })];
}

function entryOf(positions: SymbolPositions, symbol: SymbolIndex): number | undefined {
  const position = positions.positionOf(symbol);
  return 'sympos' in position ? (position.entry ?? undefined) : undefined;
}

function differs(orig: Side, symbol: SymbolIndex, what: string, offset?: Offset): Diagnostic {
  const where = { object: orig.object.path, section: orig.sectionName(symbol), symbol: orig.name(symbol) };
  return diagnostic(
    'orig-not-running-kernel',
    `${orig.name(symbol)} is not the running kernel's: ${what}`,
    offset === undefined ? where : { ...where, offset },
  );
}

function hex(bytes: Uint8Array, at: number): string {
  return Buffer.from(bytes.subarray(at, at + 8))
    .toString('hex')
    .replace(/../g, '$& ')
    .trimEnd();
}

function unique(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return [...new Map(diagnostics.map((one) => [one.message, one])).values()];
}
