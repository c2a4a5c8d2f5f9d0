/**
 * dist/THIRD-PARTY-LICENSES.txt: every package of which something is in dist/, with its licence. A package without a licence, or with one that does not
 * go together with GPL-3.0-or-later, ends the build.
 */
import fs from 'node:fs';
import path from 'node:path';
import { replace, root } from './bundle.mjs';

/**
 * Licences whose code may be part of a work under GPL-3.0-or-later. Apache-2.0 is why it is not GPL-2.0: version 2 does not permit its terms on patents.
 * BlueOak-1.0.0 (minimatch) asks for its text or a link to it, and nothing of the whole.
 */
const COMPATIBLE = new Set(['MIT', 'ISC', '0BSD', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', 'BlueOak-1.0.0']);

/** What no bundle's inputs show: compiled into WebAssembly, or source of the addon. */
const UNSEEN = ['assemblyscript', 'mmap-io', 'nan'];

const HEAD = `klpflow's own source is under GPL-2.0-or-later (LICENSE). What is built of it, this folder, has parts of the packages below within; some are under the Apache
License 2.0, which version 3 of the GPL permits and version 2 does not. So the package as a whole is passed on under GPL-3.0-or-later.
`;

/** Writes the file. @param inputs paths of all that was bundled, from the root */
export function writeLicenses(inputs) {
  const names = new Set(UNSEEN);
  for (const input of inputs) {
    const name = /^.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
    if (name !== undefined) names.add(name);
  }
  const parts = [...names].sort().map(licenseOf);
  replace(
    path.join(root, 'dist/THIRD-PARTY-LICENSES.txt'),
    Buffer.from([HEAD, ...parts].join(`\n${'-'.repeat(80)}\n\n`)),
  );
}

function licenseOf(name) {
  const folder = path.join(root, 'node_modules', name);
  const {
    name: called,
    version,
    license,
    homepage,
    author,
  } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
  if (!(license ?? '').split(' AND ').every((one) => COMPATIBLE.has(one)))
    throw new Error(`${name}: licence ${license} is not known to go together with GPL-3.0-or-later`);
  const texts = fs.readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  const text =
    texts.length > 0
      ? texts.map((file) => fs.readFileSync(path.join(folder, file), 'utf8').trim()).join('\n\n')
      : `Its package has no text of the licence. Copyright: ${typeof author === 'string' ? author : (author?.name ?? 'its authors')}`;
  return `${called} ${version}: ${license}${homepage ? `\n${homepage}` : ''}\n\n${text}\n`;
}
