/** What the build itself adds to the evidence of its livepatch; the comparison has told its own. */
import { compilerOf, type Kernel } from './kernel';
import type { Livepatch } from './livepatch';
import type { BuildEvidence } from './request';
import type { Profile } from './profiles';
import type { Compiler } from './toolchain';

export function evidenceOf(
  kernel: Kernel,
  { compiler: { text }, profiles }: { compiler: Compiler; profiles: readonly Profile[] },
  { verification, signedBy }: Livepatch,
): BuildEvidence[] {
  const { config, image } = kernel;
  const compiler = compilerOf(kernel);
  const same = compiler?.includes(text.replace(/^\S+ /, '')) === true;
  const found: BuildEvidence[] = [
    {
      what: 'compiler',
      proven: same && image !== null,
      by: !same
        ? `${text}; the kernel's: ${compiler}`
        : image === null
          ? `${text}, as ${config.path} says; the kernel's banner was not seen`
          : `${text}, as the kernel's banner says`,
    },
    { what: 'configuration', proven: true, by: `the tree takes ${config.path} without a change` },
  ];
  for (const { path, sha256 } of profiles)
    found.push({
      what: 'profile',
      proven: false,
      by: `${path}, sha256 ${sha256}: no image says which profile it was made with`,
    });
  if (verification !== null) {
    const open = verification.diagnostics.filter(({ severity }) => severity === 'note').map(({ message }) => message);
    const by = !verification.ok
      ? 'the verifier refuses the module'
      : open.length === 0
        ? 'klpflow verify finds nothing against the module, and leaves nothing out'
        : `klpflow verify finds nothing against the module; it could not check ${open.length === 1 ? open[0] : `${open.length} things, the first: ${open[0]}`}`;
    found.push({ what: 'module', proven: verification.ok && open.length === 0, by });
  }
  if (signedBy !== null)
    found.push({
      what: 'signature',
      proven: false,
      by: `signed by ${signedBy}; whether the kernel trusts it, its keyrings say`,
    });
  return found;
}
