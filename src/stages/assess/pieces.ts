import { pieceParent } from '../../kernel/symbol-rules';
import type { Verdict } from '../compare';
import type { Side } from '../side/side';
import { originOf, twinOf } from '../correlate';
import { Trait } from '../scan';
import type { AssessInput } from './types';

/**
 * Which function each piece belongs to: cold parts, split parts, blocks in sections of their own. Function and pieces jump into each
 * other's middles, so they change together and go into a livepatch together, and only the function is ever redirected or looked up. One
 * pass over the functions, and none where there are no pieces.
 */
export class Pieces {
  private readonly parents = new Map<number, number>();
  private readonly pieces = new Map<number, number[]>();

  constructor(side: Side) {
    const { table } = side;
    if (table.coldCount === 0) return;
    const { listed, listedCount } = table;
    const parents = new Map<number, string>();
    for (let i = 0; i < listedCount; i++) {
      const symbol = listed[i]!;
      if ((table.traits[symbol]! & Trait.COLD) !== 0) parents.set(symbol, pieceParent(side.name(symbol))!);
    }
    const wanted = new Set(parents.values());
    // 2,000 of the 80,000 functions of a split kernel have pieces: the names of the others are not even looked at.
    const hashes = new Set(Array.from(wanted, (name) => side.identity.nameHash(name)));
    // By name, a local's behind its unit: a local of the same unit comes first, else a global.
    const functions = new Map<string, number>();
    for (let i = 0; i < listedCount; i++) {
      const symbol = listed[i]!;
      if (!table.has(symbol, Trait.FUNC) || table.has(symbol, Trait.COLD)) continue;
      if (!hashes.has(table.hash[2 * symbol]!)) continue;
      const name = side.name(symbol);
      if (!wanted.has(name)) continue;
      const local = table.isLocal(symbol);
      functions.set(local ? `${table.file[symbol]}:${name}` : name, table.canonical[symbol]!);
    }
    for (const [piece, name] of parents) {
      const parent = functions.get(`${table.file[piece]}:${name}`) ?? functions.get(name);
      if (parent !== undefined) this.add(piece, parent, table.canonical[piece]!);
    }
  }

  add(piece: number, parent: number, body = piece): void {
    this.parents.set(piece, parent);
    const list = this.pieces.get(parent);
    if (list === undefined) this.pieces.set(parent, [body]);
    else list.push(body);
  }

  /** 0 where no function of the object has the name: then whoever jumps to the piece is taken along, as a caller would be. */
  parentOf(piece: number): number {
    return this.parents.get(piece) ?? 0;
  }

  of(parent: number): readonly number[] {
    return this.pieces.get(parent) ?? [];
  }
}

/** Verdicts on functions where those on pieces count as their functions': whichever of them differs. */
export function foldPieces({ pairing, orig, patched, verdicts, unpaired, ambiguous }: AssessInput): Verdict[] {
  if (orig.table.coldCount + patched.table.coldCount === 0) return verdicts;
  const [ours, theirs] = [new Pieces(orig), new Pieces(patched)];
  const changedBodies = new Set(verdicts.filter(({ status }) => status === 'changed').map(({ patched: body }) => body));
  const folded: Verdict[] = [];
  const raised = new Map<number, Verdict>();
  const raise = (a: number, b: number, verdict: Omit<Verdict, 'orig' | 'patched'>): boolean => {
    if (a === 0 || b === 0) return false;
    if (!changedBodies.has(b) && !raised.has(b)) raised.set(b, { ...verdict, orig: a, patched: b });
    return true;
  };
  for (const verdict of verdicts) {
    if (!orig.table.has(verdict.orig, Trait.COLD)) folded.push(verdict);
    else if (
      verdict.status === 'changed' &&
      !raise(ours.parentOf(verdict.orig), theirs.parentOf(verdict.patched), verdict)
    )
      folded.push(verdict);
  }
  // A piece that one build does not have, or that nothing tells from its namesakes: what jumps there changed.
  const open = { status: 'changed', class: 'code', first: null } as const;
  for (const piece of [...unpaired.patched, ...ambiguous.flatMap((group) => group.patched)]) {
    const parent = patched.table.has(piece, Trait.COLD) ? theirs.parentOf(piece) : 0;
    if (parent !== 0) raise(originOf(pairing, parent), parent, open);
  }
  for (const piece of [...unpaired.orig, ...ambiguous.flatMap((group) => group.orig)]) {
    const parent = orig.table.has(piece, Trait.COLD) ? ours.parentOf(piece) : 0;
    if (parent !== 0) raise(parent, twinOf(pairing, parent), open);
  }
  // A function that is otherwise the same, or differs in nothing that counts, changes with its piece.
  return [...folded.filter((verdict) => !raised.has(verdict.patched)), ...raised.values()];
}
