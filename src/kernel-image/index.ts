/** The kernel's image (vmlinuz) as the one source of facts. */
export type { BuildFacts } from './build';
export { symversText, type ImageExport } from './exports';
export { KernelImage } from './kernel-image';
export { kallsymsText, KallsymsList } from './kallsyms';
export { ImageMemory } from './memory';
export { moduleExports } from './module/module-exports';
export { ShippedModule } from './module/shipped-module';
export { PROCESSORS } from './processors';
export { ftraceSites } from './sites';
export { isCompressed, plainBytes } from './unpack/plain';
export { mayBeImage } from './unpack/unpack';
