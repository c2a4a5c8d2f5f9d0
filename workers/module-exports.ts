/** What a thread takes out of the files of modules that others depend on. */
import { join } from 'node:path';
import { ElfObject } from '../src/elf';
import { MappedFile } from '../src/files/mapped-file';
import { readText } from '../src/files/whole-file';
import { ShippedModule, moduleExports, symversText } from '../src/kernel-image';
import { contentDigest, writeKept } from '../src/records';
import { mustBe } from './inputs';
import type { AnswerOf, TaskOf } from '../src/pipeline/types';

/** The list of exports of vmlinux and of these modules, as one file that is called by its content. */
export function withModuleExports({ vmlinux, modules, folder, scratch }: TaskOf<'moduleExports'>): {
  answer: AnswerOf<'moduleExports'>;
} {
  const parts = modules.map((input) => {
    const file = MappedFile.open(input.path, input.called);
    mustBe(file.identity, input);
    const module = new ShippedModule(new ElfObject(file));
    return symversText(moduleExports(module), module.name);
  });
  const text = Buffer.from([readText(vmlinux.path), ...parts].join(''), 'latin1');
  return { answer: writeKept(join(folder, `symvers-${contentDigest(text)}`), text, scratch) };
}
