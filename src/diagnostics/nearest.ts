/** The word that a typed one was probably meant to be; undefined where none is near. */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  const [best] = known.map((word) => ({ word, edits: distance(typed, word) })).sort((a, b) => a.edits - b.edits);
  return best !== undefined && best.edits <= 2 ? best.word : undefined;
}

/** Edits that turn one word into the other (Levenshtein). */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 0; i < from.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < to.length; j++) {
      next.push(Math.min(next[j]! + 1, row[j + 1]! + 1, row[j]! + (from[i] === to[j] ? 0 : 1)));
    }
    row = next;
  }
  return row[to.length]!;
}
