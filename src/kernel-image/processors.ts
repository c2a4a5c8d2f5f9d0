import { EM_AARCH64, EM_X86_64 } from '../elf';

/** The processors whose kernels' images are read, as they are called there. */
export const PROCESSORS = new Map<number, 'x86-64' | 'arm64'>([
  [EM_X86_64, 'x86-64'],
  [EM_AARCH64, 'arm64'],
]);

/** The one whose images may be memory as it is (`Image`), without an ELF header. */
export const RAW = EM_AARCH64;
