/** What a thread takes out of a kernel's image, and keeps in the run directory as the files that the image stands for. */
import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { MappedFile } from '../src/files/mapped-file';
import { KernelImage, kallsymsText, symversText } from '../src/kernel-image';
import {
  contentDigest,
  decodeInput,
  decodeOutcome,
  encodeInput,
  encodeOutcome,
  type RecordPlace,
  writeKept,
  type KeptFile,
} from '../src/records';
import { mustBe } from './inputs';
import { keep, recorded } from './recorded';
import type { AnswerOf, ImageFacts, TaskOf } from '../src/pipeline/types';

/** The facts of an image, decoded once for each content. */
export async function kernelImage({
  input,
  place,
  folder,
  fresh,
}: TaskOf<'kernelImage'>): Promise<{ answer: AnswerOf<'kernelImage'>; reused?: boolean; miss: string | null }> {
  const file = MappedFile.open(input.path);
  mustBe(file.identity, input);
  const known = recorded(place, 'input', fresh, (messages) => decodeInput(messages[0])).value?.digest;
  const digest = known ?? contentDigest(file.bytes);
  if (known === undefined)
    keep(input, place, 'input', [encodeInput({ path: resolve(input.path), ...input.identity, digest })]);
  const own = join(folder, digest);
  const record: RecordPlace = { file: join(own, 'facts.pb'), key: digest, scratch: place.scratch };
  const found = recorded(record, 'kernel', fresh, (messages) => {
    const facts = decodeOutcome(messages[0])?.outcome as ImageFacts | undefined;
    return facts !== undefined && isWhole(facts) ? facts : undefined;
  });
  if (found.value !== undefined) return { answer: { ...found.value, path: input.path }, reused: true, miss: null };
  const facts = await decode(file.bytes, input.path, digest, (name, bytes) =>
    writeKept(join(own, name), bytes, place.scratch),
  );
  // Last: who finds the record relies on the files.
  keep(input, record, 'kernel', [encodeOutcome({ outcome: facts, options: {} })]);
  return { answer: facts, miss: found.miss };
}

async function decode(
  bytes: Uint8Array,
  path: string,
  digest: string,
  kept: (name: string, bytes: Uint8Array) => KeptFile,
): Promise<ImageFacts> {
  const image = await KernelImage.of(bytes, path);
  const { build, btf, machine, retpoline, wrappers, memory } = image;
  return {
    path,
    digest,
    machine,
    wrappers,
    build,
    retpoline,
    form: memory.elf === null ? 'raw' : 'elf',
    counts: { symbols: image.symbols.count, exports: image.exports.length },
    symbols: kept('kallsyms', kallsymsText(image.symbols)),
    exports: kept('Module.symvers', Buffer.from(symversText(image.exports), 'latin1')),
    types: btf === undefined ? null : kept('btf', btf),
    memory: kept('memory', memory.bytes),
  };
}

/** Not synced when written: after a power failure a file may be torn. Memory, which is large, is looked at by who maps it. */
function isWhole({ symbols, exports, types, memory }: ImageFacts): boolean {
  const whole = ({ path, digest }: KeptFile): boolean =>
    existsSync(path) && contentDigest(MappedFile.open(path).bytes) === digest;
  return (
    [symbols, exports, ...(types === null ? [] : [types])].every(whole) &&
    statSync(memory.path, { throwIfNoEntry: false })?.size === memory.size
  );
}
