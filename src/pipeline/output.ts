import { createHash } from 'node:crypto';
import type { Diagnostic } from '../diagnostics';
import { writeAtomically } from '../elf/output-file';
import type { KernelFiles } from './extract';
import type { Flow } from './flow';

export type OutputFormat = 'klp' | 'ko';

/** A livepatch to be written. */
export interface OutputRequest extends KernelFiles {
  path: string;
  format: OutputFormat;
}

export interface OutputReport {
  path: string;
  format: OutputFormat;
  bytes: number;
  sha256: string;
}

/** Writes extracted objects (format klp) as they are, or linked into a module. */
export async function writeLivepatch(flow: Flow, request: OutputRequest, objects: Uint8Array[]): Promise<{ output: OutputReport | null; diagnostics: Diagnostic[] }> {
  const [bytes] = objects;
  await writeAtomically(request.path, [bytes!]);
  flow.progress.step('link', null, false, null, { items: 1, bytes: bytes!.length });
  return { output: { path: request.path, format: request.format, bytes: bytes!.length, sha256: createHash('sha256').update(bytes!).digest('hex') }, diagnostics: [] };
}
