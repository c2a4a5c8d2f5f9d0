export { readKernelStructs, type KernelStructs } from './layouts';
export { moduleNameOf, runtimeModuleName } from './names';
export { readTemplate, type ModuleTemplate } from './template';
export type { ImageModuleFacts, KlpState, ModuleOptions, ModuleResult, TargetKernel } from './types';
export { writeModule } from './write';
