/** The thread of pool-main.ts. */
import { threadId } from 'node:worker_threads';
import { MappedFile } from '../../src/files/mapped-file';

export function peek({ file, start }: { file: string; start: number }): { byte: number; inThread: boolean } {
  return { byte: MappedFile.open(file).bytes[start]!, inThread: threadId !== 0 };
}
