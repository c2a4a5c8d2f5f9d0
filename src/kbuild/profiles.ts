/** Profiles that the compiler goes by (`CLANG_AUTOFDO_PROFILE=FILE`): another one is another kernel. */
import { createHash } from 'node:crypto';
import { readWhole } from '../files/whole-file';

export interface Profile {
  path: string;
  sha256: string;
}

/** @throws KlpflowError `unreadable` */
export function profilesOf(variables: readonly string[]): Profile[] {
  return variables.flatMap((variable) => {
    const path = /^[A-Z_]*PROFILE=(.+)$/.exec(variable)?.[1];
    if (path === undefined) return [];
    return [{ path, sha256: createHash('sha256').update(readWhole(path)).digest('hex') }];
  });
}
