import type { SymbolIndex } from '../../elf';
import type { Instruction } from '../../arch';
import { originOf, twinOf, type Pairing } from '../correlate';
import { describeTarget, resolveTarget, type Target } from '../places/target';
import { Kind, Trait } from '../scan';
import type { Decoded } from '../side/decoded';
import type { Side } from '../side/side';
import type { ReferenceKind } from './change';
import { entriesOf, referencesOf } from './entries';
import { reached } from './reach';
import { append } from '../../lists';

export interface CodeReference {
  kind: ReferenceKind;
  /** Equal, in both builds, for the same thing. */
  identity: string;
  /** Of what has no name that holds in both builds it is told where it is. */
  text: string;
}

/** An instruction as it is aligned with the twin's: without what moves with its neighbours. */
export interface CodeLine {
  /** Its bytes without distances. */
  form: string;
  /** The part of the form before an immediate. */
  head: string;
  references: CodeReference[];
  /** Of a branch within the function: the line that it leads to, -1 where none begins there; undefined for others. */
  leadsTo: number | undefined;
  padding: boolean;
}

/** Bytes of an operand relative to the instruction, which stands before the immediate. */
const DISPLACEMENT = 4;

/** All instructions of a function; `build` is the one that it is of. */
export function codeLines(pairing: Pairing, build: 'orig' | 'patched', decoded: Decoded): CodeLine[] {
  const { side, instructions, targets, bytes } = decoded;
  const starts = new Map(instructions.map(({ offset }, i) => [offset, i]));
  const keys = keysBySite(pairing, build, decoded);
  return instructions.map((instruction, i) => {
    const { offset, length, target, memory, padding } = instruction;
    const own = Buffer.from(bytes.subarray(offset, offset + length));
    const references: CodeReference[] = [];
    // A field with a relocation is zero in the object.
    for (const { target: to, branch } of targets[i]!) {
      // A site that boot code rewrites (`__fentry__`) refers to nothing any more.
      if (to.type !== side.arch.none || to.symbol === 0)
        references.push(referenceTo(pairing, build, side, to, branch || target !== undefined));
    }
    let leadsTo: number | undefined;
    const direct = target !== undefined && targets[i]!.length === 0;
    if (direct) {
      if (target >= 0 && target < bytes.length) leadsTo = starts.get(target) ?? -1;
      else references.push(reachedBy(pairing, build, decoded, target, 'call'));
    } else if (memory !== undefined && targets[i]!.length === 0) {
      own.fill(0, Math.max(0, instruction.opcodeLength - DISPLACEMENT), instruction.opcodeLength);
      references.push(reachedBy(pairing, build, decoded, memory, 'variable'));
    }
    for (const [site, key] of keys) if (site >= offset && site < offset + length) append(references, key);
    // A NOP without a key fills a gap, whatever its length.
    if (padding && references.length === 0) return { form: '', head: '', references, leadsTo, padding };
    return { ...forms(instruction, own, direct), references, leadsTo, padding: false };
  });
}

function forms({ branch, opcodeLength }: Instruction, own: Buffer, leads: boolean): Pick<CodeLine, 'form' | 'head'> {
  // Near or far, it is one branch.
  if (leads) {
    const form = branch === 0 ? own.toString('latin1', 0, opcodeLength) : `branch ${branch}`;
    return { form, head: form };
  }
  return { form: own.toString('latin1'), head: own.toString('latin1', 0, opcodeLength) };
}

function referenceTo(
  pairing: Pairing,
  build: 'orig' | 'patched',
  side: Side,
  target: Target,
  call: boolean,
): CodeReference {
  const text = describeTarget(side, target);
  if (target.text !== undefined) return { kind: 'string', identity: text, text };
  if (target.symbol === 0) return { kind: 'data', identity: target.digest.join(), text };
  const { symbol, delta } = target;
  const kind = call ? 'call' : side.table.has(symbol, Trait.FUNC) ? 'function' : 'variable';
  // Of what is known by its content the name says nothing.
  if (side.table.kind[symbol] === Kind.CONTENT) return { kind: 'data', identity: target.digest.join(), text };
  return { kind, identity: `${identityOf(pairing, build, side, symbol)}+${delta}`, text };
}

/** One text for a symbol and its twin. */
function identityOf(pairing: Pairing, build: 'orig' | 'patched', side: Side, symbol: SymbolIndex): string {
  const own = build === 'orig' ? (twinOf(pairing, symbol) === 0 ? 0 : symbol) : originOf(pairing, symbol);
  const { hash } = side.table;
  return own === 0 ? `${hash[symbol * 2]!}:${hash[symbol * 2 + 1]!}` : `#${own}`;
}

function reachedBy(
  pairing: Pairing,
  build: 'orig' | 'patched',
  decoded: Decoded,
  to: number,
  kind: 'call' | 'variable',
): CodeReference {
  const { side } = decoded;
  const { symbol, delta, place } = reached(decoded, to);
  if (symbol === 0)
    return { kind: 'data', identity: '', text: `${side.object.name(place.section)}+0x${place.offset.toString(16)}` };
  const distance = delta === 0 ? '' : `+0x${delta.toString(16)}`;
  return { kind, identity: `${identityOf(pairing, build, side, symbol)}+${delta}`, text: side.name(symbol) + distance };
}

/** The keys that instructions depend on, which are NOPs or jumps in the object, by their sites. */
function keysBySite(
  pairing: Pairing,
  build: 'orig' | 'patched',
  { side, symbol }: Decoded,
): Array<[site: number, keys: CodeReference[]]> {
  if (symbol === 0 || (side.table.special[symbol * 2] === 0 && side.table.special[symbol * 2 + 1] === 0)) return [];
  return entriesOf(side, symbol).flatMap((entry): Array<[number, CodeReference[]]> => {
    const { key } = entry.table.rules;
    if (key === undefined) return [];
    const keys = referencesOf(entry)
      .map((rela) => resolveTarget(side, rela, entry.table.section, 0))
      .filter(({ symbol: to }) => to !== 0 && side.table.has(to, Trait.OBJECT));
    return [
      [
        entry.site,
        keys.map(({ symbol: to, delta }) => ({
          kind: key,
          identity: `${key} ${identityOf(pairing, build, side, to)}+${delta}`,
          text: side.name(to),
        })),
      ],
    ];
  });
}
