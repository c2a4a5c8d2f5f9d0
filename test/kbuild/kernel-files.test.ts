/** Where distributions put what belongs to a kernel, as their packages unpack: a place that is not known is a kernel that `build` does not find. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { findKernel, type KernelFile } from '../../src/kbuild/kernel-files';
import { moduleFiles } from '../../src/kbuild/module-file';
import { plainSymvers } from '../../src/kbuild/symvers';
import { tempFolder } from '../support/temp-folder';

interface Layout {
  release: string;
  files: string[];
  /** Links, as packages have them: to the root of the machine that they are for. */
  links?: Record<string, string>;
  found: Record<KernelFile, string>;
  /** One module's file. */
  module: string;
}

const DEB = '6.12.107+deb12-amd64';
const UBUNTU = '6.8.0-45-generic';
const FEDORA = '6.11.4-301.fc41.x86_64';
const LEAP = '6.4.0-150600.23.7-default';
const TUMBLEWEED = '6.11.3-1-default';
const ARCH = '6.11.5-arch1-1';

const LAYOUTS: Record<string, Layout> = {
  Debian: {
    release: DEB,
    files: [
      `boot/vmlinuz-${DEB}`,
      `boot/config-${DEB}`,
      `usr/src/linux-headers-${DEB}/Module.symvers`,
      `lib/modules/${DEB}/kernel/fs/ext4/ext4.ko.xz`,
    ],
    links: { [`lib/modules/${DEB}/build`]: `/usr/src/linux-headers-${DEB}` },
    found: {
      image: `boot/vmlinuz-${DEB}`,
      config: `boot/config-${DEB}`,
      symvers: `usr/src/linux-headers-${DEB}/Module.symvers`,
      modules: `lib/modules/${DEB}/kernel`,
    },
    module: `lib/modules/${DEB}/kernel/fs/ext4/ext4.ko.xz`,
  },
  'Debian with /lib merged into /usr': {
    release: DEB,
    files: [
      `boot/vmlinuz-${DEB}`,
      `boot/config-${DEB}`,
      `usr/src/linux-headers-${DEB}/Module.symvers`,
      `usr/lib/modules/${DEB}/kernel/fs/ext4/ext4.ko.xz`,
    ],
    links: { lib: 'usr/lib' },
    found: {
      image: `boot/vmlinuz-${DEB}`,
      config: `boot/config-${DEB}`,
      symvers: `usr/src/linux-headers-${DEB}/Module.symvers`,
      modules: `usr/lib/modules/${DEB}/kernel`,
    },
    module: `usr/lib/modules/${DEB}/kernel/fs/ext4/ext4.ko.xz`,
  },
  Ubuntu: {
    release: UBUNTU,
    files: [
      `boot/vmlinuz-${UBUNTU}`,
      `boot/config-${UBUNTU}`,
      `usr/src/linux-headers-${UBUNTU}/Module.symvers`,
      `lib/modules/${UBUNTU}/kernel/fs/ext4/ext4.ko.zst`,
    ],
    links: { [`lib/modules/${UBUNTU}/build`]: `/usr/src/linux-headers-${UBUNTU}` },
    found: {
      image: `boot/vmlinuz-${UBUNTU}`,
      config: `boot/config-${UBUNTU}`,
      symvers: `usr/src/linux-headers-${UBUNTU}/Module.symvers`,
      modules: `lib/modules/${UBUNTU}/kernel`,
    },
    module: `lib/modules/${UBUNTU}/kernel/fs/ext4/ext4.ko.zst`,
  },
  // /boot is filled when the package is installed; rpm2cpio gives what is below /lib/modules.
  'Fedora and RHEL': {
    release: FEDORA,
    files: [
      `lib/modules/${FEDORA}/vmlinuz`,
      `lib/modules/${FEDORA}/config`,
      `lib/modules/${FEDORA}/symvers.xz`,
      `lib/modules/${FEDORA}/kernel/fs/ext4/ext4.ko.xz`,
    ],
    links: { [`lib/modules/${FEDORA}/build`]: `/usr/src/kernels/${FEDORA}` },
    found: {
      image: `lib/modules/${FEDORA}/vmlinuz`,
      config: `lib/modules/${FEDORA}/config`,
      symvers: `lib/modules/${FEDORA}/symvers.xz`,
      modules: `lib/modules/${FEDORA}/kernel`,
    },
    module: `lib/modules/${FEDORA}/kernel/fs/ext4/ext4.ko.xz`,
  },
  'RHEL 8, with kernel-devel': {
    release: '4.18.0-553.el8.x86_64',
    files: [
      'boot/vmlinuz-4.18.0-553.el8.x86_64',
      'boot/symvers-4.18.0-553.el8.x86_64.gz',
      'usr/src/kernels/4.18.0-553.el8.x86_64/.config',
      'lib/modules/4.18.0-553.el8.x86_64/kernel/fs/ext4/ext4.ko.xz',
    ],
    found: {
      image: 'boot/vmlinuz-4.18.0-553.el8.x86_64',
      config: 'usr/src/kernels/4.18.0-553.el8.x86_64/.config',
      symvers: 'boot/symvers-4.18.0-553.el8.x86_64.gz',
      modules: 'lib/modules/4.18.0-553.el8.x86_64/kernel',
    },
    module: 'lib/modules/4.18.0-553.el8.x86_64/kernel/fs/ext4/ext4.ko.xz',
  },
  'SUSE Leap': {
    release: LEAP,
    files: [
      `boot/vmlinuz-${LEAP}`,
      `boot/config-${LEAP}`,
      `boot/symvers-${LEAP}.gz`,
      `lib/modules/${LEAP}/kernel/fs/ext4/ext4.ko.zst`,
    ],
    links: { [`lib/modules/${LEAP}/build`]: '/usr/src/linux-6.4.0-150600.23.7-obj/x86_64/default' },
    found: {
      image: `boot/vmlinuz-${LEAP}`,
      config: `boot/config-${LEAP}`,
      symvers: `boot/symvers-${LEAP}.gz`,
      modules: `lib/modules/${LEAP}/kernel`,
    },
    module: `lib/modules/${LEAP}/kernel/fs/ext4/ext4.ko.zst`,
  },
  'SUSE Tumbleweed': {
    release: TUMBLEWEED,
    files: [
      `usr/lib/modules/${TUMBLEWEED}/vmlinuz`,
      `usr/lib/modules/${TUMBLEWEED}/config`,
      `usr/lib/modules/${TUMBLEWEED}/symvers.gz`,
      `usr/lib/modules/${TUMBLEWEED}/kernel/fs/ext4/ext4.ko.zst`,
    ],
    found: {
      image: `usr/lib/modules/${TUMBLEWEED}/vmlinuz`,
      config: `usr/lib/modules/${TUMBLEWEED}/config`,
      symvers: `usr/lib/modules/${TUMBLEWEED}/symvers.gz`,
      modules: `usr/lib/modules/${TUMBLEWEED}/kernel`,
    },
    module: `usr/lib/modules/${TUMBLEWEED}/kernel/fs/ext4/ext4.ko.zst`,
  },
  'Arch, with linux-headers': {
    release: ARCH,
    files: [
      `usr/lib/modules/${ARCH}/vmlinuz`,
      `usr/lib/modules/${ARCH}/build/.config`,
      `usr/lib/modules/${ARCH}/build/Module.symvers`,
      `usr/lib/modules/${ARCH}/kernel/fs/ext4/ext4.ko.zst`,
    ],
    found: {
      image: `usr/lib/modules/${ARCH}/vmlinuz`,
      config: `usr/lib/modules/${ARCH}/build/.config`,
      symvers: `usr/lib/modules/${ARCH}/build/Module.symvers`,
      modules: `usr/lib/modules/${ARCH}/kernel`,
    },
    module: `usr/lib/modules/${ARCH}/kernel/fs/ext4/ext4.ko.zst`,
  },
};

