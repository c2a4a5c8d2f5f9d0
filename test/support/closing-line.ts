import type { Reporter, TestModule } from 'vitest/node';

/** Ends the run with one plain line of totals, for those who read logs with a program; before it, why tests were skipped. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    const notes = new Map<string, number>();
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const result = test.result();
        count[result.state]++;
        if (result.state === 'skipped' && result.note !== undefined)
          notes.set(result.note, (notes.get(result.note) ?? 0) + 1);
      }
    }
    for (const [note, tests] of notes) console.log(`skipped ${tests}: ${note}`);
    console.log(`tests: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
  }
}
