/** oclif.manifest.json: what help and lookup know of the commands without loading them. Run as a program, it writes the file. */
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Plugin } from '@oclif/core';
import { replace, root } from './bundle.mjs';

export { root };

const file = path.join(root, 'oclif.manifest.json');

/** The manifest of the built command line, as text. */
export async function manifest() {
  const plugin = new Plugin({
    root,
    type: 'core',
    ignoreManifest: true,
    errorOnManifestCreate: true,
    respectNoCacheDefault: true,
  });
  await plugin.load();
  return `${JSON.stringify(plugin.manifest, null, 2)}\n`;
}

/** The committed one; empty where there is none. */
export function committedManifest() {
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) replace(file, Buffer.from(await manifest()));
