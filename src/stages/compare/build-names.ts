import type { SymbolIndex } from '../../elf';
import { Trait } from '../scan';
import type { Side } from '../side/side';

/** What a build calls itself: `uname -r`, and `uname -v` with the number and the time of the build. */
interface Names {
  release: string;
  version: string;
}

/** Constants that consist of such texts and of who built where with what. */
const BANNERS: ReadonlySet<string> = new Set(['linux_banner', 'linux_proc_banner', 'vermagic']);
/** struct new_utsname: six fields of this many bytes; release and version are the third and fourth. */
const FIELD = 65;

const known = new WeakMap<Side, Names>();

/**
 * Names of a build by the symbols that hold them, '' for what an object does not say. A kernel whose tree was touched is 7.2.13+ instead of 7.2.13, and everything
 * that shows its release differs, edited or not.
 */
export function buildNames(side: Side): Names {
  let names = known.get(side);
  if (names === undefined) known.set(side, (names = readNames(side)));
  return names;
}

function readNames(side: Side): Names {
  const texts = (name: string): string[] =>
    side.identity
      .named(name)
      .filter((symbol) => side.table.has(symbol, Trait.OBJECT))
      .map((symbol) => latin1(side.bytes(symbol)));
  const fields = texts('init_uts_ns').map((text) => {
    const start = text.indexOf('Linux\0');
    return (number: number): string =>
      start < 0 ? '' : text.slice(start + number * FIELD, start + (number + 1) * FIELD).split('\0', 1)[0]!;
  });
  const releases = [
    ...fields.map((field) => field(2)),
    ...texts('linux_banner').map((text) => /^Linux version (\S+) /.exec(text)?.[1] ?? ''),
    ...texts('vermagic').map((text) => /^\S+/.exec(text)?.[0] ?? ''),
  ];
  return { release: releases.find((text) => text !== '') ?? '', version: fields[0]?.(3) ?? '' };
}

/** The texts that differ between two builds' names, ORIG's and PATCHED's. */
function differing(a: Side, b: Side): Array<readonly [string, string]> {
  const [ours, theirs] = [buildNames(a), buildNames(b)];
  return (
    [
      [ours.version, theirs.version],
      [ours.release, theirs.release],
    ] as const
  ).filter(([x, y]) => x !== y && x !== '' && y !== '');
}

/** Whether two texts differ in nothing but the names of their builds. */
export function differsInBuild(a: Side, b: Side, x: string, y: string): boolean {
  const names = differing(a, b);
  return (
    names.length > 0 &&
    x !== y &&
    names.reduce((text, [name]) => text.replaceAll(name, '\u0001'), x) ===
      names.reduce((text, [, name]) => text.replaceAll(name, '\u0001'), y)
  );
}

/** As `differsInBuild` for two variables that hold nothing but text, of any size. */
export function textDiffersInBuild(a: Side, symbolA: SymbolIndex, b: Side, symbolB: SymbolIndex): boolean {
  const [x, y] = [a.bytes(symbolA), b.bytes(symbolB)];
  if (Buffer.compare(x, y) === 0 || !isText(x) || !isText(y)) return false;
  // Fields are filled up with zeros.
  const plain = (bytes: Uint8Array): string => latin1(bytes).replace(/\0+/g, '\0');
  return (
    (BANNERS.has(a.name(symbolA)) && a.name(symbolA) === b.name(symbolB)) || differsInBuild(a, b, plain(x), plain(y))
  );
}

/** Of two variables of one size the bytes that hold a name of the build: 1 for each. */
export function buildBytes(a: Side, b: Side, x: Uint8Array, y: Uint8Array): Uint8Array | undefined {
  const names = differing(a, b);
  if (names.length === 0) return undefined;
  const [ours, theirs] = [latin1(x), latin1(y)];
  let found: Uint8Array | undefined;
  for (const [name, other] of names) {
    for (let at = ours.indexOf(`${name}\0`); at >= 0; at = ours.indexOf(`${name}\0`, at + 1)) {
      const end = at + Math.max(name.length, other.length);
      if (!theirs.startsWith(`${other}\0`, at) || !zeros(x, at + name.length, end) || !zeros(y, at + other.length, end))
        continue;
      found ??= new Uint8Array(x.length);
      found.fill(1, at, end);
    }
  }
  return found;
}

function zeros(bytes: Uint8Array, from: number, to: number): boolean {
  return bytes.subarray(from, to).every((byte) => byte === 0);
}

function isText(bytes: Uint8Array): boolean {
  return (
    bytes.length > 1 &&
    bytes.at(-1) === 0 &&
    bytes.every((byte) => byte === 0 || byte === 9 || byte === 10 || (byte >= 0x20 && byte < 0x7f))
  );
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
