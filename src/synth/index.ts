import { writeAtomically } from '../files/output-file';
import type { ElfWriter } from '../elf/writer';
import { UnitCache, type Build } from './build';
import { applyEdits, chooseEdits, editedText, newText, type Changes, type Edit } from './changes';
import { addDebug, type DebugPlan } from './debug';
import { debugPlan } from './debug-plan';
import { kernelImage } from './image';
import { emptyManifest, record, type Manifest, type ManifestFile } from './manifest';
import { KernelPlan } from './plan';
import { scaledShape } from './shape/scaled';
import type { Shape } from './shape/types';
import { LINUX_7_2_THINLTO } from './shape/linux-7.2-thinlto';
import { makeUnit, outlineOf } from './unit';

export type { Changes } from './changes';
export type { Manifest, ManifestChange, ManifestFunction } from './manifest';
export { grade, type Answer } from './grade';
export { SHAPES, isShape, measureObject } from './shape';
export { measureShape } from './shape/measure';
export type { Shape } from './shape/types';

/** Sections of patchable entries per 1000 functions below which there is one for all. */
const JOINED = 100;

/** What a pair holds. */
export interface PairOptions {
  /** Functions in ORIG; some 1800 bytes of file each. */
  functions: number;
  /** The same options always give the same bytes. */
  seed: number;
  changes: Changes;
  /** Default: that of Linux 7.2 built with ThinLTO. */
  shape?: Shape;
  /** About this many sections, by letting functions share their unit's. */
  sections?: number | undefined;
  singleText?: boolean;
  /** About this many relocations without those of debug information, by longer or shorter functions. */
  relas?: number | undefined;
  /** Debug information as the shape has it, or so much that ORIG has about this many bytes. */
  debug?: boolean | { bytes: number };
}

/**
 * Writes two builds of a synthetic kernel that differ in exactly what the manifest says; the manifest is written too
 * where a path is given. Memory grows with symbols and table entries, not with bytes: one build is held at a time.
 * @throws RangeError when the kernel has too few functions for the changes, or cannot have that many sections or bytes;
 *   KlpflowError as `writeAtomically`
 */
