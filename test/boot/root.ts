/** The root file system of a guest, and what booting one needs here. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHARACTER_DEVICE, DIRECTORY, PROGRAM, TEXT, cpio, type CpioEntry } from './cpio';
import { initScript, type Trial } from './init';

export const BUSYBOX = '/bin/busybox';

/** What booting needs that is not here. */
export function missingForBoots(): string | undefined {
  if (spawnSync('qemu-system-x86_64', ['--version']).error !== undefined)
    return 'there is no qemu-system-x86_64 here (Debian package qemu-system-x86)';
  if (!existsSync(BUSYBOX)) return `there is no ${BUSYBOX} here (Debian package busybox-static)`;
  return spawnSync('gcc', ['--version']).error !== undefined ? 'there is no gcc here' : undefined;
}

/** The helper program, compiled. @throws with the compiler's words */
function guestProgram(folder: string): Buffer {
  const out = join(folder, 'guest');
  const ran = spawnSync('gcc', ['-static', '-O1', '-Wall', '-Werror', '-o', out, join(__dirname, 'guest.c')], {
    encoding: 'utf8',
  });
  if (ran.status !== 0) throw new Error(`gcc: ${ran.stderr}`);
  return readFileSync(out);
}

/** Programs of the guest: busybox, and what that cannot do; and where it reports. */
export interface GuestPrograms {
  busybox: string;
  guest?: Buffer;
  report?: string;
}

export function initramfs(trials: readonly Trial[], folder: string): Buffer {
  return rootOf(trials, { busybox: BUSYBOX, guest: guestProgram(folder) });
}

export function rootOf(trials: readonly Trial[], { busybox, guest, report }: GuestPrograms): Buffer {
  const directories = ['bin', 'dev', 'proc', 'sys', 'tmp', 'trial'].map(
    (path): CpioEntry => ({ path, mode: DIRECTORY }),
  );
  return cpio([
    ...directories,
    { path: 'dev/console', mode: CHARACTER_DEVICE, device: [5, 1] },
    { path: 'bin/busybox', mode: PROGRAM, content: readFileSync(busybox) },
    ...(guest === undefined ? [] : [{ path: 'bin/guest', mode: PROGRAM, content: guest }]),
    { path: 'init', mode: PROGRAM, content: Buffer.from(initScript(trials, report)) },
    ...trials.flatMap(({ targets }): CpioEntry[] =>
      (targets?.modules ?? []).map(({ name, content }) => ({ path: `trial/${name}.target`, mode: TEXT, content })),
    ),
    ...trials.flatMap(({ name, module, run }): CpioEntry[] => [
      { path: `trial/${name}.ko`, mode: TEXT, content: module },
      { path: `trial/${name}.run`, mode: TEXT, content: Buffer.from(`${run}\n`) },
    ]),
  ]);
}
