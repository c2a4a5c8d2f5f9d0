/** dist/addon: the source of the mmap addon with the headers that it is compiled with, for the package. Its installation (scripts/install.cjs) asks nothing of the network. */
import fs from 'node:fs';
import path from 'node:path';
import { root } from './bundle.mjs';

const folder = path.join(root, 'dist/addon');
const from = (name, ...more) => path.join(root, 'node_modules', name, ...more);

const BINDING = {
  targets: [
    {
      target_name: 'mmap_io',
      sources: ['mmap-io.cc'],
      include_dirs: ['nan'],
      cflags_cc: ['-std=c++17'],
    },
  ],
};

fs.rmSync(folder, { recursive: true, force: true });
fs.mkdirSync(path.join(folder, 'nan'), { recursive: true });
fs.writeFileSync(path.join(folder, 'binding.gyp'), `${JSON.stringify(BINDING, null, 2)}\n`);
for (const name of ['mmap-io.cc', 'mman.h']) fs.copyFileSync(from('mmap-io', 'src', name), path.join(folder, name));
for (const name of fs.readdirSync(from('nan')).filter((file) => file.endsWith('.h')))
  fs.copyFileSync(from('nan', name), path.join(folder, 'nan', name));