export async function writePair(
  options: PairOptions,
  origPath: string,
  patchedPath: string,
  manifestPath?: string,
): Promise<Manifest> {
  const { changes, seed, functions, singleText = false } = options;
  const shape = fittedShape(options);
  const plan = new KernelPlan({ seed, functions, shape, singleText, mergedUnits: mergedUnits(options, shape) });
  const edits = new Map<number, Edit[]>();
  for (const edit of chooseEdits(plan, changes)) {
    const unit = 'at' in edit ? edit.at.unit : edit.unit;
    edits.set(unit, [...(edits.get(unit) ?? []), edit]);
  }
  const editedUnits = new UnitCache(plan.processor, (number) =>
    applyEdits(makeUnit(plan, number), edits.get(number)!, plan.processor.body.edits),
  );
  const orig = originalBuild(plan);
  const patched: Build = {
    ...orig,
    unit: (number) => (edits.has(number) ? editedUnits.get(number) : orig.unit(number)),
    newStrings: newStrings(orig, edits),
    names: (number) =>
      edits.has(number) ? editedUnits.get(number).unit.functions.map((fn) => fn?.name ?? '') : orig.names(number),
  };
  const manifest = emptyManifest(seed, functions);
  for (const number of [...edits.keys()].sort((a, b) => a - b))
    record(manifest, seed, orig.unit(number).unit, patched.unit(number).unit, edits.get(number)!);
  let debug: DebugPlan | undefined;
  const write = async (build: Build, path: string): Promise<ManifestFile> => {
    const { writer, places } = kernelImage(build);
    debug ??= debugPlan(options.debug ?? false, shape, functions, writer.counts().bytes);
    if (debug !== undefined) addDebug(writer, build, debug, places);
    return written(writer, path);
  };
  manifest.orig = await write(orig, origPath);
  manifest.patched = await write(patched, patchedPath);
  if (manifestPath !== undefined)
    await writeAtomically(manifestPath, [new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`)]);
  return manifest;
}

/** The build that nothing was changed in. */
function originalBuild(plan: KernelPlan): Build {
  const units = new UnitCache(plan.processor, (number) => makeUnit(plan, number));
  return {
    processor: plan.processor,
    seed: plan.seed,
    singleText: plan.singleText,
    joinedEntries: plan.shape.entrySections < JOINED,
    units: plan.units,
    unit: (number) => units.get(number),
    names: (number) => outlineOf(plan, number).names,
    newStrings: [],
  };
}

/** Functions of the kernels that are made to see how many relocations a function takes. */
const SAMPLE = 4000;
/** Shorter functions have no room for what each of them has, and no compiler writes longer ones. */
const SHORTEST = 0.2;
const LONGEST = 10;

/** The shape, or the one that so many functions of have as many relocations as are asked for. */
function fittedShape(options: PairOptions): Shape {
  const { shape = LINUX_7_2_THINLTO, seed, functions, singleText = false, relas } = options;
  if (relas === undefined) return shape;
  const merged = mergedUnits(options, shape);
  const perFunction = (scale: number): number => {
    const plan = new KernelPlan({
      seed,
      functions: SAMPLE,
      shape: scaledShape(shape, scale),
      singleText,
      mergedUnits: merged,
    });
    return kernelImage(originalBuild(plan)).writer.counts().relas / SAMPLE;
  };
  // Some belong to the function and not to its length, so two lengths are tried.
  const [half, whole] = [perFunction(0.5), perFunction(1)];
  const relasAt = (scale: number): number => Math.ceil((half + 2 * (whole - half) * (scale - 0.5)) * functions);
  const factor = 0.5 + (relas / functions - half) / (2 * (whole - half));
  if (!(factor >= SHORTEST && factor <= LONGEST))
    throw new RangeError(
      `${functions} functions of this shape have ${relasAt(SHORTEST)} to ${relasAt(LONGEST)} relocations`,
    );
  return scaledShape(shape, factor);
}

async function written(writer: ElfWriter, path: string): Promise<ManifestFile> {
  const counts = writer.counts();
  return { ...counts, bytes: await writer.write(path) };
}

/** Of 1000 units: those whose functions must share a section for the file to have `sections` of them. */
function mergedUnits({ functions, sections }: PairOptions, shape: Shape): number {
  if (sections === undefined) return 0;
  // A function alone has four: its text, its patchable entry, and the relocations of both. So has an object, if it has relocations.
  const alone = (functions * shape.functions.placed.alone * (shape.entrySections < JOINED ? 2 : 4)) / 1000;
  const others = (['data', 'bss', 'rodata'] as const).reduce(
    (sum, kind) =>
      sum + (functions * shape.objects[kind].per1000 * shape.objects[kind].alone * (kind === 'bss' ? 1 : 1.6)) / 1e6,
    0,
  );
  if (sections > (alone + others) * 1.1)
    throw new RangeError(
      `${functions} functions of this shape have ${Math.round(alone + others)} sections: ${sections} need ${Math.ceil((sections / (alone + others)) * functions)} functions`,
    );
  return Math.max(0, Math.min(1000, Math.round((1000 * (alone + others - sections)) / alone)));
}

function newStrings(orig: Build, edits: ReadonlyMap<number, readonly Edit[]>): string[] {
  return [...edits.values()].flat().flatMap((edit) => {
    if (edit.kind === 'new-call') return [newText(edit.serial)];
    if (edit.kind !== 'string') return [];
    const op = orig
      .unit(edit.at.unit)
      .unit.functions[edit.at.ordinal]!.ops.find((candidate) => candidate.kind === 'string');
    return op?.kind === 'string' ? [editedText(op.text, edit.serial)] : [];
  });
}
