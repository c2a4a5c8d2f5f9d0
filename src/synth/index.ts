import { writeAtomically } from '../elf/output-file';
import { UnitCache, type Build } from './build';
import { applyEdits, chooseEdits, editedText, newText, type Changes, type Edit } from './changes';
import { kernelImages } from './image';
import type { Manifest, ManifestFunction } from './manifest';
import type { SynthFunction, Unit } from './model';
import { promotedSuffix } from './names';
import { makeUnit, unitCount, type KernelPlan } from './unit';

export type { Changes } from './changes';
export type { Manifest, ManifestChange, ManifestFunction } from './manifest';

/** What a pair holds. */
export interface PairOptions {
  /** Functions in ORIG; about 850 bytes of file each. */
  functions: number;
  /** The same options always give the same bytes. */
  seed: number;
  changes: Changes;
}

/**
 * Writes two builds of a synthetic kernel, x86-64 with function sections as ThinLTO leaves them, that differ in
 * exactly what the manifest says; the manifest is written too where a path is given.
 * @throws RangeError when the kernel has too few functions for the changes; KlpflowError as `writeAtomically`
 */
export async function writePair(options: PairOptions, origPath: string, patchedPath: string, manifestPath?: string): Promise<Manifest> {
  const plan: KernelPlan = { seed: options.seed, functions: options.functions };
  const edits = new Map<number, Edit[]>();
  for (const edit of chooseEdits(plan, options.changes)) {
    const unit = 'at' in edit ? edit.at.unit : edit.unit;
    edits.set(unit, [...(edits.get(unit) ?? []), edit]);
  }
  const origUnits = new UnitCache((number) => makeUnit(plan, number));
  const editedUnits = new UnitCache((number) => applyEdits(makeUnit(plan, number), edits.get(number)!));
  const orig: Build = { seed: plan.seed, units: unitCount(plan), unit: (number) => origUnits.get(number), newStrings: [] };
  const patched: Build = { ...orig, unit: (number) => (edits.has(number) ? editedUnits : origUnits).get(number), newStrings: newStrings(orig, edits) };
  const manifest: Manifest = {
    schema: 'klpflow/synth@1', seed: plan.seed, functions: { total: plan.functions, changed: [], new: [], removed: [], lineOnly: [] },
    data: { changed: [], new: [] }, orig: { bytes: 0 }, patched: { bytes: 0 },
  };
  for (const number of [...edits.keys()].sort((a, b) => a - b)) record(manifest, plan.seed, orig.unit(number).unit, patched.unit(number).unit, edits.get(number)!);
  const paths = [origPath, patchedPath];
  const [origBytes, patchedBytes] = await Promise.all(kernelImages([orig, patched]).map((writer, index) => writer.write(paths[index]!)));
  manifest.orig.bytes = origBytes!;
  manifest.patched.bytes = patchedBytes!;
  if (manifestPath !== undefined) await writeAtomically(manifestPath, [new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`)]);
  return manifest;
}

function newStrings(orig: Build, edits: ReadonlyMap<number, readonly Edit[]>): string[] {
  return [...edits.values()].flat().flatMap((edit) => {
    if (edit.kind === 'new-call') return [newText(edit.serial)];
    if (edit.kind !== 'string') return [];
    const op = orig.unit(edit.at.unit).unit.functions[edit.at.ordinal]!.ops.find((candidate) => candidate.kind === 'string');
    return op?.kind === 'string' ? [editedText(op.text, edit.serial)] : [];
  });
}

/** Adds one edited unit to the manifest. */
function record(manifest: Manifest, seed: number, orig: Unit, patched: Unit, edits: readonly Edit[]): void {
  const { functions, data } = manifest;
  const touched = new Set<number>();
  for (const edit of edits) {
    if (edit.kind === 'data') {
      data.changed.push(orig.objects[0]!.name);
      continue;
    }
    const { ordinal } = edit.at;
    touched.add(ordinal);
    const before = described(seed, orig, orig.functions[ordinal]!);
    if (edit.kind === 'removal') {
      functions.removed.push(before);
      continue;
    }
    const after = described(seed, patched, patched.functions[ordinal]!);
    functions.changed.push({ ...before, ...(after.name === before.name ? {} : { patchedName: after.name }), kind: edit.kind });
  }
  patched.functions.forEach((fn, ordinal) => {
    if (fn === null || touched.has(ordinal)) return;
    const before = orig.functions[ordinal];
    if (before === undefined || before === null) functions.new.push(described(seed, patched, fn));
    else if (fn.line !== before.line && fn.ops.some((op) => op.kind === 'bug')) functions.lineOnly.push(described(seed, orig, before));
  });
  for (const object of patched.objects.slice(orig.objects.length)) data.new.push(object.number === null ? object.name : `${object.name}.${object.number}`);
}

function described(seed: number, unit: Unit, fn: SynthFunction): ManifestFunction {
  const name = fn.scope === 'promoted' ? fn.name + promotedSuffix(seed, unit.number, unit.edited) : fn.name;
  return { name, file: unit.file, section: fn.init ? '.init.text' : `.text.${name}` };
}
