/** The longest script that is looked for: beyond it two functions have nothing in common that a person would follow. */
const LONGEST = 1500;

/**
 * A shortest edit script (Myers, "An O(ND) Difference Algorithm and Its Variations", 1986): indices of `a` and `b` that are paired, in order.
 * Numbers are compared. Of lists that differ in more than `LONGEST` places only what they begin and end with is paired.
 */
export function commonPairs(a: Int32Array, b: Int32Array): Array<[number, number]> {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let [endA, endB] = [a.length, b.length];
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA--;
    endB--;
  }
  const pairs: Array<[number, number]> = [];
  for (let i = 0; i < start; i++) pairs.push([i, i]);
  for (const [i, j] of middle(a.subarray(start, endA), b.subarray(start, endB))) pairs.push([start + i, start + j]);
  for (let i = endA; i < a.length; i++) pairs.push([i, i - endA + endB]);
  return pairs;
}

function middle(a: Int32Array, b: Int32Array): Array<[number, number]> {
  const [n, m] = [a.length, b.length];
  const most = Math.min(n + m, LONGEST);
  // How far each diagonal was followed by `d` edits, for every `d`: the way back.
  const trace: Int32Array[] = [];
  let furthest = new Int32Array(3);
  for (let d = 0; d <= most; d++) {
    const next = new Int32Array(2 * d + 3);
    for (let k = -d; k <= d; k += 2) {
      let x =
        d === 0
          ? 0
          : k === -d || (k !== d && at(furthest, d - 1, k - 1) < at(furthest, d - 1, k + 1))
            ? at(furthest, d - 1, k + 1)
            : at(furthest, d - 1, k - 1) + 1;
      while (x < n && x - k < m && x - k >= 0 && a[x] === b[x - k]) x++;
      next[k + d + 1] = x;
      if (x >= n && x - k >= m) {
        trace.push(next);
        return back(trace, n, m);
      }
    }
    trace.push(next);
    furthest = next;
  }
  return [];
}

/** The end of diagonal `k` after `d` edits; before the first one for diagonals that have none. */
function at(furthest: Int32Array, d: number, k: number): number {
  return k < -d || k > d ? -1 : furthest[k + d + 1]!;
}

function back(trace: readonly Int32Array[], n: number, m: number): Array<[number, number]> {
  const pairs: Array<[number, number]> = [];
  let [x, y] = [n, m];
  for (let d = trace.length - 1; d > 0; d--) {
    const k = x - y;
    const before = trace[d - 1]!;
    const down = k === -d || (k !== d && at(before, d - 1, k - 1) < at(before, d - 1, k + 1));
    const from = down ? k + 1 : k - 1;
    const fromX = at(before, d - 1, from);
    const start = down ? fromX : fromX + 1;
    while (x > start) pairs.push([--x, --y]);
    [x, y] = [fromX, fromX - from];
  }
  while (x > 0) pairs.push([--x, --y]);
  return pairs.reverse();
}