const folder = tempFolder();

test.each(Object.entries(LAYOUTS))('%s', (name, { release, files, links = {}, found, module }) => {
  const root = join(folder, name.replace(/\W+/g, '-'));
  for (const file of files) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), file);
  }
  for (const [link, target] of Object.entries(links)) symlinkSync(target, join(root, link));
  // Without a release the only one below the root is meant.
  for (const kernel of [release, undefined]) {
    const places = findKernel({ kernel, root, files: {} });
    expect(places.release).toBe(release);
    for (const [kind, path] of Object.entries(found))
      expect({ kind, path: places.files[kind as KernelFile] }).toEqual({ kind, path: join(root, path) });
  }
  const { paths, diagnostics } = moduleFiles({ modules: join(root, found.modules), release }, ['vmlinux', 'ext4']);
  expect({ paths, diagnostics }).toEqual({ paths: [join(root, module)], diagnostics: [] });
});

test('a link that leads out of the root, or around in a ring, is no file', () => {
  const root = join(folder, 'links');
  mkdirSync(join(root, 'lib/modules', DEB), { recursive: true });
  mkdirSync(join(root, 'boot'), { recursive: true });
  symlinkSync('../../../../../../../../../etc/passwd', join(root, 'boot', `vmlinuz-${DEB}`));
  symlinkSync(`config-${DEB}`, join(root, 'boot', `config-${DEB}`));
  expect(findKernel({ kernel: DEB, root, files: {} }).files).toMatchObject({ image: undefined, config: undefined });
});

test('Module.symvers in gzip, xz and zstd is read as it was packed', async () => {
  const text = '0x12345678\tregister_chrdev\tvmlinux\tEXPORT_SYMBOL\t\n';
  const plain = join(folder, 'Module.symvers');
  writeFileSync(plain, text);
  writeFileSync(`${plain}.gz`, gzipSync(text));
  execFileSync('xz', ['-k', '--check=crc32', plain]);
  expect(await plainSymvers(plain, folder)).toBe(plain);
  expect(await plainSymvers(undefined, folder)).toBeUndefined();
  for (const packed of ['gz', 'xz']) {
    const path = await plainSymvers(`${plain}.${packed}`, folder);
    expect({ packed, text: readFileSync(path!, 'utf8') }).toEqual({ packed, text });
  }
  try {
    execFileSync('zstd', ['-q', '-k', plain], { stdio: 'ignore' });
  } catch {
    return; // Not installed: modules in zstd have their own tests.
  }
  expect(readFileSync((await plainSymvers(`${plain}.zst`, folder))!, 'utf8')).toBe(text);
});
