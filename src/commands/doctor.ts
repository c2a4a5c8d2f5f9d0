import { accessSync, constants, existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { Args } from '@oclif/core';
import { diagnosticOf } from '../diagnostics';
import { cacheFolder } from '../files/cache-folder';
import { MappedFile } from '../files/mapped-file';
import type { ImageDescription, ObjectDescription } from '../index';
import { renderImage } from '../report/image';
import { renderObject } from '../report/object';
import { BaseCommand } from './support/base-command';

interface Check {
  name: string;
  ok: boolean;
  finding: string;
  /** What to do, where `ok` is false. */
  hint?: string;
}

export interface DoctorResult {
  schema: 'klpflow/doctor@1';
  ok: boolean;
  checks: Check[];
  image?: ImageDescription;
  object?: ObjectDescription;
}

const GIB = 2 ** 30;

export default class Doctor extends BaseCommand {
  static override summary = 'check this machine, or show what a kernel image or an object tells';
  static override description =
    'Looks at the Node.js version, the mmap addon (by mapping a file), the cores, the memory and the cache directory. Of a kernel image (vmlinuz, Image, linked vmlinux) it then shows what --vmlinux reads there; of an object (vmlinux.o, a module) which kernel it is of, what klpflow can do with it and what is missing. Changes nothing. Exits with 1 where a check fails.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
    '<%= config.bin %> <%= command.id %> /boot/vmlinuz-6.12.0',
    '<%= config.bin %> <%= command.id %> vmlinux.o',
  ];
  static override args = {
    file: Args.string({
      name: 'FILE',
      description: 'a kernel image or an object, to show what it tells',
      required: false,
    }),
  };
  static override enableJsonFlag = true;

  async run(): Promise<DoctorResult> {
    const { args } = await this.parse(Doctor);
    const checks = [nodeVersion(), mmapAddon(this.config.root), cores(), memory(), cacheDirectory(cacheFolder())];
    for (const { name, ok, finding, hint } of checks) {
      this.log(`${ok ? 'ok  ' : 'FAIL'}  ${name.padEnd(8)}  ${finding}`);
      if (hint !== undefined) this.log(`      ${' '.repeat(8)}  ${hint}`);
    }
    const ok = checks.every((check) => check.ok);
    if (!ok) process.exitCode = 1;
    const found = { schema: 'klpflow/doctor@1' as const, ok, checks };
    if (args.file === undefined) return found;
    // Here, not above: what it needs may be what fails.
    const { describe } = await import('../index');
    const described = await describe(args.file);
    this.log(`\n${'object' in described ? renderObject(described.object) : renderImage(described.image)}`);
    return { ...found, ...described };
  }
}

function nodeVersion(): Check {
  const ok = Number.parseInt(process.versions.node, 10) >= 20;
  const finding = `${process.version} ${process.platform}-${process.arch}`;
  return { name: 'node', ok, finding, ...(ok ? {} : { hint: 'install Node.js 20 or newer' }) };
}

/** Maps a file that is surely there, klpflow's own package.json, and compares it with what a plain read gives. */
function mmapAddon(root: string): Check {
  const file = join(root, 'package.json');
  try {
    const { bytes } = MappedFile.open(file);
    if (readFileSync(file).equals(bytes)) return { name: 'mmap', ok: true, finding: 'the addon loads and maps a file' };
    throw new Error('a mapped file differs from the file');
  } catch (error) {
    const { message, hint } = diagnosticOf(error);
    return { name: 'mmap', ok: false, finding: message.split('\n', 1)[0]!, hint };
  }
}

function cores(): Check {
  return { name: 'cores', ok: true, finding: `${availableParallelism()}` };
}

function memory(): Check {
  const total = (totalmem() / GIB).toFixed(1);
  const free = (availableMemory() / GIB).toFixed(1);
  return { name: 'memory', ok: true, finding: `${total} GiB, ${free} GiB available` };
}

/** What a program could still get: on Linux that counts the page cache, which `os.freemem` does not. */
function availableMemory(): number {
  try {
    const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1];
    if (kibibytes !== undefined) return Number(kibibytes) * 1024;
  } catch {
    // Not Linux.
  }
  return freemem();
}

/** Whether the cache directory, or the nearest directory above it that exists, can be written. */
function cacheDirectory(directory: string): Check {
  let existing = directory;
  while (!existsSync(existing)) existing = dirname(existing);
  try {
    accessSync(existing, constants.W_OK | constants.X_OK);
    if (!statSync(existing).isDirectory()) throw new Error('not a directory');
    const { bavail, bsize } = statfsSync(existing);
    return { name: 'cache', ok: true, finding: `${directory}, ${((bavail * bsize) / GIB).toFixed(1)} GiB free` };
  } catch {
    const hint = 'name a directory that can be written with --run-dir, or in KLPFLOW_CACHE_DIR';
    return { name: 'cache', ok: false, finding: `${directory} cannot be written`, hint };
  }
}
