/**
 * A list that is spread into a call's arguments takes room on the stack for each element: with some 100,000 of them the call ends in a RangeError
 * (`verify vmlinux.o` did). No test with a small input shows it, so no source may have such a call with a list of unknown length.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { append, largest, moveToFront, smallest } from '../../src/lists';
import { sources } from '../support/imports';

const root = join(__dirname, '../..');

/** Calls whose list has a handful of elements whatever the input is: the steps of a path, a seed's numbers, two names of a table, what a debug line says. */
const SHORT = new Set([
  'src/commands/support/base-command.ts super.log',
  'src/kbuild/patch/apply.ts join',
  'src/pipeline/run-dir.ts join',
  'src/stages/checksum/index.ts this.told',
  'src/synth/random.ts mix',
  'src/verify/completeness.ts kernel?.hasTable',
]);

function spreadCalls(file: string, text: string): string[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && node.arguments.some(ts.isSpreadElement))
      found.push(`${file} ${node.expression.getText()}`);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

test('no list of unknown length is spread into a call', () => {
  const files = sources(root, ['src', 'workers']).filter((file) => !file.includes('/wasm/'));
  expect(files.length).toBeGreaterThan(200);
  expect(
    files
      .flatMap((file) => spreadCalls(file, readFileSync(join(root, file), 'utf8')))
      .filter((call) => !SHORT.has(call)),
  ).toEqual([]);
});

test('the premise: such a call is found, in an expression too', () => {
  expect(
    spreadCalls(
      'x.ts',
      'list.push(...more); const least = Math.min(0, ...numbers.map((n) => n)); new Set([...list]); f(list);',
    ),
  ).toEqual(['x.ts list.push', 'x.ts Math.min']);
});

test('what stands in their place takes lists of any length', () => {
  const many = Array.from({ length: 300_000 }, (_, i) => i);
  const list: number[] = [];
  append(list, many);
  expect([list.length, largest(many), smallest(many)]).toEqual([300_000, 299_999, 0]);
  moveToFront(list, 2);
  expect(list.slice(0, 4)).toEqual([2, 0, 1, 3]);
  expect([largest([]), smallest([])]).toEqual([-Infinity, Infinity]);
});
