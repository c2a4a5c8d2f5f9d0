import { Flags } from '@oclif/core';
import { KlpflowError, type ModuleOptions } from '../../index';

/** What a finished module needs or may say, in every command that writes one; without --btf and --symvers, which others need, too. */
export const MODULE_FLAGS = {
  template: Flags.string({
    description: 'any module of the running kernel, for its vermagic, and for struct layouts where there is no --btf',
    helpValue: 'FILE.ko',
  }),
  name: Flags.string({ description: 'name of the livepatch module (default: that of its file)', helpValue: 'NAME' }),
  description: Flags.string({ description: 'what modinfo shows', helpValue: 'TEXT' }),
  'no-replace': Flags.boolean({ description: 'do not replace earlier livepatches' }),
  state: Flags.string({
    description: 'a klp_state entry: a system state that callbacks change, and its version',
    helpValue: 'ID:VERSION',
    multiple: true,
    multipleNonGreedy: true,
  }),
};

export interface ModuleFlags {
  template?: string | undefined;
  name?: string | undefined;
  description?: string | undefined;
  'no-replace': boolean;
  state?: string[] | undefined;
}

/** The flags as options. @throws KlpflowError `usage` */
export function moduleOptions(flags: ModuleFlags): ModuleOptions {
  const { template, name, description, state, 'no-replace': stays } = flags;
  return { template, name, description, replace: !stays, states: state?.map(parseState) };
}

/** An id is an unsigned long other than 0, which ends the kernel's list; a version is an unsigned int. */
function parseState(text: string): { id: number; version: number } {
  const [, id = '', version = ''] = /^(\d{1,16}):(\d{1,10})$/.exec(text) ?? [];
  const state = { id: Number(id), version: Number(version) };
  if (id === '' || !Number.isSafeInteger(state.id) || state.id === 0 || state.version > 0xffffffff) {
    throw new KlpflowError('usage', `--state ${text}: give ID:VERSION, an id from 1 on and a version of 32 bits`);
  }
  return state;
}
