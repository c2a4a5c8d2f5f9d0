/**
 * How well two sequences go together, in order: the best sum of scores of pairs that do not cross.
 *
 * Kept for prefixes and for suffixes of both, so that the best alignment through one given pair can be told, too. What decides
 * between two variables is not one best alignment (of two equal blocks of which one was removed there are two) but how much worse every
 * other would be.
 */
export class Alignment {
  private readonly before: Int32Array;
  private readonly behind: Int32Array;
  private readonly width: number;

  constructor(
    rows: number,
    columns: number,
    private readonly score: (row: number, column: number) => number,
  ) {
    const width = (this.width = columns + 1);
    const scores = new Uint8Array(rows * columns);
    for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) scores[i * columns + j] = score(i, j);
    this.before = new Int32Array((rows + 1) * width);
    this.behind = new Int32Array((rows + 1) * width);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        const at = i * width + j;
        const both = scores[i * columns + j]!;
        this.before[at + width + 1] = Math.max(
          this.before[at + 1]!,
          this.before[at + width]!,
          both === 0 ? 0 : this.before[at]! + both,
        );
      }
    }
    for (let i = rows - 1; i >= 0; i--) {
      for (let j = columns - 1; j >= 0; j--) {
        const at = i * width + j;
        const both = scores[i * columns + j]!;
        this.behind[at] = Math.max(
          this.behind[at + 1]!,
          this.behind[at + width]!,
          both === 0 ? 0 : this.behind[at + width + 1]! + both,
        );
      }
    }
  }

  /** Score of the best alignment. */
  get best(): number {
    return this.behind[0]!;
  }

  /** Score of the best alignment in which `row` goes with `column`. */
  through(row: number, column: number): number {
    return (
      this.before[row * this.width + column]! +
      this.score(row, column) +
      this.behind[(row + 1) * this.width + column + 1]!
    );
  }
}
