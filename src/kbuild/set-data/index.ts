/**
 * `--set-data NAME`: a livepatch that gives a variable in use the initial value that the patch has for it. What differs is written by callbacks, where the old
 * value is still there, and put back; whatever the new value refers to stays when the livepatch goes.
 */
import { diagnostic, type Diagnostic } from '../../diagnostics';
import { ElfObject } from '../../elf';
import type { SetData } from '../../stages/assess';
import type { ChangedFile } from '../patch/apply';
import { contentOf } from '../patch/content';
import type { Unit } from '../units';
import { ALIGNMENTS, sourceOf, type VariableWords } from './source';
import { defines, variablesNamed } from './variable';
import { wordsBetween, type Value, type Word } from './words';

/** A unit that the patch changes, with its objects. */
export interface UnitObjects {
  unit: Unit;
  orig: string;
  patched: string;
}

interface Holder extends UnitObjects {
  variables: VariableWords[];
}

export interface DataPlan {
  /** What compare has to know. */
  setData: SetData[];
  /** Units that get callbacks, one for each patched object. */
  holders: Holder[];
  diagnostics: Diagnostic[];
}

export function planData(names: readonly string[], units: readonly UnitObjects[]): DataPlan {
  const plan: DataPlan = { setData: [], holders: [], diagnostics: [] };
  const opened = units.map((one) => ({ ...one, before: ElfObject.open(one.orig), after: ElfObject.open(one.patched) }));
  for (const name of new Set(names)) {
    const refuse = (why: string): void => void plan.diagnostics.push(diagnostic('set-data', why, { symbol: name }));
    if (!/^[A-Za-z_]\w*$/.test(name)) {
      refuse(`${name} is no name of a variable of a file`);
      continue;
    }
    const having = opened.flatMap((one) => {
      const [before, after] = [variablesNamed(one.before, name), variablesNamed(one.after, name)];
      return before.length === 1 && after.length === 1
        ? [{ one, found: wordsBetween(before[0]!, after[0]!), before: before[0]! }]
        : [];
    });
    const differing = having.filter(({ found }) => 'refused' in found || found.words.length > 0);
    const [held, another] = differing;
    if (held === undefined)
      refuse(
        having.length > 0
          ? `the initial value of ${name} is the same with the patch`
          : `no unit that the patch changes defines a variable ${name}`,
      );
    else if (another !== undefined)
      refuse(`${name} is in ${held.one.unit.source} and in ${another.one.unit.source}: which is meant?`);
    else if ('refused' in held.found) refuse(held.found.refused);
    else {
      const gone = goneFrom(held.found.words, held.one.before, held.one.after);
      if (gone !== undefined) refuse(`${name} cannot be set: ${gone}`);
      else add(plan, held.one, { name, words: held.found.words });
    }
  }
  checkCallbacks(plan);
  return plan;
}

/** A pointer may lead only to what the running kernel has: a function of the livepatch may still run, or be called, when the livepatch is gone. */
function goneFrom(words: readonly Word[], before: ElfObject, after: ElfObject): string | undefined {
  for (const { at, from, to } of words) {
    const place = `at +0x${at.toString(16)}`;
    if (to.kind === 'address' && defines(after, to.name) && !defines(before, to.name))
      return `${place} its new value is ${to.name}, which comes and goes with the livepatch: who has read the pointer would go on into freed memory`;
    if (from.kind === 'address' && defines(before, from.name) && !defines(after, from.name))
      return `${place} its old value is ${from.name}, which PATCHED does not have`;
  }
  return undefined;
}

function add(plan: DataPlan, { unit, orig, patched }: UnitObjects, variable: VariableWords): void {
  const holder = plan.holders.find((one) => one.unit === unit);
  if (holder === undefined) plan.holders.push({ unit, orig, patched, variables: [variable] });
  else holder.variables.push(variable);
  plan.setData.push({
    name: variable.name,
    ranges: variable.words.map(({ at, size, mask }) => rangeOf(at, size, mask)),
  });
  plan.diagnostics.push(
    diagnostic(
      'data-set',
      `${variable.name} is set while the livepatch is there: ${variable.words.map(told).join('; ')}`,
      {
        symbol: variable.name,
        object: unit.owners[0]!,
      },
    ),
  );
}

/** A patched object has one callback of a kind. */
function checkCallbacks({ holders, diagnostics }: DataPlan): void {
  holders.forEach(({ unit, patched, variables }, i) => {
    const [owner] = unit.owners as [string];
    const other = holders.slice(0, i).find((one) => one.unit.owners[0] === owner);
    const refuse = (why: string): void =>
      void diagnostics.push(diagnostic('set-data', `${variables[0]!.name} cannot be set: ${why}`, { object: owner }));
    if (other !== undefined)
      refuse(
        `${other.variables[0]!.name} is in another unit of ${owner}, and the kernel calls one callback for an object`,
      );
    const object = ElfObject.open(patched);
    if (['pre_patch', 'post_patch', 'post_unpatch'].some((kind) => defines(object, `__klp_${kind}_callback_${owner}`)))
      refuse(`the patch has callbacks of its own for ${owner}: set it there`);
  });
}

/** The patched files with the callbacks behind the units that have the variables. */
export function withCallbacks(
  holders: readonly Holder[],
  files: readonly ChangedFile[],
  tree: string,
  replaces: boolean,
): ChangedFile[] {
  const all = new Map(files.map((file) => [file.path, file]));
  for (const { unit, variables } of holders) {
    const { source } = unit;
    const text = contentOf(tree, source);
    const file = all.get(source) ?? { path: source, original: text, patched: text };
    all.set(source, { ...file, patched: `${file.patched}${sourceOf(variables, replaces)}` });
  }
  return [...all.values()];
}

/** Of a packed struct a field may lie in two words, which readers would see half old and half new. @returns refusals */
export function checkPacked(holders: readonly Holder[], units: readonly UnitObjects[]): Diagnostic[] {
  return holders.flatMap(({ unit, variables }) => {
    const object = ElfObject.open(units.find((one) => one.unit === unit)!.patched);
    const [section] = object.sectionsNamed(ALIGNMENTS);
    const alignments = section === undefined ? [] : [...object.content(section)];
    return variables.flatMap(({ name, words }, i) => {
      return words.length > 1 && words.some(({ size }) => size > 1) && (alignments[i] ?? 1) < 2
        ? [
            diagnostic(
              'set-data',
              `${name} cannot be set: its fields are packed or are texts, so that one may lie in two of the ${words.length} words that differ`,
              { symbol: name },
            ),
          ]
        : [];
    });
  });
}

function told({ at, from, to, size }: Word): string {
  const text = (value: Value): string =>
    value.kind === 'number'
      ? `0x${value.value.toString(16)}`
      : `${value.name}${value.addend === 0 ? '' : `+0x${value.addend.toString(16)}`}`;
  return `+0x${at.toString(16)} (${size} bytes) ${text(from)} -> ${text(to)}`;
}

/** The bytes of a word that change. */
function rangeOf(at: number, size: number, mask: bigint): { at: number; size: number } {
  let [first, last] = [size, -1];
  for (let byte = 0; byte < size; byte++)
    if ((mask >> BigInt(8 * byte)) & 0xffn) [first, last] = [Math.min(first, byte), byte];
  return { at: at + first, size: last - first + 1 };
}
