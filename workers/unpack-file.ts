/** What a thread takes out of a compressed file, and keeps in the run directory. */
import { join } from 'node:path';
import { MappedFile } from '../src/files/mapped-file';
import { plainBytes } from '../src/kernel-image';
import { contentDigest, writeKept } from '../src/records';
import { mustBe } from './inputs';
import type { AnswerOf, TaskOf } from '../src/pipeline/types';

/** Unpacked anew in every run, which takes milliseconds: what is kept from an earlier one is then known to be whole. */
export async function unpackFile({
  input,
  folder,
  scratch,
}: TaskOf<'unpackFile'>): Promise<{ answer: AnswerOf<'unpackFile'> }> {
  const file = MappedFile.open(input.path);
  mustBe(file.identity, input);
  const plain = await plainBytes(file.bytes, input.path);
  return { answer: writeKept(join(folder, contentDigest(file.bytes), 'plain'), plain, scratch) };
}
