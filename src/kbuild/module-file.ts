/** A module of the kernel as it is shipped, without its compression. */
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { readWhole } from '../files/whole-file';
import { decoderOf } from '../kernel-image/unpack/decoders';
import { runtimeName } from '../kernel/symvers';

/** The path of a module's file below the kernel's modules; undefined where it is not there. */
export function findModule(modules: string | undefined, name: string): string | undefined {
  if (modules === undefined) return undefined;
  const found = (readdirSync(modules, { recursive: true }) as string[]).find(
    (path) => /\.ko(?:\.\w+)?$/.test(path) && runtimeName(basename(path)) === name,
  );
  return found === undefined ? undefined : join(modules, found);
}

/** Copies a module's file, decompressed. @throws KlpflowError `unreadable` */
export async function unpackModule(path: string, to: string): Promise<void> {
  if (existsSync(to)) return;
  const bytes = readWhole(path);
  const content = (await decoderOf(bytes)?.decode(bytes, undefined)) ?? bytes;
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(`${to}.new`, content);
  renameSync(`${to}.new`, to);
}
