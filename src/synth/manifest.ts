import type { EditKind } from './changes';

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
    /** Not changed: only the line in a `__bug_table` record of theirs differs. */
    lineOnly: ManifestFunction[];
  };
  data: { changed: string[]; new: string[] };
  /** Sizes of the files in bytes. */
  orig: { bytes: number };
  patched: { bytes: number };
}
