import { isSplit, type Edit, type EditKind } from './changes';
import type { SynthFunction, Unit } from './model';
import { promotedSuffix } from './names';
import { append } from '../lists';

export interface ManifestFunction {
  /** Full ELF name in ORIG, of new ones in PATCHED. */
  name: string;
  file: string;
  section: string;
}

export interface ManifestChange extends ManifestFunction {
  /** Where it differs: a promoted name's suffix changes with its unit. */
  patchedName?: string;
  kind: EditKind;
}

/** Exactly what differs between the two objects of a pair. */
export interface Manifest {
  schema: 'klpflow/synth@1';
  seed: number;
  functions: {
    /** In ORIG. */
    total: number;
    changed: ManifestChange[];
    new: ManifestFunction[];
    removed: ManifestFunction[];
    /** Not changed: they stand elsewhere in their unit. */
    moved: ManifestFunction[];
    /** Not changed: only the line in a `__bug_table` record of theirs differs. */
    lineOnly: ManifestFunction[];
  };
  /** Changed objects, new ones, and those of which a changed function uses one and nothing tells which. */
  data: { changed: string[]; new: string[]; ambiguous: string[] };
  orig: ManifestFile;
  patched: ManifestFile;
}

export interface ManifestFile {
  bytes: number;
  sections: number;
  symbols: number;
  relas: number;
}

export function emptyManifest(seed: number, total: number): Manifest {
  const file = { bytes: 0, sections: 0, symbols: 0, relas: 0 };
  return {
    schema: 'klpflow/synth@1',
    seed,
    functions: { total, changed: [], new: [], removed: [], moved: [], lineOnly: [] },
    data: { changed: [], new: [], ambiguous: [] },
    orig: file,
    patched: file,
  };
}

/** Adds one edited unit to the manifest. */
export function record(manifest: Manifest, seed: number, orig: Unit, patched: Unit, edits: readonly Edit[]): void {
  const { functions, data } = manifest;
  const touched = new Set<number>();
  for (const edit of edits) {
    if (edit.kind === 'data') {
      data.changed.push(orig.objects[0]!.name);
      continue;
    }
    const { ordinal } = edit.at;
    const before = described(seed, orig, orig.functions[ordinal]!);
    if (edit.kind === 'move') {
      functions.moved.push(before);
      continue;
    }
    touched.add(ordinal);
    if (edit.kind === 'removal') {
      functions.removed.push(before);
      continue;
    }
    const after = described(seed, patched, patched.functions[ordinal]!);
    functions.changed.push({
      ...before,
      ...(after.name === before.name ? {} : { patchedName: after.name }),
      kind: edit.kind,
    });
  }
  patched.functions.forEach((fn, ordinal) => {
    if (fn === null || touched.has(ordinal)) return;
    const before = orig.functions[ordinal];
    if (before === undefined || before === null) functions.new.push(described(seed, patched, fn));
    else if (fn.line !== before.line && fn.ops.some((op) => op.kind === 'bug'))
      functions.lineOnly.push(described(seed, orig, before));
  });
  if (edits.some(({ kind }) => kind === 'ambiguity'))
    append(
      data.ambiguous,
      orig.objects
        .filter(isSplit)
        .slice(0, 2)
        .map(({ name, number }) => `${name}.${number}`),
    );
  for (const object of patched.objects.slice(orig.objects.length))
    data.new.push(object.number === null ? object.name : `${object.name}.${object.number}`);
}

const SECTIONS = { init: '.init.text', shared: '.sched.text', text: '.text' } as const;

function described(seed: number, unit: Unit, fn: SynthFunction): ManifestFunction {
  const name = fn.scope === 'promoted' ? fn.name + promotedSuffix(seed, unit.number, unit.edited) : fn.name;
  const section =
    fn.placed === 'alone' ? `.text.${name}` : fn.placed === 'unit' ? `.text.unit_${unit.number}` : SECTIONS[fn.placed];
  return { name, file: unit.file, section };
}
