/** What is to be done for a cell, as a value: contents by digest, names, options. No path and no command, so that it may come from anywhere. */
import type { Blob } from './digest';
import { sha256 } from './digest';

export type DiffFile = 'orig' | 'patched' | 'vmlinux' | 'symvers' | 'btf' | 'template' | 'ftrace';

interface Work {
  /** The livepatch's name. */
  name: string;
  allow: string[];
  description: string | null;
  replace: boolean;
}

/** Two objects are there. */
export interface DiffWork extends Work {
  kind: 'diff';
  files: Partial<Record<DiffFile, Blob>> & { orig: Blob; patched: Blob };
  moduleImages: Blob[];
  module: string | null;
}

/** They are built, of a kernel that whoever does it knows by this digest. */
export interface BuildWork extends Work {
  kind: 'build';
  kernel: string;
  patches: Blob[];
  strip: number;
}

export interface Job {
  schema: 'klpflow/job@1';
  /** The code that the result is of: other code, another job. */
  producer: string;
  work: DiffWork | BuildWork;
}

/** The digest of all that the result depends on. */
export function jobId(job: Job): string {
  return sha256(canonical(job));
}

/** JSON with the keys in order: the same value, the same text. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** All contents that a job reads. */
export function blobsOf({ work }: Job): Blob[] {
  return work.kind === 'build' ? work.patches : [...Object.values(work.files), ...work.moduleImages];
}
