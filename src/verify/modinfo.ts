import type { Context } from './context';

/** What the kernel takes for compatible with the GPL (include/linux/license.h). */
const GPL = new Set(['GPL', 'GPL v2', 'GPL and additional rights', 'Dual BSD/GPL', 'Dual MIT/GPL', 'Dual MPL/GPL']);

export interface ModuleInfo {
  vermagic: string | undefined;
  imported: ReadonlySet<string>;
}

/** `.modinfo` as the loader reads it. `name` is struct module's. */
export function checkModinfo(
  { module, findings, template, vermagic: own }: Context,
  name: string,
  versioned: boolean,
): ModuleInfo {
  const entries = module.modinfo();
  const values = (key: string): string[] => entries.filter((entry) => entry.key === key).map(({ value }) => value);
  const section = module.section('.modinfo');
  const add = (message: string): void =>
    findings.add('verify-modinfo', section === undefined ? undefined : { section }, message);

  const licenses = values('license');
  if (!licenses.some((license) => GPL.has(license)))
    add(
      licenses.length === 0
        ? 'license=GPL is missing: klp_enable_patch is for GPL modules only'
        : `license=${licenses[0]} cannot use klp_enable_patch, which is for GPL modules only`,
    );
  if (!values('livepatch').includes('Y'))
    add('livepatch=Y is missing: the loader would not touch klp relocations, and klp_enable_patch refuses the module');
  const [named] = values('name');
  if (named !== undefined && named !== name) add(`name=${named}, but struct module says ${name}`);
  const [vermagic, ...others] = values('vermagic');
  if (vermagic === undefined) add('vermagic is missing');
  else if (others.length > 0) add('vermagic is there more than once');
  else if (template?.vermagic !== undefined && tokens(vermagic, versioned) !== tokens(template.vermagic, versioned)) {
    add(
      `vermagic is "${vermagic}", a module of the running kernel has "${template.vermagic}"${versioned ? ' (all but the release must be equal)' : ''}`,
    );
  } else if (own !== null && tokens(vermagic, versioned) !== tokens(own, versioned))
    add(`vermagic is "${vermagic}", the running kernel's is "${own}"`);
  if (template === null && own === null)
    findings.add('verify-not-checked', undefined, 'vermagic: neither its image nor --template was given');
  if (template?.retpoline === true && !values('retpoline').includes('Y'))
    add('retpoline=Y is missing: modules of this kernel say it, and the kernel warns without');
  for (const namespace of values('import_ns'))
    if (namespace.startsWith('module:')) add(`import_ns=${namespace}: such a namespace cannot be imported`);
  return { vermagic, imported: new Set(values('import_ns')) };
}

/** `same_magic()`: with symbol versions the release, up to the first space, does not count. */
function tokens(vermagic: string, versioned: boolean): string {
  return versioned ? vermagic.slice(Math.max(0, vermagic.indexOf(' '))) : vermagic;
}
