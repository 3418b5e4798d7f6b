// Which satdsl is started, on a real disk.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import test from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { buildSync } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const made = join(mkdtempSync(join(tmpdir(), 'satdsl-')), 'lookup.mjs');
buildSync({ entryPoints: [join(here, '..', 'src', 'lookup.ts')], outfile: made, format: 'esm', platform: 'node' });
const { findSatdsl } = await import(pathToFileURL(made).href);

function world() {
  const root = mkdtempSync(join(tmpdir(), 'satdsl-'));
  const program = (...place) => {
    const path = join(root, ...place);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, '#!/bin/sh\n', { mode: 0o755 });
    return path;
  };
  const around = { setting: '', folders: [join(root, 'project')], path: `${join(root, 'a')}:${join(root, 'b')}`, windows: false };
  return { root, program, around };
}

test("the folder's own environment comes before the PATH", async () => {
  const { program, around } = world();
  const onPath = program('b', 'satdsl');
  assert.deepEqual(await findSatdsl(around), { command: onPath });
  const own = program('project', '.venv', 'bin', 'satdsl');
  assert.deepEqual(await findSatdsl(around), { command: own });
  assert.deepEqual(await findSatdsl({ ...around, folders: [] }), { command: onPath });
});

test('the setting comes before both, from the folder, the home folder or the PATH', async () => {
  const { root, program, around } = world();
  program('project', '.venv', 'bin', 'satdsl');
  const other = program('project', 'tools', 'satdsl');
  const named = program('b', 'satdsl-next');
  assert.deepEqual(await findSatdsl({ ...around, setting: 'tools/satdsl' }), { command: other });
  assert.deepEqual(await findSatdsl({ ...around, setting: other }), { command: other });
  assert.deepEqual(await findSatdsl({ ...around, setting: 'satdsl-next' }), { command: named });
  const fromHome = `~/${relative(homedir(), named)}`;
  assert.deepEqual(await findSatdsl({ ...around, setting: fromHome }), { command: named });
  assert.match((await findSatdsl({ ...around, setting: join(root, 'absent') })).missing, /satdsl\.path/);
});

test('a folder or a file that cannot be run is no program', async () => {
  const { root, around } = world();
  mkdirSync(join(root, 'a', 'satdsl'), { recursive: true });
  mkdirSync(join(root, 'b'));
  writeFileSync(join(root, 'b', 'satdsl'), '', { mode: 0o644 });
  assert.match((await findSatdsl(around)).missing, /neither/);
  assert.doesNotMatch((await findSatdsl({ ...around, folders: [] })).missing, /\.venv/);
});

test('on Windows the names are those of Windows', async () => {
  const { program, around } = world();
  const onPath = program('a', 'satdsl.exe');
  assert.deepEqual(await findSatdsl({ ...around, windows: true }), { command: onPath });
  const own = program('project', '.venv', 'Scripts', 'satdsl.exe');
  assert.deepEqual(await findSatdsl({ ...around, windows: true }), { command: own });
});
